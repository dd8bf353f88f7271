"""A step of few labels: its loss against the formulas written slowly, who pulls at whom, errors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import ConfigError, CspError
from csp_core.image import make_image_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, make_objective
from csp_core.objectives.semisup import METHODS
from csp_core.objectives.semisup.start import report_far
from csp_core.objectives.semisup.teacher import classify, white_logits
from csp_core.training.average import Average
from csp_core.training.validate import validate
from tests import small

DATA = small.pictures(side=8)
SETS = small.label_sets(DATA)
VIT = {
    "name": "timm", "model": "vit_tiny_patch16_224", "size": 8, "dim": None,
    "architecture": {"patch_size": 4, "embed_dim": 12, "depth": 1, "num_heads": 2},
}  # fmt: skip
CONVNET = {"name": "small_convnet", "dim": None, "width": 8, "norm": "group", "size": 8}
KNOWS = {"teacher": "metadata", "distil": "mse", "distil_weight": 0.7}
SIZE, RATIO, STEPS = 6, 2, 10
MOMENTUM = 0.6
THRESHOLDS = {
    "freematch": {"momentum": MOMENTUM, "fairness": 0.3},
    "softmatch": {"momentum": MOMENTUM},
    "udal": {"momentum": MOMENTUM, "least": 0.5, "power": 2.0},
    "pseudo_label": {"ramp": 0.4},
    "cap": {"queue": 20, "positive_part": 0.8, "negative_part": 0.7},
}
FIXED = ("pseudo_label", "fixmatch", "defixmatch", "udal", "cdmad")
PAIR, ONE = (0.48, 0.52), 0.175


def made(name="fixmatch", data=DATA, image=VIT, **options):
    torch.manual_seed(0)
    answers = "share" if data.labels is None else "probability"
    model = DualEncoder(make_image_encoder(**image), None, classes=data.classes, prior_kind=answers)
    options = {"strong": "weak", "ratio": RATIO, **options}
    found = make_objective(name, model, **options)
    found.fit(data)
    found.plan_steps(STEPS)
    return found.train()


def batches(objective, data=DATA, number=2):
    stream = objective.stream(data, SIZE)
    taken = stream.batches(lambda _: torch.Generator().manual_seed(1), 0, 0, SIZE)
    for step, batch in zip(range(number), taken, strict=False):
        random = BatchRandom(torch.Generator().manual_seed(step), 0, SIZE, SIZE)
        # Every third place and some dates are not known.
        for rows in (batch, batch["unlabelled"]):
            rows["date"] = torch.arange(len(rows["date"])) / 20
            rows["lonlat"][::3] = math.nan
            rows["date"][1::4] = math.nan
        yield doubled(objective.draw(batch, random))


def doubled(batch):
    return {
        key: doubled(value) if isinstance(value, dict)
        else value.double() if value.is_floating_point() else value
        for key, value in batch.items()
    }  # fmt: skip


class Slow:
    """The formulas of the publications, entry by entry, with statistics of their own."""

    def __init__(self, name, several, frequency):
        self.name, self.several = name, several
        self.f, self.K, self.step = np.asarray(frequency, float), len(frequency), 0
        self.threshold = PAIR if several else ONE
        first = 0.5 if several else 1 / self.K
        self.level = np.full(self.K if several else (), first)
        self.variance = np.ones(self.K if several else ())
        self.model, self.guessed = np.full(self.K, first), np.full(self.K, first)
        self.seen, self.queue = 0, np.zeros((0, self.K))

    def shares(self, x):
        if self.several:
            return 1 / (1 + np.exp(-x))
        raised = np.exp(x - x.max(1, keepdims=True))
        return raised / raised.sum(1, keepdims=True)

    def sure(self, p):
        return np.maximum(p, 1 - p) if self.several else p.max(1)

    def cost(self, x, target):
        """Give the cross-entropy of each row with classes or shares, or of each entry."""
        p = self.shares(x)
        if self.several:
            return -(target * np.log(p) + (1 - target) * np.log(1 - p))
        if target.ndim == 1:
            target = np.eye(self.K)[target]
        return -(target * np.log(p)).sum(1)

    def moved(self, old, new):
        return MOMENTUM * old + (1 - MOMENTUM) * new

    def aligned(self, p):
        wanted, eps = (self.f if self.several else np.full(self.K, 1 / self.K)), 1e-6
        one = p * (wanted + eps) / (self.model + eps)
        if not self.several:
            return one / one.sum(1, keepdims=True)
        return one / (one + (1 - p) * (1 - wanted + eps) / (1 - self.model + eps))

    def update(self, weak):
        """Move the statistics on, which is done before pseudo-labels are judged."""
        p = self.shares(weak)
        if self.name == "freematch":
            hot = p >= 0.5 if self.several else np.eye(self.K)[p.argmax(1)]
            self.level = self.moved(self.level, self.sure(p).mean(0))
            self.model = self.moved(self.model, p.mean(0))
            self.guessed = self.moved(self.guessed, hot.mean(0))
        if self.name in ("softmatch", "udal"):
            self.model = self.moved(self.model, p.mean(0)) if self.seen else p.mean(0)
        if self.name == "softmatch":
            sure = self.sure(self.aligned(p))
            self.level = self.moved(self.level, sure.mean(0))
            self.variance = self.moved(self.variance, sure.var(0, ddof=1))
        if self.name == "cap":
            self.queue = np.concatenate((self.queue, p))[-20:]
        self.seen += 1

    def quantile(self, q):
        ordered = np.sort(self.queue, axis=0)
        number = np.clip(np.floor(len(ordered) * q + 1e-3).astype(int), 0, len(ordered) - 1)
        return np.array([ordered[n, k] for k, n in enumerate(number)])

    def judge(self, weak, white):
        """Give pseudo-labels and their weights."""
        if self.name == "cdmad":
            weak = weak - white
        p = self.shares(weak)
        target = (weak >= 0).astype(float) if self.several else p.argmax(1)
        if self.name == "cdmad":
            target = p
        if self.name == "cap":
            present, absent = 1 - 0.8 * self.f, 0.7 * (1 - self.f)
            counts = (p >= self.quantile(present)) | (p <= self.quantile(absent))
            return (p >= self.quantile(1 - self.f)).astype(float), counts.astype(float)
        if self.name == "softmatch":
            below = np.minimum(self.sure(self.aligned(p)) - self.level, 0)
            return target, np.exp(-(below**2) / (2 * self.variance / 2**2))
        if self.name == "freematch":
            if self.several:
                guess = np.where(p >= 0.5, self.model, 1 - self.model)
                least = self.level * guess / np.maximum(self.model, 1 - self.model)
            else:
                least = self.level * self.model[p.argmax(1)] / self.model.max()
            return target, (self.sure(p) >= least).astype(float)
        if self.several:
            return target, ((p <= PAIR[0]) | (p >= PAIR[1])).astype(float)
        return target, (p.max(1) >= self.threshold).astype(float)

    def adjusted(self, share):
        """Give UDAL's logarithm of shares over those that are aimed at."""
        power = 1 - (1 - 0.5) * (self.step / STEPS) ** 2
        aim = self.f**power
        aim = aim / (aim + (1 - self.f) ** power) if self.several else aim / aim.sum()
        return np.log(share / aim)

    def asymmetric(self, x, y, weight):
        p = self.shares(x)
        shifted = np.minimum(1 - p + 0.05, 1)
        positive = -np.log(p) * (1 - p)
        negative = -np.log(shifted) * (1 - shifted) ** 4
        return (weight * np.where(y > 0.5, positive, negative)).sum() / weight.sum()

    def labelled(self, x, y):
        x = x + self.adjusted(self.f) if self.name == "udal" else x
        if self.name == "cap":
            return self.asymmetric(x, y, (y >= 0).astype(float))
        known = y >= 0
        return self.cost(x, y)[known].mean()

    def unlabelled(self, x, target, weight):
        x = x + self.adjusted(self.model) if self.name == "udal" else x
        if self.name == "cap":
            return self.asymmetric(x, target, weight)
        loss = (weight * self.cost(x, target)).mean()
        return loss * min(self.step / (0.4 * STEPS), 1) if self.name == "pseudo_label" else loss

    def fair(self, x, weight):
        """Give FreeMatch's fairness; a share over nothing is 0."""
        p = self.shares(x)
        hot = (p >= 0.5) if self.several else np.eye(self.K)[p.argmax(1)]
        w = weight if self.several else weight[:, None] * np.ones((1, self.K))
        mean, often = (w * p).sum(0) / w.sum(0), (w * hot).sum(0) / w.sum(0)

        def over(a, b):
            return np.divide(a, b, out=np.zeros_like(a), where=b > 0)

        if not self.several:
            a, b = over(self.model, self.guessed), over(mean, often)
            return (a / a.sum() * np.log(b / b.sum() + 1e-12)).sum()
        a, b = over(self.model, self.guessed), over(mean, often)
        a = a / (a + over(1 - self.model, 1 - self.guessed))
        b = b / (b + over(1 - mean, 1 - often))
        return (a * np.log(b + 1e-12) + (1 - a) * np.log(1 - b + 1e-12)).sum()

    def loss(self, own, by, target, judged):
        """Give the loss of a network, from what it and the one that labels say of the views."""
        if self.name == "supervised":
            return self.labelled(own["weak"], target)
        if self.name == "defixmatch":
            total = (self.labelled(own["weak"], target) + self.labelled(own["own"], target)) / 2
            total += 0.5 * self.unlabelled(own["strong"], *judged)
            return total - 0.5 * self.unlabelled(own["own"], *self.judge(by["weak"], None))
        total = self.labelled(own["weak"], target) + self.unlabelled(own["strong"], *judged)
        if self.name == "freematch":
            total += 0.3 * self.fair(own["strong"], judged[1])
        return total


