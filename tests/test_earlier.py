"""What earlier versions wrote is read: models, a stopped run, configurations and first weights.

The folder ``earlier`` was written by the version that trained the bundled models, before objectives
owned a state.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from csp_core.config import load_config, parse_config
from csp_core.files import ASSETS, load_tensors
from csp_core.runs import RunDir
from csp_core.store import load_model, save_model
from csp_core.training import train
from csp_core.training.setup import make_parts

EARLIER = Path(__file__).parent / "earlier"
CASES = json.loads((EARLIER / "first_weights.json").read_text())
ANSWERS = json.loads((EARLIER / "answers.json").read_text())
PLACES = torch.tensor([[36.8, -1.3], [16.4, 48.2], [-70.0, -33.0], [179.0, 60.0]])


@pytest.mark.parametrize("name", CASES)
def test_first_weights_are_drawn_as_before_and_in_the_same_order(name):
    case = CASES[name]
    config = parse_config(case["tree"])
    assert config.recipe_hash() == case["recipe"]
    parts = make_parts(config)
    assert parts.train_set.content_hash() == case["data"]
    found = [(n, list(w.shape)) for n, w in parts.model.named_parameters()]
    assert found == [(n, shape) for n, shape, _, _ in case["weights"]]
    weights = [w.detach().double() for _, w in parts.model.named_parameters()]
    for weight, (n, _, total, size) in zip(weights, case["weights"], strict=True):
        # Sums tell one draw from another; hashes would tell one processor from another.
        assert weight.sum().item() == pytest.approx(total, rel=1e-5, abs=1e-5), n
        assert weight.abs().sum().item() == pytest.approx(size, rel=1e-5, abs=1e-5), n
    order = [n for n, _ in parts.objective.named_weights()]
    assert order == [f"model.{n}" for n, *_ in case["weights"]]


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_models_answer_as_before(name, tmp_path):
    model = load_model(EARLIER / "models" / name)
    again = load_model(save_model(model, tmp_path / "again"))
    want = ANSWERS[name]
    for one in (model, again):
        found = one.embed_location(PLACES).detach()
        torch.testing.assert_close(found, torch.tensor(want["location"]), atol=1e-5, rtol=1e-4)
        if "prior" in want:
            prior = one.prior(PLACES)
            torch.testing.assert_close(prior, torch.tensor(want["prior"]), atol=1e-5, rtol=1e-4)
    for file in ("model.safetensors", "calibration.json", "classes.csv"):
        before = (EARLIER / "models" / name / file).read_bytes()
        assert (tmp_path / "again" / file).read_bytes() == before, file


def test_a_stopped_run_goes_on_to_what_it_would_have_become(tmp_path):
    folder = shutil.copytree(EARLIER / "run", tmp_path / "run")
    run = RunDir(folder)
    assert run.read_status()["state"] == "stopped"
    (path,) = run.checkpoints.glob("*/state.safetensors")
    saved = load_tensors(path)
    assert any(key.startswith("optimizer/0/") for key in saved)
    assert not any(key.startswith("objective/") for key in saved)
    result = train(load_config(folder / "config.yaml"), run_dir=folder, resume=True)
    want = json.loads((EARLIER / "resumed.json").read_text())
    for row, before in zip(result.history, want["history"], strict=True):
        # Rows say more by now; what they said before is the same.
        assert {key: row[key] for key in before} == pytest.approx(before, rel=1e-4)
    for name, value in result.model.state_dict().items():
        total = value.double().sum().item()
        assert total == pytest.approx(want["sums"][name], rel=1e-4, abs=1e-4), name


def test_bundled_models_load():
    names = [p.parent.name for p in sorted((ASSETS / "models").glob("*/config.json"))]
    assert names
    for name in names:
        model = load_model(name)
        if model.pixel_classifier is not None:  # it knows pictures alone
            shares = model.pixel_prior(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))
            assert shares.isfinite().all() and shares.shape[1] == len(model.classes), name
        else:
            assert model.embed_location(PLACES).isfinite().all(), name
