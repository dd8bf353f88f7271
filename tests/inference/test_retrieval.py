"""Galleries, agreement and ranking, against slow versions and on a small trained model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.geo import great_circle_km
from csp_core.image import make_image_encoder
from csp_core.inference import retrieval
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads, Support
from csp_core.model.compared import compared_sides
from csp_core.model.towers import TowerOut
from csp_core.objectives import heads_for
from csp_core.store import load_model
from tests import comparing


@pytest.fixture(scope="module")
def model() -> DualEncoder:
    return comparing.trained()


@pytest.fixture(scope="module")
def filip() -> DualEncoder:
    return comparing.trained(90, tokens=True)


def picture(colour: str, seed: int = 7) -> torch.Tensor:
    records = comparing.world(30, seed=seed)
    assert records.image is not None
    return records.image[list(comparing.CITIES).index(colour)]


def slow_tokens(one: TowerOut, two: TowerOut) -> np.ndarray:
    """FILIP's agreement, token by token."""
    assert one.tokens is not None and two.tokens is not None
    found = np.zeros((len(one.tokens), len(two.tokens)))
    for i, own in enumerate(one.tokens.numpy()):
        for j, other in enumerate(two.tokens.numpy()):
            best = []
            for n, token in enumerate(own):
                if one.mask is not None and not one.mask[i, n]:
                    continue
                real = [m for m in range(len(other)) if two.mask is None or two.mask[j, m]]
                best.append(max(float(token @ other[m]) for m in real))
            found[i, j] = np.mean(best)
    return found


def test_only_models_whose_sides_were_learned_together_compare() -> None:
    assert compared_sides(Heads(classifiers=()), ["image", "location"]) == ("image", "location")
    assert compared_sides(Heads(image="two_layers", classifiers=()), ["image", "location"]) == ()
    assert compared_sides(Heads(image=None, classifiers=()), ["image", "location"]) == ()
    assert compared_sides(Heads(image=None, classifiers=()), ["location", "text"]) != ()
    assert compared_sides(Heads(image=None, tokens=8, classifiers=()), ["image", "text"]) != ()
    assert compared_sides(Heads(classifiers=("image",)), ["image", "location", "text"]) == ()
    assert compared_sides(Heads(classifiers=()), ["location"]) == ()
    deep = Heads(image="two_layers", classifiers=(), shared=True)
    assert compared_sides(deep, ["image", "location"]) == ("image", "location")
    assert compared_sides(Heads(classifiers=(), shared=False), ["image", "location"]) == ()
    sides = retrieval.sides_of(comparing.build())
    assert sides == ("image", "location", "text")
    labelled = DualEncoder(None, make_location_encoder("sphere_c", 8), dim=8, classes=("a", "b"))
    assert retrieval.sides_of(labelled) == ()


def asking(name: str, **options: Any) -> DualEncoder:
    """Make an untrained model with the heads that an objective asks for."""
    image = make_image_encoder("small_convnet", 8, width=8)
    return DualEncoder(image, make_location_encoder("sphere_c", 8, num_scales=4), dim=8,
                       heads=heads_for(name, options), name="mine").eval()  # fmt: skip


def test_csp_with_a_deep_head_says_where_a_picture_may_be_from() -> None:
    model = asking("csp_mc", deep_head=True)
    fit = retrieval.where_from(model, picture("red"), retrieval.places_gallery(model, count=50))
    assert len(fit.best) > 0 and bool(fit.values.isfinite().all())
    image = torch.nn.functional.normalize(model.embed_image(picture("red")[None]), dim=1)
    torch.testing.assert_close(retrieval.see_images(model, picture("red")[None]).embedding, image)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("csp_mse", {}, "guess features of a picture from its place"),
        ("simclr", {}, "one of them was trained without the other"),
        ("csp_mc", {"batch_weight": 0, "random_weight": 0}, "trained without the other"),
        ("softmax", {}, "it ranks classes"),
    ],
)
def test_who_cannot_compare_is_told_why(name: str, options: dict[str, Any], why: str) -> None:
    model = asking(name, **options)
    if name == "softmax":
        model.classifier = torch.nn.Linear(8, 2)
    with pytest.raises(ConfigError, match=why):
        retrieval.check_side(model, "image")


def test_agreement_of_whole_embeddings_is_their_cosine(model: DualEncoder) -> None:
    lonlat = comparing.world(40, seed=3).lonlat
    seen = retrieval.see_places(model, lonlat)
    images = retrieval.see_images(model, [picture("red"), picture("blue")])
    found = retrieval.agreement(model, images, seen).numpy()
    with torch.no_grad():
        one = model.embed_image(torch.stack([picture("red"), picture("blue")])).double().numpy()
        two = model.embed_location(lonlat).double().numpy()
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    two /= np.linalg.norm(two, axis=1, keepdims=True)
    np.testing.assert_allclose(found, one @ two.T, atol=1e-5)