def said(objective, ask, batch):
    """Ask a network about each view by itself: logits by name, and the further tokens."""
    other = batch["unlabelled"]
    views = {
        "weak": (batch["image"], batch),
        "own": (batch.get("strong"), batch),
        "strong": (other.get("strong", other["image"]), other),
        "label": (other["image"], other),
    }
    logits, tokens = {}, []
    for name, (view, rows) in views.items():
        if view is None:
            continue
        found, token = ask(view, rows["lonlat"], rows["date"], rows["hour"])
        logits[name] = found.detach().numpy()
        if token is not None and name != "label" and (name, objective.policy.unlabelled) != (
            "strong", False,
        ):  # fmt: skip
            tokens.append(token.detach())
    return logits, tokens


FORMS = [(name, several) for name in sorted(METHODS) for several in (False, True)
         if several or name != "cap"]  # fmt: skip


@pytest.mark.parametrize("options", [{}, KNOWS], ids=["alone", "taught"])
@pytest.mark.parametrize(("name", "several"), FORMS)
def test_the_loss_is_that_of_the_publications(name, several, options):
    data = SETS if several else DATA
    given = dict(THRESHOLDS.get(name, {}))
    if name in FIXED:
        given["threshold"] = PAIR if several else ONE
    objective = made(name, data, thresholds=given, **options).double()
    slow, own = (Slow(name, several, objective.policy.frequency) for _ in range(2))
    model, teacher = objective.model, objective.teacher
    for step, batch in enumerate(batches(objective, data, 3)):
        target = batch["labels" if several else "label"].numpy()
        pupil, tokens = said(
            objective, lambda x, *_: classify(model.image, model.image_classifier, x), batch
        )
        by, drawn = (pupil, []) if teacher is None else said(objective, teacher, batch)
        white = (model.image, model.image_classifier)
        white = white if teacher is None else (teacher.image, teacher.classifier)
        white = white_logits(*white, (8, 8)).detach().numpy()
        labels = by["label"] if objective.follower is None else asked(objective, batch)
        slow.update(labels)
        judged = slow.judge(labels, white)
        # Means of UDAL are those of the network that learns; others are of the one that labels.
        own.update(pupil["label"])
        want = (own if name == "udal" else slow).loss(pupil, by, target, judged)
        if teacher is not None:
            want += slow.loss(by, by, target, judged)
            gap = torch.cat(tokens) - torch.cat(drawn)
            want += 0.7 * gap.square().mean().item()
        losses = objective(batch)
        assert losses["loss"].item() == pytest.approx(want, rel=1e-6, abs=1e-9), step
        if name in ("fixmatch", "freematch", "cdmad", "cap"):
            assert 0 < judged[1].mean()
        objective.finish_step(step)
        slow.step = own.step = step + 1
    assert objective.policy.step == 3


