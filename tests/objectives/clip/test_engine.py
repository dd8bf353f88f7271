"""The engine of the CLIP family: its table, what collapses into what, what changes nothing."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from csp_core import geo, losses
from csp_core.errors import ConfigError, UnknownNameError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import make_objective
from csp_core.objectives.clip import FAMILY, PRESETS
from tests import clip, small

NAMES = sorted(FAMILY)
OFF = {"image": 0.0, "masked": 0.0, "neighbour": 0.0}
PLAIN = {"augmentation": None, "mask_km": 0.0}


def same(*objectives):
    """Give all models the weights of the first; heads that only some have stay as they are."""
    first = objectives[0].model.state_dict()
    for other in objectives[1:]:
        own = other.model.state_dict()
        other.model.load_state_dict(own | {k: v for k, v in first.items() if k in own and
                                           v.shape == own[k].shape})  # fmt: skip
    return objectives


def both(one, other, given=None, parts=("loss",), pick=None):
    """Compare values and gradients of the models' weights on one batch."""
    given = clip.batch(data=clip.PAIRS) if given is None else given
    found = []
    for made in (one, other):
        made.zero_grad()
        out = made(made.draw(given, clip.source()))
        sum(out[part] for part in parts).backward()
        found.append((out, {n: p.grad for n, p in made.model.named_parameters()}))
    (a, first), (b, second) = found
    for part in parts:
        torch.testing.assert_close(a[part], b[part], atol=1e-6, rtol=1e-6)
    for name in first.keys() & second.keys():
        if name not in ("log_scale", "logit_bias") and None not in (first[name], second[name]):
            torch.testing.assert_close(first[name], second[name], atol=1e-6, rtol=1e-5, msg=name)
    return found


def embedded(made, drawn):
    return made.model.embed_image(drawn["image"]), made.model.embed_location(drawn["lonlat"])


def test_the_table_is_that_of_the_release():
    want = {
        "clip": (1, 0, 0, 0, 0, 1),
        "slip": (1, 1, 0, 0, 0, 1),
        "filip": (0, 0, 0, 0, 1, 1),
        "declip": (0.4, 0.2, 0.2, 0.2, 0, 2),
        "defilip": (0.4, 0.2, 0.2, 0.2, 0.2, 2),
        "siglip": (1, 0, 0, 0, 0, 1),
    }
    found = {
        name: (p.clip, p.image, p.masked, p.neighbour, p.fine, p.views)
        for name, p in PRESETS.items()
    }
    assert found == want
    assert [n for n, p in PRESETS.items() if p.loss == "sigmoid"] == ["siglip"]
    assert PRESETS["slip"].image_loss == "nt_xent" and PRESETS["declip"].image_loss == "simsiam"