def test_models_of_tokens_compare_token_by_token(filip: DualEncoder) -> None:
    assert retrieval.compares_by_tokens(filip)
    said = retrieval.see_captions(filip, ["a red field", "blue", "green ground seen from above"])
    there = retrieval.see_places(filip, comparing.world(5, seed=3).lonlat)
    assert said.mask is not None and not bool(said.mask.all())  # shorter ones have padding
    for one, two in ((said, there), (there, said)):
        found = retrieval.agreement(filip, one, two)
        np.testing.assert_allclose(found.numpy(), slow_tokens(one, two), atol=1e-5)


def test_equal_ones_share_the_middle_of_their_ranks(model: DualEncoder) -> None:
    assert retrieval.tie_ranks(torch.tensor([0.1, 0.1, 0.1])).tolist() == [2, 2, 2]
    # Another order of summing changes the last digits of a cosine, and no rank.
    close = torch.tensor([0.3, 0.3 + 1e-8, 0.9])
    assert retrieval.tie_ranks(close).tolist() == [2.5, 2.5, 1.0]
    places = torch.tensor([[16.4, 48.2], [16.4, 48.2], [2.3, 48.9]])
    gallery = retrieval.places_gallery(model, places, names=("a", "b", "c"))
    query = retrieval.see_captions(model, ["a red field"])
    (rows,) = retrieval.retrieve(model, query, gallery, top=3)
    assert [(row.rank, row.name) for row in rows] == [(1.5, "a"), (1.5, "b"), (3.0, "c")]
    with pytest.raises(BadRecordError, match="at least 1"):
        retrieval.retrieve(model, query, gallery, top=0)


@pytest.mark.parametrize("colour", comparing.CITIES)
@pytest.mark.parametrize("which", ["model", "filip"])
def test_pictures_and_words_find_their_city(
    which: str, colour: str, request: pytest.FixtureRequest
) -> None:
    asked: DualEncoder = request.getfixturevalue(which)
    gallery = retrieval.places_gallery(asked, count=400)
    city = torch.tensor(comparing.CITIES[colour])
    for fit in (
        retrieval.where_from(asked, picture(colour), gallery),
        retrieval.where_words(asked, f"a {colour} field", gallery),
    ):
        best = fit.best[0]
        # Tokens learn their places later.
        assert which == "filip" or great_circle_km(torch.tensor([best.lon, best.lat]), city) < 500
        assert best.rank == 1.0 and "," in best.name
        above, away = fit.above_at(*comparing.CITIES[colour])
        assert above > 0.6 and away < 50
        spots = torch.tensor([[one.lon, one.lat] for one in fit.best], dtype=torch.float64)
        away = great_circle_km(spots[:, None], spots[None]) + 1e9 * torch.eye(len(spots))
        assert float(away.min()) >= 200


def test_places_are_spread_over_where_a_model_has_learned(model: DualEncoder) -> None:
    lonlat, about = retrieval.learned_places(model, 300)
    cells = model.support.cells()[0] if model.support else torch.empty(0, 2)
    away = great_circle_km(lonlat.double()[:, None], cells.double()[None]).amin(dim=1)
    assert 270 <= len(lonlat) <= 300 and float(away.max()) <= 110
    assert about.endswith("the land near its training records")
    assert torch.equal(lonlat, retrieval.learned_places(model, 300)[0])
    nowhere = DualEncoder(None, make_location_encoder("sphere_c", 8), dim=8)
    everywhere, about = retrieval.learned_places(nowhere, 500)
    assert len(everywhere) == 500 and "does not tell" in about
    with pytest.raises(BadRecordError, match="No land near the training records"):
        retrieval.learned_places(model, 300, bounds=(130, -30, 140, -20))


def test_zero_shot_names_a_class_by_averaged_templates(model: DualEncoder) -> None:
    names = list(comparing.CITIES)
    images = retrieval.see_images(model, [picture(name) for name in names])
    found = retrieval.zero_shot(model, images, names, comparing.FORMS)
    assert found.argmax(dim=1).tolist() == [0, 1, 2]
    # By hand: the mean of unit vectors, at unit length.
    said = retrieval.see_captions(model, [form.format("red") for form in comparing.FORMS])
    mean = said.embedding.double().mean(dim=0)
    by_hand = images.embedding.double() @ (mean / mean.norm())
    np.testing.assert_allclose(found[:, 0].numpy(), by_hand.numpy(), atol=1e-5)
    for wrong in ((), ("a field",), ("{} {}",)):
        with pytest.raises(BadRecordError):
            retrieval.zero_shot(model, images, names, wrong)
    with pytest.raises(BadRecordError, match="is empty"):
        retrieval.zero_shot(model, images, ["red", " "])