def asked(objective, batch):
    """Give what the averaged network says of the weak views."""
    other = batch["unlabelled"]
    with torch.no_grad():
        return objective.follower(
            other["image"], other["lonlat"], other["date"], other["hour"]
        )[0].numpy()  # fmt: skip


def gradients(objective, batch):
    objective.zero_grad()
    objective(batch)["loss"].backward()
    pick = {"teacher": objective.teacher, "model": objective.model}
    return {who: [w.grad.clone() for w in part.parameters() if w.grad is not None]
            for who, part in pick.items()}  # fmt: skip


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("distil", ["mse", "mae", "cosine"])
def test_nothing_pulls_at_the_teacher_but_its_own_loss(distil):
    objective = made(teacher="metadata", distil=distil, thresholds={"threshold": 0.0}).double()
    batch = next(batches(objective))
    before = gradients(objective, batch)
    objective.distil_weight = 50.0
    drawn = gradients(objective, batch)
    assert equal(drawn["teacher"], before["teacher"])
    assert not equal(drawn["model"], before["model"])
    # Nor does what the model says of unlabelled images, whatever it is.
    with torch.no_grad():
        objective.model.image_classifier.weight.add_(1.0).mul_(3.0)
        objective.model.image.token.add_(1.0)
    other = gradients(objective, batch)
    assert equal(other["teacher"], before["teacher"])
    assert not equal(other["model"], drawn["model"])