def test_a_part_of_weight_0_is_not_computed(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("computed")

    for name in ("match_loss", "simsiam", "nt_xent", "token_agreement", "neighbour_loss"):
        monkeypatch.setattr(losses, name, refuse)
    made = clip.make("clip")
    assert made.image_head is None and not made.guesses and not made.queues
    assert set(clip.step(made, 0)) == {"loss", "clip"}
    drawn = made.draw(clip.batch(), clip.source())
    assert not {"view", "looks", "scale_codes", "random_lonlat", "view_lonlat"} & set(drawn)


def test_clip_is_its_formula():
    made = clip.make("clip", **PLAIN)
    drawn = made.draw(clip.batch(), clip.source())
    image, place = embedded(made, drawn)
    want = losses.clip_loss(image, place, made.model.log_scale.exp()[0])
    torch.testing.assert_close(made(drawn)["loss"], want)


def test_declip_without_its_parts_is_clip():
    declip = clip.make("declip", weights={**OFF, "clip": 1.0}, views={"number": 1}, **PLAIN)
    both(clip.make("clip", **PLAIN), declip)


def test_slip_without_its_part_is_clip():
    both(clip.make("clip", **PLAIN), clip.make("slip", weights={"image": 0.0}, **PLAIN))


def test_defilip_without_its_part_is_declip():
    given = clip.batch(data=clip.PAIRS)
    one, other = clip.make("declip"), clip.make("defilip", weights={"fine": 0.0})
    for number in range(3):
        for made in (one, other):
            optimizer = torch.optim.SGD([p for p in made.parameters() if p.requires_grad], lr=0.01)
            clip.step(made, number, given, optimizer)
    both(one, other, given, parts=("loss", "clip", "image", "masked", "neighbour"))


def test_filip_with_one_token_is_clip():
    """Behind identities, tokens are the embeddings themselves."""

    def one_token(name):
        torch.manual_seed(0)
        image = make_image_encoder("small_convnet", 8, width=8, norm="group", size=16)
        network = {"name": "residual_mlp", "dropout": 0.0}
        place = make_location_encoder("sphere_c", 8, num_scales=4, network=network)
        made = clip.make(name, DualEncoder(image, place, dim=8), clip.PAIRS, **PLAIN, token_dim=8)
        return made

    clipped, fine = same(one_token("clip"), one_token("filip"))
    cells = fine.model.image.map_channels[-1]
    with torch.no_grad():
        # The heads of tokens: what the model does to pooled features, and nothing to places.
        project = fine.model.image.project
        head = clipped.model.image_head
        weight = head.weight if project is None else head.weight @ project.weight
        bias = head.bias if project is None else head.weight @ project.bias + head.bias
        assert weight.shape == (8, cells)
        fine.model.token_heads["image"].weight.copy_(weight)
        fine.model.token_heads["image"].bias.copy_(bias)
        fine.model.token_heads["location"].weight.copy_(torch.eye(8))
        fine.model.token_heads["location"].bias.zero_()
    given = clip.batch(data=clip.PAIRS)
    drawn = fine.draw(given, clip.source())
    assert fine.model.tower("image", drawn["image"], tokens=True).tokens.shape[1] == 1
    want = clipped(clipped.draw(given, clip.source()))["loss"]
    torch.testing.assert_close(fine(drawn)["loss"], want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mask", [0.0, 200.0])
def test_clip_and_random_places_are_csp(mask):
    """The same tensors, the same random places: values and gradients."""
    common = {"mask_km": mask, "augmentation": None}
    ours = clip.make("clip", weights={"random": 0.7}, random={"number": 3, "temperature": 0.2},
                     temperature=0.1, **common)  # fmt: skip
    theirs = make_objective(
        "csp_mc", clip.model(), dropout_weight=0.0, random_weight=0.7, num_random=3,
        batch_temperature=0.1, random_temperature=0.2, **common,
    ).train()  # fmt: skip
    theirs.fit(clip.PAIRS)
    theirs.model.load_state_dict(
        {k: v for k, v in ours.model.state_dict().items() if k != "log_scale"}, strict=False
    )
    with torch.no_grad():
        theirs.model.log_scale.copy_(ours.model.log_scale[[0, 2]])
    given = clip.batch(data=clip.PAIRS)
    drawn = ours.draw(given, clip.source())
    torch.testing.assert_close(
        theirs.draw(given, clip.source())["random_lonlat"], drawn["random_lonlat"]
    )
    one, other = ours(drawn), theirs(drawn)
    for a, b in (("loss", "loss"), ("clip", "in_batch"), ("random", "random")):
        torch.testing.assert_close(one[a], other[b], atol=1e-6, rtol=1e-6)
    for out in (one, other):
        out["loss"].backward()
    grads = dict(ours.model.named_parameters())
    for name, weight in theirs.model.named_parameters():
        own = grads[name].grad
        if name == "log_scale":
            own = own[[0, 2]]
        torch.testing.assert_close(own, weight.grad, atol=1e-6, rtol=1e-5, msg=name)


def test_random_places_as_columns_are_their_formula():
    made = clip.make("clip", random={"columns": 2}, **PLAIN)
    drawn = made.draw(clip.batch(), clip.source())
    assert drawn["random_lonlat"].shape == (24, 2, 2)
    image, place = embedded(made, drawn)
    far = made.model.embed_location(drawn["random_lonlat"].flatten(0, 1)).view(24, 2, -1)
    scale, own = made.model.log_scale.exp()[0], torch.arange(24)
    there = scale * losses.similarities(image, place)
    beside = scale * F.cosine_similarity(image[:, None], far, dim=2)
    want = F.cross_entropy(torch.cat((there, beside), dim=1), own) + F.cross_entropy(there.mT, own)
    torch.testing.assert_close(made(drawn)["loss"], want / 2)
    either = clip.make("clip", weights={"random": 1.0}, random={"number": 1, "columns": 2})
    drawn = either.draw(clip.batch(), clip.source())
    assert drawn["random_lonlat"].shape == (24, 3, 2) and either(drawn)["loss"].isfinite()


def test_siglip_has_a_bias_of_its_own():
    made = clip.make("siglip", **PLAIN)
    drawn = made.draw(clip.batch(), clip.source())
    image, place = embedded(made, drawn)
    assert made.model.logit_bias.item() == -10
    assert made.model.log_scale.exp().item() == pytest.approx(10)
    want = losses.sigmoid_loss(image, place, made.model.log_scale.exp()[0], made.model.logit_bias)
    found = made(drawn)["loss"]
    torch.testing.assert_close(found, want)
    found.backward()
    assert made.model.logit_bias.grad != 0 and made.model.log_scale.grad != 0


def test_the_temperature_is_held_in_its_range():
    for options, ends in (({}, (0.0, math.log(100))), ({"compat": "reference"}, (3.0, 6.0))):
        made = clip.make("clip", **options)
        for start, want in ((-9.0, ends[0]), (9.0, ends[1])):
            with torch.no_grad():
                made.model.log_scale.fill_(start)
            clip.step(made, 0)
            assert made.model.log_scale.item() == pytest.approx(want)
    # The release does not multiply by more than 100, however far the parameter goes; SLIP does.
    assert made.scale(0).item() == 100
    slip = clip.make("slip", compat="reference")
    with torch.no_grad():
        slip.model.log_scale.fill_(6.0)
    assert slip.scale(0).item() == pytest.approx(math.exp(6), rel=1e-5)
    fixed = clip.make("clip", learn_temperature=False, temperature=0.5)
    assert fixed.model.log_scale is None and fixed.scale(0) == 2


@pytest.mark.parametrize("name", ["clip", "filip", "siglip"])
def test_pictures_of_one_place_do_not_repel_each_other(name):
    given = clip.batch(data=clip.PAIRS)
    given = {**given, "lonlat": given["lonlat"].clone()}
    given["lonlat"][1] = given["lonlat"][0]

    def pull(**options):
        """Tell how the other's place would have to move for the first picture."""
        made = clip.make(name, augmentation=None, best_tokens=None, **options)
        drawn = made.draw(given, clip.source())
        seen = made._see(drawn)
        alike = made._alike(drawn)["image_place"]
        logits = torch.zeros(24, 24, requires_grad=True)
        if name == "siglip":
            right = torch.eye(24, dtype=torch.bool)
            weight = 1.0 if alike.negative is None else alike.negative
            loss = (F.softplus(torch.where(right, -logits, logits)) * torch.where(
                right, 1.0, weight)).sum()  # fmt: skip
        else:
            loss = losses.match_loss(logits, torch.arange(24), negative=alike.negative)
        loss.backward()
        assert seen["image"].views[0].isfinite().all()
        return logits.grad[0, 1].item(), made(drawn)["loss"].item()

    apart, with_rule = pull()
    pushed, without = pull(mask_km=0.0)
    assert apart == 0 and pushed > 0 and with_rule < without
    # Pictures of different places are told apart as ever: the rule alone changes nothing.
    given["lonlat"][1, 0] += 1.0
    assert pull()[1] == pytest.approx(pull(mask_km=0.0)[1], rel=1e-6)


def test_how_far_in_days():
    given = clip.batch(data=clip.PAIRS)
    given = {**given, "lonlat": given["lonlat"][:1].expand(24, -1).clone(),
             "date": torch.arange(24.0) / 24}  # fmt: skip
    given["date"][3] = torch.nan
    made = clip.make("clip", mask_km=1.0, mask_days=20.0)
    drawn = made.draw(given, clip.source())
    negative = made._alike(drawn)["image_place"].negative
    assert negative[0, 1] == 0 and negative[0, 23] == 0 and negative[0, 12] == 1
    assert (negative[3] == 0).all(), "an unknown date may be any"
    everything = clip.make("clip", mask_km=1.0)
    assert (everything._alike(drawn)["image_place"].negative == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_measuring_works_and_changes_nothing(name):
    made = clip.make(name)
    given = clip.batch(data=clip.PAIRS)
    for number in range(2):
        clip.step(made, number, given)
    before = {k: v.clone() for k, v in made.state_dict().items()}
    made.eval()
    assert not any(isinstance(p, torch.nn.BatchNorm1d) and p.track_running_stats
                   for p in made.modules())  # fmt: skip
    with torch.no_grad():
        drawn = made.draw(given, clip.source())
        assert torch.equal(drawn["image"], given["image"]) and "view_lonlat" not in drawn
        found = made(drawn)
        assert torch.equal(found["loss"], made(drawn)["loss"])
    want = {part for part, weight in made.spec.weights.items() if weight}
    assert set(found) == {"loss", "alignment", "recall_at_10"} | want
    assert all(value.isfinite() for value in found.values())
    assert all(torch.equal(before[k], v) for k, v in made.state_dict().items())
    # One record alone has nothing to be told from, and counts nothing.
    alone = made.draw({k: v[:1] for k, v in given.items()}, clip.source(stop=1, total=1))
    assert made(alone)["loss"] == 0 and made.counted(alone) == 0


def test_recall_counts_all_that_is_right():
    from csp_core.objectives.clip.pairs import Alike, retrieval

    similarity = torch.zeros(24, 24)
    similarity[:, :12] = 1.0
    similarity.fill_diagonal_(0.5)
    found = retrieval(similarity, Alike())
    # The first twelve have eleven nearer ones before them, the others twelve.
    assert found["recall_at_10"] == 0 and found["alignment"] == 0.5
    near = torch.ones(24, 24)
    near[:, :3] = 0
    assert retrieval(similarity, Alike(negative=near))["recall_at_10"] == pytest.approx(1.0)
    right = torch.zeros(24, 24, dtype=torch.bool)
    right[20, 0] = True
    some = retrieval(similarity, Alike(positives=right))["recall_at_10"].item()
    # Row 20 finds another right one, in a tie with eleven wrong ones.
    assert some == pytest.approx(1 / 24)


@pytest.mark.parametrize("name", NAMES)
def test_views_are_made_where_a_part_needs_them(name):
    made = clip.make(name)
    drawn = made.draw(clip.batch(data=clip.PAIRS), clip.source())
    two = made.spec.number == 2
    assert ("view_lonlat" in drawn) == ("view" in drawn) == ("view_dropped" in drawn) == two
    assert ("looks" in drawn) == (name == "slip")
    assert ("scale_codes" in drawn) == made.spec.has("masked")
    if two:
        km = geo.great_circle_km(drawn["view_lonlat"], drawn["exact"])
        assert 0 < km.min() and km.max() < 300
        assert not torch.equal(drawn["view"], drawn["image"])


def test_hidden_scales_are_guessed_from_the_others():
    """What stands in for a scale is the mask vector, or the same scale of another place."""
    made = clip.make("declip", hidden_share=0.5)
    given = clip.batch(data=clip.PAIRS)
    drawn = made.draw(given, clip.source())
    codes = drawn["scale_codes"]
    assert set(codes.unique().tolist()) == {0, 1, 2, 3}
    assert (drawn["swap_row"] != torch.arange(24)).all()
    place, seen = made.model.location, made._see(drawn)["location"]
    source = torch.arange(24)[:, None].repeat(1, 6)
    source[codes == 2] = drawn["swap_row"][:, None].expand(-1, 6)[codes == 2]
    source[codes == 1] = -1
    embedding, tokens, _ = place.tokens(drawn["lonlat"], drawn["date"], drawn["hour"],
                                        masked=source)  # fmt: skip
    torch.testing.assert_close(seen.hidden, tokens, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen.views[0], embedding, atol=1e-5, rtol=1e-4)
    guessed = made.guesses["location"](tokens[:, place.scale_slots])
    errors = (guessed - place.scale_features(drawn["lonlat"])).square().mean(dim=2)
    torch.testing.assert_close(made(drawn)["masked"], errors[codes != 0].mean())
    # With a view of its own, what is compared with images is not hidden.
    apart = clip.make("declip", made.model, hidden_share=0.5, masked_view=False)
    seen = apart._see(drawn)["location"]
    clean = made.model.embed_location(drawn["lonlat"], drawn["date"], drawn["hour"])
    torch.testing.assert_close(seen.views[0], clean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen.hidden, tokens, atol=1e-5, rtol=1e-4)


def test_half_precision_compares_in_full():
    made = clip.make("defilip")
    given = clip.batch(data=clip.PAIRS)
    clip.step(made, 0, given)
    drawn = made.draw(given, clip.source())
    with torch.autocast("cpu", torch.bfloat16):
        found = made(drawn)
    want = made(drawn)
    assert all(value.dtype == torch.float32 for value in found.values())
    torch.testing.assert_close(found["loss"], want["loss"], atol=0.1, rtol=0.05)


def refused(says, name="declip", made=None, data=None, **options):
    with pytest.raises((ConfigError, UnknownNameError), match=says):
        clip.make(name, made, data, **options)


def test_options_out_of_range():
    refused("weights has no mvs", weights={"mvs": 1.0})
    refused("weights are", weights={"clip": -1.0})
    refused("more to one of them", "clip", weights={"clip": 0.0})
    refused("pair_weights has no image_sound", pair_weights={"image_sound": 1.0})
    refused("no option 'crop'", views={"crop": 3})
    refused("views.number is 3", views={"number": 3})
    refused("views.km", views={"km": (5.0, 1.0)})
    refused("views.forget", views={"forget": 2.0})
    refused("random.number is 0", random={"number": 0})
    refused("temperatures", temperature=0.0)
    refused("give softmax or sigmoid", loss="hinge")
    refused("best_tokens is 0", best_tokens=0)
    refused("hidden_share 1.0", hidden_share=1.0)
    refused("mask_km is -1.0", mask_km=-1.0)
    refused("mask_days is 0.0", mask_days=0.0)
    refused("queue_size 0", queue_size=0)
    refused("head_dim is 0", head_dim=0)
    refused("give 'reference'", compat="published")
    refused("augmentation", augmentation="sepia")


def test_models_that_lack_what_is_compared():
    image = make_image_encoder(**clip.IMAGE)
    refused("the model has images: give", made=DualEncoder(image, None, dim=16), data=clip.PAIRS)
    place = make_location_encoder("sphere_c", 16, num_scales=4)
    refused("the model has places", made=DualEncoder(None, place, dim=16), data=clip.PAIRS)
    refused("network: tokens", made=DualEncoder(image, place, dim=16), data=clip.PAIRS)
    features = DualEncoder(make_image_encoder("features", 12), place, dim=16)
    refused("small_convnet or a vision transformer", "filip", features, small.pairs())
    features = DualEncoder(make_image_encoder("features", 12), place, dim=16)
    refused("features in their place", "slip", features, small.pairs())
    assert clip.step(clip.make("clip", features, small.pairs()), 0,
                     clip.batch(data=small.pairs()))["loss"].isfinite()  # fmt: skip


def test_convolutions_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        clip.make("filip")
    assert "convolutional" in caplog.text and "21.3 against 37.2" in caplog.text
    caplog.clear()
    vit = {
        "name": "timm", "model": "vit_tiny_patch16_224", "dim": 8, "size": 16,
        "architecture": {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    }  # fmt: skip
    with caplog.at_level(logging.WARNING):
        made = clip.make("filip", clip.model(image=vit))
    assert "convolutional" not in caplog.text
    assert clip.step(made, 0)["loss"].isfinite()


def test_records_that_tell_nothing(caplog):
    one = replace(clip.PAIRS, lonlat=clip.PAIRS.lonlat[:1].expand(600, -1).clone())
    refused("the same place", data=one)
    nowhere = replace(clip.PAIRS, lonlat=clip.PAIRS.lonlat * torch.nan)
    refused("No training record", data=nowhere)
    refused("has none", data=small.dataset())
    some = replace(clip.PAIRS, lonlat=clip.PAIRS.lonlat.clone())
    some.lonlat[:100] = torch.nan
    with caplog.at_level(logging.WARNING):
        made = clip.make("clip", data=some)
    assert "100 of 600 training records are left out: they have no place" in caplog.text
    stream = made.stream(some, 50)
    assert stream.steps == 10
    made.eval()
    drawn = made.draw(clip.batch(90, 114, data=some), clip.source())
    assert len(drawn["lonlat"]) == 14 == made.counted(drawn)
    assert made(drawn)["loss"].isfinite()


def test_a_batch_of_one_is_refused(caplog):
    made = clip.make("declip")
    with pytest.raises(ConfigError, match=r"raise training\.batch_size"):
        made.stream(clip.PAIRS, 1)
    with caplog.at_level(logging.WARNING):
        made.stream(clip.PAIRS, 8)
    assert "normalise" in caplog.text