def test_zero_shot_by_tokens_averages_agreements(filip: DualEncoder) -> None:
    names = list(comparing.CITIES)
    images = retrieval.see_images(filip, [picture(name) for name in names])
    found = retrieval.zero_shot(filip, images, names, comparing.FORMS)
    each = [
        slow_tokens(images, retrieval.see_captions(filip, [form.format("blue")]))[:, 0]
        for form in comparing.FORMS
    ]
    np.testing.assert_allclose(found[:, 2].numpy(), np.mean(each, axis=0), atol=1e-5)
    assert found.argmax(dim=1).tolist() == [0, 1, 2]


def test_questions_that_a_model_cannot_answer_say_what_would(model: DualEncoder) -> None:
    mute = comparing.build(text=False)
    with pytest.raises(ConfigError, match=r"reads no words: take one .* model\.text and captions"):
        retrieval.see_captions(mute, ["a forest"])
    blind = comparing.build(images=False)
    with pytest.raises(ConfigError, match="looks at no pictures"):
        retrieval.see_images(blind, picture("red")[None])
    classes = DualEncoder(None, make_location_encoder("sphere_c", 8), dim=8, classes=("a", "b"))
    with pytest.raises(ConfigError, match="does not compare its sides: it ranks classes"):
        retrieval.see_places(classes, torch.zeros(1, 2))
    with pytest.raises(BadRecordError, match=r"Text is empty: give some words"):
        retrieval.see_captions(model, [" \t"])
    with pytest.raises(BadRecordError, match=r"Text 2 of 2 is empty"):
        retrieval.see_captions(model, ["a", ""])
    with pytest.raises(BadRecordError, match="at most 1,000"):
        retrieval.where_words(model, "x" * 1001, retrieval.places_gallery(model, count=100))
    with pytest.raises(BadRecordError, match="part of the year"):
        retrieval.see_places(model, torch.zeros(1, 2), date=1.5)
    with pytest.raises(BadRecordError, match="no captions to look through"):
        retrieval.captions_gallery(model, [])


def test_words_that_are_cut_or_unknown_are_told(model: DualEncoder) -> None:
    assert retrieval.notes_on_text(model, ["a red field"]) == []
    (cut,) = retrieval.notes_on_text(model, ["a red field " * 30])
    assert "longer than the 30 tokens" in cut and "was cut off" in cut
    (odd,) = retrieval.notes_on_text(model, ["森 of red"])
    assert "'森'" in odd and "byte by byte" in odd
    # It is read all the same.
    assert retrieval.see_captions(model, ["森 of red", "🌲"]).embedding.isfinite().all()


def test_words_that_were_in_no_caption_are_named_and_so_is_what_is_left() -> None:
    words = load_model("eurosat_words")
    asked, changed = retrieval.as_captions(words, "Lisbon,Portugal")
    assert asked == "Lisbon, Portugal" and changed == [
        "Read as 'Lisbon, Portugal', as captions are written."
    ]
    assert retrieval.as_captions(words, "Bergen, Norway") == ("Bergen, Norway", [])
    assert retrieval.notes_on_text(words, ["pasture near Bergen, Norway"]) == []
    assert retrieval.notes_on_text(words, [asked]) == [
        "'lisbon' was in no caption that the model learned from; what is left: 'portugal'."
    ]
    (none,) = retrieval.notes_on_text(words, ["Tokyo"])
    assert "nothing is left, so the order of what follows tells little" in none
    (bare,) = retrieval.notes_on_text(words, ["?! ..."])
    assert bare.startswith("No word stands in it")
    (several,) = retrieval.notes_on_text(words, ["a forest", "vineyards", "rice"])
    assert several.startswith("'vineyards', 'rice' were in no caption")
    gallery = retrieval.places_gallery(words)
    fit = retrieval.where_words(words, "Lisbon,Portugal", gallery)
    assert len(fit.notes) == 2 and abs(fit.best[0].lon + 8.5) < 2 and fit.best[0].lat < 43
    # Nobody knows what a model has met that was saved without its words.
    words.text.words = None
    (cut,) = retrieval.notes_on_text(words, ["Lisbon, Portugal"])
    assert cut.startswith("'lisbon' is read in pieces") and "was not kept" in cut