@pytest.mark.parametrize("image", [VIT, CONVNET], ids=["vit", "convnet"])
def test_the_model_cannot_know_the_place(image):
    distil = {"distil": "mse"} if image is VIT else {}
    objective = made("freematch", image=image, teacher="metadata", **distil).double()
    batch = next(batches(objective))
    seen = {"model": [], "teacher": []}
    for who, part in (("model", objective.model.image_classifier),
                      ("teacher", objective.teacher.classifier)):  # fmt: skip
        part.register_forward_hook(lambda *given, who=who: seen[who].append(given[2].detach()))
    elsewhere = {**batch, "unlabelled": dict(batch["unlabelled"])}
    for rows in (elsewhere, elsewhere["unlabelled"]):
        rows["lonlat"], rows["date"] = rows["lonlat"].flip(0), rows["date"].flip(0)
    for given in (batch, elsewhere):
        objective(given)
    first, second = (seen["model"][:1], seen["model"][1:])
    assert len(seen["model"]) == 2 and equal(first, second)
    half = len(seen["teacher"]) // 2
    assert half >= 2 and not equal(seen["teacher"][:half], seen["teacher"][half:])
    with pytest.raises(TypeError):
        objective.model.image_logits(batch["image"], batch["lonlat"])


@pytest.mark.parametrize("options", [{}, {"teacher": "metadata"}], ids=["alone", "taught"])
def test_the_network_that_labels_is_followed_exactly(options):
    objective = made("cap", SETS, follow=0.9, **options).double()
    watched = objective.model if objective.teacher is None else objective.teacher

    def current():
        names = {"image_classifier": "classifier"}
        state = {}
        for name, value in watched.state_dict().items():
            top, _, rest = name.partition(".")
            state[f"{names.get(top, top)}.{rest}"] = value.clone()
        return state

    first = current()
    held = objective.follower.state_dict()
    assert all(torch.equal(value, first[name]) for name, value in held.items())
    with torch.no_grad():
        for weight in watched.parameters():
            weight.add_(torch.randn_like(weight))
    for step in range(2):
        before = {name: value.clone() for name, value in objective.follower.state_dict().items()}
        objective(next(batches(objective, SETS)))
        assert equal(before.values(), objective.follower.state_dict().values())
        objective.finish_step(step)
        now = current()
        for name, value in objective.follower.state_dict().items():
            torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * now[name])
    assert not any(w.requires_grad for w in objective.follower.parameters())
    assert objective.follower in objective.resting()


