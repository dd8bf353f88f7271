"""Checkpoints of every wrapper: several GPUs, compiled, Lightning, whole models, files of a hub."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from csp_core.errors import CheckpointError
from csp_core.importers import read_checkpoint
from csp_core.importers.names import inner_model, plain_names
from tests.importers.test_importers import (
    PLACES,
    classes_state,
    csp_params,
    fcnet_state,
    geoclip_state,
    mlp_state,
    satclip_file,
    settings,
    write,
)


def torchspatial_state():
    return {**mlp_state(384), **classes_state()}, settings("Space2Vec-theory")


def csp_state():
    return {**mlp_state(128), **classes_state(users=7)}, csp_params()


def geo_prior_state():
    params = settings("geo_net")
    del params["spa_enc_type"]  # which CSP writes
    return {**fcnet_state(), **classes_state(users=3)}, params


def sinr_state():
    state = {**fcnet_state(), "class_emb.weight": classes_state()["class_emb.weight"]}
    return state, {"input_enc": "sin_cos"}


SOURCES = {
    "torchspatial": torchspatial_state,
    "csp": csp_state,
    "geo_prior": geo_prior_state,
    "sinr": sinr_state,
    "geoclip": lambda: (geoclip_state(), {}),
}
# How names change: before each, within each.
PREFIXES = {
    "several GPUs": "module.",
    "compiled": "_orig_mod.",
    "both": "module._orig_mod.",
    "Lightning": "model.",
    "Lightning, another attribute": "net.",
    "Lightning of several GPUs": "model.module.",
    "compiled within Lightning": "model._orig_mod.",
    "a state within a state": "state_dict.model.",
    "DeepSpeed": "_forward_module.",
    "a name of one's own": "places_2024.",
}


def answer(model):
    with torch.inference_mode():
        return model.location(PLACES)


def wrapped(state, prefix):
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", PREFIXES)
def test_prefixes_of_programs_that_train(source, case, tmp_path):
    state, params = SOURCES[source]()
    plain = read_checkpoint(write(tmp_path / "a.pt", state, params))
    found = read_checkpoint(write(tmp_path / "b.pt", wrapped(state, PREFIXES[case]), params))
    assert found.provenance["source"] == plain.provenance["source"] == source
    assert torch.equal(answer(found.model), answer(plain.model))
    assert len(found.model.classes) == len(plain.model.classes)
    told = [note for note in found.provenance["notes"] if "left off" in note]
    assert told and set(found.provenance["notes"]) - set(told) == set(plain.provenance["notes"])


@pytest.mark.parametrize("prefix", ["module.", "model._orig_mod.", ""])
def test_satclip_under_other_names(prefix, tmp_path):
    path, network = satclip_file(tmp_path / "a.ckpt")
    expected = answer(read_checkpoint(path).model)
    for inner in ("location.nnet.", "nnet.", "model.location.nnet."):
        state = {f"{prefix}{inner}{name}": value for name, value in network.items()}
        found = read_checkpoint(write(tmp_path / "b.ckpt", state))
        assert found.provenance["source"] == "satclip"
        assert torch.equal(answer(found.model), expected)


def test_wrappers_in_the_middle_of_names(tmp_path):
    state, params = torchspatial_state()
    inner = {name.replace("spa_enc.", "spa_enc._orig_mod.module."): v for name, v in state.items()}
    found = read_checkpoint(write(tmp_path / "a.pt", inner, params))
    assert found.provenance["source"] == "torchspatial"
    assert "_orig_mod., module." in found.provenance["notes"][0]


def test_an_average_of_weights(tmp_path):
    state, params = torchspatial_state()
    averaged = {**wrapped(state, "module."), "n_averaged": torch.tensor(7)}
    assert read_checkpoint(write(tmp_path / "a.pt", averaged, params)).model.classes


def test_other_parts_of_a_lightning_module_are_left_out_and_told(tmp_path):
    state, params = torchspatial_state()
    state = {**wrapped(state, "model."), "criterion.weight": torch.ones(62),
             "metric._extra_state": None, "val_metric.total": torch.tensor(3.0)}  # fmt: skip
    found = read_checkpoint(write(tmp_path / "a.ckpt", state, hyper_parameters=params))
    assert (
        "Left out: 2 tensors of other parts (criterion, val_metric)." in (found.provenance["notes"])
    )


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_all_of_geoclip(prefix, tmp_path):
    place = geoclip_state()
    whole = wrapped(place, "location_encoder.")
    whole |= {"logit_scale": torch.tensor(3.0), "image_encoder.mlp.0.weight": torch.ones(4, 4),
              "gps_queue": torch.ones(2, 8)}  # fmt: skip
    torch.save(wrapped(whole, prefix), tmp_path / "a.pth")
    torch.save(place, tmp_path / "b.pth")
    found, plain = (read_checkpoint(tmp_path / name) for name in ("a.pth", "b.pth"))
    assert torch.equal(answer(found.model), answer(plain.model))
    assert any("Left out: 3 tensors of other parts" in note for note in found.provenance["notes"])


@pytest.mark.parametrize(
    "key", ["model_state_dict", "model", "net", "state_dict", "ema_state_dict", "model_ema"]
)
def test_where_programs_put_the_weights(key, tmp_path):
    state, params = torchspatial_state()
    torch.save({key: state, "params": params, "optimizer": {}, "epoch": 3}, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt").provenance["source"] == "torchspatial"


@pytest.mark.parametrize("outer", ["model", "state_dict", "weights"])
def test_weights_of_parts_that_stand_apart(outer, tmp_path):
    state, params = torchspatial_state()
    parts = {"location_encoder": state, "head": {"weight": torch.ones(2, 2)}}
    torch.save({outer: parts, "params": params}, tmp_path / "a.pt")
    found = read_checkpoint(tmp_path / "a.pt")
    assert found.provenance["source"] == "torchspatial"
    assert any("1 tensors of other parts (head)" in note for note in found.provenance["notes"])


def test_usual_names_come_before_others(tmp_path):
    state, params = torchspatial_state()
    other = {name: value + 1 for name, value in state.items()}
    both = {**wrapped(other, "a_copy."), **wrapped(state, "student.")}
    found = read_checkpoint(write(tmp_path / "a.pt", both, params))
    plain = read_checkpoint(write(tmp_path / "b.pt", state, params))
    assert torch.equal(answer(found.model), answer(plain.model))


@pytest.mark.parametrize("key", ["state", "mask", "masks"])
def test_names_that_may_hold_something_else_come_last(key, tmp_path):
    state, params = torchspatial_state()
    plain = answer(read_checkpoint(write(tmp_path / "a.pt", state, params)).model)
    place = geoclip_state()
    torch.save(place, tmp_path / "p.pt")
    torch.save({key: place}, tmp_path / "b.pt")
    one, inside = (read_checkpoint(tmp_path / name).model for name in ("p.pt", "b.pt"))
    assert torch.equal(answer(inside), answer(one))
    save_file(wrapped(state, f"{key}."), tmp_path / "b.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"params": params}))
    assert torch.equal(answer(read_checkpoint(tmp_path / "b.safetensors").model), plain)
    # Weights that lie deeper, or below a name of one's own, are asked before.
    for holder in ("model.net.", "places_2024."):
        other = {name: value + 1 for name, value in state.items()}
        both = {**wrapped(other, f"{key}."), **wrapped(state, holder)}
        found = read_checkpoint(write(tmp_path / "c.pt", both, params))
        assert torch.equal(answer(found.model), plain)


# Files of a hub


@pytest.mark.parametrize("source", ["geoclip", "sinr"])
@pytest.mark.parametrize("prefix", ["", "model.", "location_encoder."])
def test_safetensors(source, prefix, tmp_path):
    state, params = SOURCES[source]()
    save_file(wrapped(state, prefix), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"params": params}))
    found = read_checkpoint(tmp_path / "model.safetensors")
    plain = read_checkpoint(write(tmp_path / "a.pt", state, params))
    assert found.model.name == "model" and found.provenance["source"] == source
    assert torch.equal(answer(found.model), answer(plain.model))


def test_settings_of_safetensors(tmp_path):
    state, params = torchspatial_state()
    plain = answer(read_checkpoint(write(tmp_path / "a.pt", state, params)).model)
    save_file(state, tmp_path / "a.safetensors", metadata={"params": json.dumps(params)})
    assert torch.equal(answer(read_checkpoint(tmp_path / "a.safetensors").model), plain)
    save_file(state, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="could be of csp or torchspatial"):
        read_checkpoint(tmp_path / "b.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(params))
    found = read_checkpoint(tmp_path / "b.safetensors")
    assert torch.equal(answer(found.model), plain)
    assert "The settings are those of config.json beside it." in found.provenance["notes"]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_told(kind, tmp_path):
    state = {name: value.to(kind) for name, value in geoclip_state().items()}
    save_file(state, tmp_path / "a.safetensors")
    found = read_checkpoint(tmp_path / "a.safetensors")
    name = str(kind).removeprefix("torch.")
    assert any(f"numbers in {name}" in note for note in found.provenance["notes"])
    assert answer(found.model).dtype == torch.float32 and answer(found.model).isfinite().all()


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_safetensors_that_are_cut_short(part, tmp_path):
    save_file(geoclip_state(), tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(CheckpointError, match="cut short or damaged"):
        read_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("text", ["[1]", "no JSON", "{}", "[" * 100_000])
def test_settings_that_are_none(text, tmp_path):
    save_file(geoclip_state(), tmp_path / "a.safetensors")
    (tmp_path / "config.json").write_text(text)
    assert read_checkpoint(tmp_path / "a.safetensors").provenance["source"] == "geoclip"


def test_names_that_become_one(tmp_path):
    a, b = torch.zeros(2), torch.ones(2)
    assert list(plain_names({"module.a": a, "a": a}, "x.pt")[0]) == ["a"]
    with pytest.raises(CheckpointError, match=r"holds 'a' twice"):
        plain_names({"module.a": a, "a": b}, "x.pt")


def test_what_fits_nothing_stays_as_it_is():
    tensors = wrapped({"a": torch.ones(1)}, "model.net.model.net.model.")
    assert inner_model(tensors, lambda inner: False) == (tensors, ())
    deep, notes = inner_model(tensors, lambda inner: "model.a" in inner)
    assert list(deep) == ["model.a"] and "model.net.model.net." in notes[0]