def test_which_parts_agree(filip: DualEncoder, model: DualEncoder) -> None:
    assert retrieval.token_picture(model, picture("red"), (16.4, 48.2)) is None
    found = retrieval.token_picture(filip, picture("red"), (16.4, 48.2))
    assert found is not None and found.grid[0] * found.grid[1] == len(found.patches)
    names = [name for name, _ in found.scales]
    middle = [f"scale {k} of 6" for k in range(2, 6)]
    ends = ["scale 1 of 6, finest"], ["scale 6 of 6, coarsest"]
    assert names == ["all of the place", *ends[0], *middle, *ends[1]]
    assert max(found.patches) == pytest.approx(max(value for _, value in found.scales))


def test_pictures_of_a_folder(model: DualEncoder, tmp_path: Path) -> None:
    for name in ("b", "a"):
        pixels = (picture("red") * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).resize((40, 50)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    found = retrieval.read_pictures(model, tmp_path)
    assert found.names == ("a.png", "b.png") and len(found.skipped) == 1
    assert found.images[0].shape == (3, comparing.SIDE, comparing.SIDE)
    gallery = retrieval.images_gallery(model, found.images, names=found.names)
    query = retrieval.see_captions(model, ["a red field"])
    (rows,) = retrieval.retrieve(model, query, gallery)
    assert [row.rank for row in rows] == [1.5, 1.5] and rows[0].lon is None
    with pytest.raises(DataNotFoundError, match="no picture and no folder"):
        retrieval.read_pictures(model, tmp_path / "none.png")
    with pytest.raises(BadRecordError):
        retrieval.read_pictures(model, tmp_path / "c.png")


def test_tables_of_places_and_lists_of_texts(tmp_path: Path) -> None:
    table = tmp_path / "places.csv"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([("Name", "Longitude", "lat"), ("x", 3, 4), ("y", -3, 5)])
    lonlat, names = retrieval.read_places(table)
    assert lonlat.tolist() == [[3, 4], [-3, 5]] and names == ("x", "y")
    table.write_text("lon,lat\n3,4\n3,95\n")
    with pytest.raises(BadRecordError, match="line 3"):
        retrieval.read_places(table)
    table.write_text("a,b\n3,4\n")
    with pytest.raises(BadRecordError, match="call them lon and lat"):
        retrieval.read_places(table)
    texts = tmp_path / "texts.txt"
    texts.write_text("a forest\n\n  a lake \n")
    assert retrieval.read_captions(texts) == ("a forest", "a lake")
    texts.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRecordError, match="UTF-8"):
        retrieval.read_captions(texts)
    texts.write_text("\n\n")
    with pytest.raises(BadRecordError, match="no texts"):
        retrieval.read_captions(texts)
    with pytest.raises(DataNotFoundError, match="no file"):
        retrieval.read_captions(tmp_path / "absent.txt")


def test_the_spread_is_that_of_records_held_out() -> None:
    blocks = {"provenance": {"config": {"data": {"split_method": "block"}}}}
    told = {"median_km": 410.0, "within_200_km": 0.25, "n": 900, "centre_median_km": 980.0}
    found = retrieval.spread_of({"val": {"image-place": told}}, blocks)
    assert found is not None and found.blocks
    said = found.sentence()
    assert "more than 410 km off" in said and "25%" in said and "980 km" in said
    assert "had not seen" in said and "tells no more" not in said
    worse = retrieval.spread_of({"val": {**told, "median_km": 990.0}}, blocks)
    assert worse is not None and worse.sentence().endswith("so the best place tells no more.")
    # The test comes before what an epoch was chosen by; an only pair stands by itself.
    both = {"val": told, "test": {**told, "median_km": 500.0}}
    found = retrieval.spread_of(both, {})
    assert found is not None and found.median_km == 500 and "held out at random" in found.sentence()
    for bad in ({}, {"val": {"median_km": "far"}}, {"val": None}, {"val": {**told, "n": -1}}):
        assert retrieval.spread_of(bad, blocks) is None


def test_the_middle_of_the_training_records() -> None:
    lonlat = torch.tensor([[170.5, 0.5], [-170.5, 0.5], [-170.5, 0.5]])
    model = comparing.build()
    assert retrieval.learned_centre(model) is None
    model.support = Support.from_places(lonlat, 0)
    found = retrieval.learned_centre(model)
    # Across the antimeridian, nearer to where there are two.
    assert found is not None and found[0] < -176 and abs(found[1]) < 1