def test_the_average_of_the_model_is_measured_and_put_away_again():
    objective = made("supervised")
    average = Average(objective, 0.3)
    for _ in range(6):
        before = [w.clone() for w in average.model.module.parameters()]
        with torch.no_grad():
            for weight in objective.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
        average.update()
    # Its weight of the past has grown to 0.3 by the fourth step.
    for old, now, found in zip(
        before, objective.model.parameters(), average.model.module.parameters(), strict=True
    ):
        torch.testing.assert_close(found, 0.3 * old + 0.7 * now)
    held = {name: value.clone() for name, value in objective.state_dict().items()}
    part = small.pictures(side=8)
    measured = validate(objective, average.model.module, part, seed=0)
    with torch.no_grad():
        logits = average.model.module.eval().image_logits(part.image)
    want = torch.nn.functional.cross_entropy(logits, part.label).item()
    assert measured["val_objective"] == pytest.approx(want, rel=1e-5)
    assert (
        measured["val_objective"]
        != validate(objective, objective.model, part, seed=0)["val_objective"]
    )
    assert equal(objective.state_dict().values(), held.values())


@pytest.mark.parametrize("data", [DATA, SETS], ids=["one label", "label sets"])
def test_cdmad_answers_without_what_it_says_of_white(data):
    objective = made("cdmad", data)
    model = objective.model.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    settled = objective.settled(model)
    white = white_logits(model.image, model.image_classifier, (8, 8))
    assert settled is not model and white.abs().max() > 0.01
    want = model.image_logits(data.image[:5]) - white
    torch.testing.assert_close(settled.image_logits(data.image[:5]), want)
    torch.testing.assert_close(
        white_logits(settled.image, settled.image_classifier, (8, 8)), torch.zeros(1, 6)
    )
    assert equal(model.state_dict().values(), state.values())


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"cdmad"}))
def test_other_methods_answer_as_they_trained(name):
    objective = made(name, SETS)
    assert objective.settled(objective.model) is objective.model


def test_how_many_pseudo_labels_count_is_told():
    for name, threshold, want in (("fixmatch", 0.0, 1.0), ("fixmatch", 1.0, 0.0)):
        objective = made(name, thresholds={"threshold": threshold}).double()
        objective(next(batches(objective)))
        objective.finish_step(0)
        assert objective.told() == {"kept": want}
    assert made("supervised").told() == {}


UNPLACED = replace(DATA, lonlat=torch.full_like(DATA.lonlat, math.nan))
FEW = replace(DATA, label=torch.where(DATA.label < 2, DATA.label, -1))


@pytest.mark.parametrize(
    ("name", "data", "options", "says"),
    [
        ("cap", DATA, {}, r"CAP is made for several labels .* take fixmatch, freematch"),
        (
            "fixmatch", DATA, {"distil": "mse"},
            r"a teacher knows .*: give teacher: metadata, or distil: none",
        ),
        (
            "fixmatch", DATA, {"distil": "mse", "teacher": "metadata", "image": CONVNET},
            r"takes no further token: .*vision.*distil: none",
        ),
        ("fixmatch", UNPLACED, {"teacher": "metadata"}, r"None of 600 .* or teacher: images"),
        ("fixmatch", FEW, {}, r"4 of 6 classes have no label among 200 .*Ceta.*label one image"),
        ("fixmatch", DATA, {"thresholds": {"treshold": 0.9}}, r"no option 'treshold'.*threshold"),
        ("fixmatch", DATA, {"thresholds": {"steps": 9}}, r"no option 'steps'"),
        ("fixmatch", DATA, {"thresholds": {"threshold": 2}}, r"threshold is 2; give a prob"),
        ("fixmatch", DATA, {"teacher": "place"}, r"teacher is 'place'.*none, images, metadata"),
        ("fixmatch", DATA, {"distil": "l2"}, r"distil 'l2'.*none, mse, mae, cosine"),
        ("fixmatch", DATA, {"ratio": 0}, "ratio is 0"),
        ("fixmatch", DATA, {"follow": 1.0}, "follow 1.0"),
        ("fixmatch", DATA, {"unlabelled_weight": -1.0}, "unlabelled_weight is -1.0"),
        ("fixmatch", DATA, {"strong": "stronger"}, "stronger"),
        ("fixmatch", replace(DATA, image=None), {}, "has no images"),
        ("fixmatch", small.pairs(), {}, "features in the place of images"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_a_sentence(name, data, options, says):
    with pytest.raises(CspError, match=says):
        made(name, data, **options)


def test_labels_of_another_kind_than_the_model():
    objective = made("fixmatch", DATA)
    with pytest.raises(ConfigError, match=r"has label sets, and the model answers with one label"):
        objective.fit(SETS)
    with pytest.raises(ConfigError, match=r"has one label a record, .* answers with label sets"):
        made("fixmatch", SETS).fit(DATA)


def test_softmatch_needs_two_unlabelled_rows():
    objective = made("softmatch", ratio=1)
    batch = next(objective.stream(DATA, 1).batches(
        lambda _: torch.Generator().manual_seed(1), 0, 0, 1))  # fmt: skip
    drawn = objective.draw(batch, BatchRandom(torch.Generator().manual_seed(0), 0, 1, 1))
    with pytest.raises(ConfigError, match=r"has 1 unlabelled .*SoftMatch needs at least 2"):
        objective(drawn)


def test_a_model_without_pixels_is_refused():
    features = DualEncoder(make_image_encoder("features", 5), None, classes=("a", "b"))
    with pytest.raises(ConfigError, match=r"learns from images of pixels .* small_convnet"):
        make_objective("fixmatch", features)


def test_pictures_unlike_all_labelled_ones_are_told(caplog):
    bright = torch.full((40, 3, 16, 16), 250, dtype=torch.uint8)
    bright[:, 0] = torch.arange(200, 240, dtype=torch.uint8)[:, None, None]
    bright[30:] = 0
    bright[30:, 2] = 255  # another kind of picture, none of which has a label
    label = torch.arange(40) % 2
    label[10:] = -1
    data = RecordDataset(
        torch.zeros(40, 2), label, ClassTable(("a", "b")), image=bright.contiguous()
    )

    class Colours(torch.nn.Module):
        def forward(self, image):
            return image.float().mean(dim=(2, 3)) / 255 - 0.3

    with caplog.at_level("INFO", logger="csp_core"):
        far, seen = report_far(Colours(), data)
    assert seen == 30 and 10 <= far < 30
    assert f"{far} of 30 unlabelled pictures lie farther" in caplog.text
    assert report_far(Colours(), replace(data, label=torch.zeros(40).long())) == (0, 0)


def test_asking_about_white_moves_no_running_statistics():
    objective = made("cdmad", image={**CONVNET, "norm": "batch"})
    buffers = {name: value.clone() for name, value in objective.named_buffers()}
    modes = [part.training for part in objective.modules()]
    objective._white()
    assert all(torch.equal(value, buffers[name]) for name, value in objective.named_buffers())
    assert [part.training for part in objective.modules()] == modes


def test_a_student_with_a_token_is_trained_on_without_distilling():
    objective = made(teacher="metadata", distil="mse")
    again = make_objective("fixmatch", objective.model, teacher="images", ratio=RATIO)
    again.fit(DATA)
    again.plan_steps(STEPS)
    (batch,) = batches(again.train().double(), number=1)
    assert again(batch)["loss"].isfinite() and "distilled" not in again(batch)


def test_nothing_counts_while_a_method_warms_up():
    objective = made("freematch", thresholds={"warmup_steps": 1}).double()
    counted = []
    for step, batch in enumerate(batches(objective)):
        objective(batch)
        objective.finish_step(step)
        counted.append(objective.told()["kept"])
    assert counted[0] == 0 < counted[1]


def test_kept_is_the_weight_that_pseudo_labels_have():
    objective = made("softmatch", thresholds={"momentum": 0.0}).double()
    (batch,) = batches(objective, number=1)
    objective(batch)
    objective.finish_step(0)
    assert 0 < objective.told()["kept"] < 1
