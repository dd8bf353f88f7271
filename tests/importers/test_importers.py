"""Published checkpoints, made here with their names and shapes, against slow arithmetic."""

from __future__ import annotations

import json
import math
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special

from csp_core import import_checkpoint, load_model, location_prior, save_model
from csp_core.errors import BadRecordError, CheckpointError, DataNotFoundError, UnknownNameError
from csp_core.importers import IMPORTERS, read_checkpoint, reading, write_import_card
from csp_core.importers.classes import read_class_names
from csp_core.importers.sources import SOURCES
from csp_core.location import ENCODINGS

PLACES = torch.tensor(
    [[36.8, -1.3], [-179.9, 66.0], [179.9, -16.5], [0.0, 0.0], [-122.4, 37.8], [10.0, -89.0]]
)
LEAKY = {"relu": 0.0, "leakyrelu": 0.2}


# What the published files look like


def draw(*size, seed=0, scale=None):
    generator = torch.Generator().manual_seed(seed + sum(size))
    return torch.randn(*size, generator=generator) * (scale or 1 / math.sqrt(size[-1]))


def mlp_state(inputs, hidden=(512,), dim=256, prefix="spa_enc."):
    widths, state = [inputs, *hidden], {}
    for i, (a, b) in enumerate(zip(widths, hidden, strict=False)):
        state[f"layers.{i}.layernorm.weight"] = 1 + draw(b, seed=3, scale=0.1)
        state[f"layers.{i}.layernorm.bias"] = draw(b, seed=4, scale=0.1)
        state[f"layers.{i}.linear.weight"] = draw(b, a, seed=i)
        state[f"layers.{i}.linear.bias"] = draw(b, seed=5 + i, scale=0.1)
    last = len(hidden)
    state[f"layers.{last}.linear.weight"] = draw(dim, widths[-1], seed=8)
    state[f"layers.{last}.linear.bias"] = draw(dim, seed=9, scale=0.1)
    return {f"{prefix}ffn.{key}": value for key, value in state.items()}


def classes_state(count=62, dim=256, users=1):
    return {
        "class_emb.weight": draw(count, dim, seed=1, scale=0.3),
        "user_emb.weight": draw(users, dim),
    }


def fcnet_state(inputs=4, dim=256, blocks=4):
    state = {"feats.0.weight": draw(dim, inputs), "feats.0.bias": draw(dim, scale=0.3)}
    for i in range(2, blocks + 2):
        for part in ("w1", "w2"):
            state[f"feats.{i}.{part}.weight"] = draw(dim, dim, seed=i)
            state[f"feats.{i}.{part}.bias"] = draw(dim, seed=i, scale=0.1)
    return state


def settings(kind, **changes):
    return {
        "spa_enc_type": kind, "frequency_num": 64, "min_radius": 0.001, "max_radius": 1.0,
        "num_hidden_layer": 1, "hidden_dim": 512, "num_filts": 256, "num_classes": 62,
        "freq_init": "geometric", "spa_f_act": "relu", "dropout": 0.5, "use_layn": True,
        "skip_connection": True, "map_range": [-180, 180, -90, 90], "dataset": "fmow",
        "rbf_kernel_size": 1.0, "loc_encode": "encode_cos_sin", "use_date_feats": False,
        "rbf_anchor_pt_ids": None,
        **changes,
    }  # fmt: skip


def write(path, state, params=None, **rest):
    content = {"epoch": 102, "state_dict": state, "optimizer": {"state": {}}, **rest}
    torch.save(content if params is None else {**content, "params": params}, path)
    return path


def torchspatial_file(path, kind, inputs, *, hidden=(512,), extra=None, **changes):
    state = {**mlp_state(inputs, hidden), **classes_state(), **(extra or {})}
    params = settings(kind, hidden_dim=hidden[0] if hidden else 512, **changes)
    return write(path, state, params | {"num_hidden_layer": len(hidden)} | changes)


CSP_SETTINGS = {
    "frequency_num": 32, "min_radius": 0.1, "max_radius": 360.0, "spa_f_act": "leakyrelu",
    "dataset": "inat_2018", "rbf_kernal_size": 1.0,
}  # fmt: skip


def csp_params(kind="gridcell", **changes):
    params = settings(kind, **CSP_SETTINGS, **changes)
    del params["rbf_kernel_size"]
    return params


def csp_pair_file(path, *, trained=True, head="img_dec", **changes):
    """What LocationImageEncoder saves: everything twice, and a projection head."""
    inner = {**mlp_state(128), **classes_state(users=7)}
    if not trained:
        inner["class_emb.weight"] = (torch.rand(62, 256) * 2 - 1) / 16
    state = {f"loc_enc.{key}": value for key, value in inner.items()} | inner
    sizes = (256, 2048) if head == "img_dec" else (2048, 256)
    state |= {f"{head}.weight": draw(*sizes), f"{head}.bias": draw(sizes[0], scale=0.1)}
    state |= changes
    return write(path, state, csp_params(unsuper_loss="contsoftmax"))


def satclip_file(path, degrees=10, capacity=512, **changes):
    network = {
        "layers.0.weight": draw(capacity, degrees**2, scale=0.01),
        "layers.0.bias": draw(capacity, scale=0.01),
        "layers.1.weight": draw(capacity, capacity),
        "layers.1.bias": draw(capacity, scale=0.1),
        "last_layer.weight": draw(256, capacity, seed=1),
        "last_layer.bias": draw(256, scale=0.1),
    }
    network = {key: value.double() for key, value in network.items()}
    state = {"model.logit_scale": torch.tensor(2.66), "model.visual.fc.weight": draw(256, 2048)}
    state |= {f"model.nnet.{key}": value for key, value in network.items()}
    state |= {f"model.location.nnet.{key}": value for key, value in network.items()}
    hyper = {
        "le_type": "sphericalharmonics", "pe_type": "siren", "legendre_polys": degrees,
        "harmonics_calculation": "analytic", "embed_dim": 256, "capacity": capacity,
        "num_hidden_layers": 2, "min_radius": 0.1, "max_radius": 360, "frequency_num": 16,
    } | changes  # fmt: skip
    write(path, state, hyper_parameters=hyper)
    return path, network


def geoclip_state():
    state = {}
    for i, sigma in enumerate((1.0, 16.0, 256.0)):
        name = f"LocEnc{i}"
        state[f"{name}.capsule.0.b"] = draw(256, 2, seed=i, scale=sigma)
        for layer, size in ((1, (1024, 512)), (3, (1024, 1024)), (5, (1024, 1024))):
            state[f"{name}.capsule.{layer}.weight"] = draw(*size, seed=i + layer)
            state[f"{name}.capsule.{layer}.bias"] = draw(size[0], seed=i, scale=0.1)
        state[f"{name}.head.0.weight"] = draw(512, 1024, seed=i)
        state[f"{name}.head.0.bias"] = draw(512, seed=i, scale=0.1)
    return state


# The same, slowly


def array(tensor):
    return tensor.detach().double().numpy()


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def slow_mlp(features, state, slope, prefix="spa_enc."):
    """Give the embedding of features ``(N, F)`` by the formula of the published network."""
    state = {k.removeprefix(f"{prefix}ffn.layers."): array(v) for k, v in state.items()}
    value, layer = features, 0
    while f"{layer}.layernorm.weight" in state:
        hidden = value @ state[f"{layer}.linear.weight"].T + state[f"{layer}.linear.bias"]
        hidden = np.where(hidden > 0, hidden, slope * hidden)
        if hidden.shape == value.shape:
            hidden = hidden + value
        centred = hidden - hidden.mean(1, keepdims=True)
        normed = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        value = normed * state[f"{layer}.layernorm.weight"] + state[f"{layer}.layernorm.bias"]
        layer += 1
    result = value @ state[f"{layer}.linear.weight"].T + state[f"{layer}.linear.bias"]
    return np.where(result > 0, result, slope * result)


def slow_grid(lonlat, scales, least, most):
    rows = []
    for lon, lat in array(lonlat):
        row = []
        for degrees in (lon, lat):
            for s in range(scales):
                angle = degrees / (least * (most / least) ** (s / (scales - 1)))
                row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return np.array(rows)


def slow_fcnet(features, state):
    state = {key: array(value) for key, value in state.items()}
    value = np.maximum(features @ state["feats.0.weight"].T + state["feats.0.bias"], 0)
    block = 2
    while f"feats.{block}.w1.weight" in state:
        inner = value @ state[f"feats.{block}.w1.weight"].T + state[f"feats.{block}.w1.bias"]
        inner = np.maximum(inner, 0)
        outer = inner @ state[f"feats.{block}.w2.weight"].T + state[f"feats.{block}.w2.bias"]
        value = value + np.maximum(outer, 0)
        block += 1
    return value


def slow_wrap(lonlat):
    rows = []
    for lon, lat in array(lonlat):
        u, v = lon / 180, lat / 90
        rows.append([math.sin(math.pi * u), math.sin(math.pi * v),
                     math.cos(math.pi * u), math.cos(math.pi * v)])  # fmt: skip
    return np.array(rows)


def slow_harmonics(lonlat, degrees):
    """Give SatCLIP's basis: from the south pole and from -180°, order 0 π times too large."""
    phi, theta = np.radians(array(lonlat)[:, 0] + 180), np.radians(array(lonlat)[:, 1] + 90)
    columns = []
    for degree in range(degrees):
        for m in range(-degree, degree + 1):
            k = abs(m)
            norm = (2 * degree + 1) * math.factorial(degree - k) / math.factorial(degree + k)
            # SciPy has the phase of Condon and Shortley, the published basis has not.
            part = (-1) ** k * math.sqrt(norm / (4 * math.pi))
            part = part * special.lpmv(k, degree, np.cos(theta))
            if m == 0:
                columns.append(math.pi * part)
            else:
                wave = np.sin(k * phi) if m < 0 else np.cos(k * phi)
                columns.append(math.sqrt(2) * part * wave)
    return np.stack(columns, axis=1)


def slow_geoclip(lonlat, state):
    lon, lat = np.radians(array(lonlat)).T
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    theta = np.arcsin(np.sqrt(3) / 2 * np.sin(lat))
    below = 3 * (9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1)
    x = 2 * np.sqrt(3) * lon * np.cos(theta) / below
    y = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    plane = np.stack((x, y), axis=1) * 66.50336 / 180
    total = np.zeros((len(lon), 512))
    for i in range(3):
        part = {k.removeprefix(f"LocEnc{i}."): array(v) for k, v in state.items()}
        waves = 2 * np.pi * plane @ array(state[f"LocEnc{i}.capsule.0.b"]).T
        part = {k: array(state[f"LocEnc{i}.{k}"]) for k in part if f"LocEnc{i}.{k}" in state}
        value = np.concatenate((np.cos(waves), np.sin(waves)), axis=1)
        for layer in (1, 3, 5):
            value = value @ part[f"capsule.{layer}.weight"].T + part[f"capsule.{layer}.bias"]
            value = np.maximum(value, 0)
        total += value @ part["head.0.weight"].T + part["head.0.bias"]
    return total


def close(got, want, atol=1e-9):
    np.testing.assert_allclose(array(got), want, rtol=0, atol=atol)


def prior(model):
    return location_prior(model.double(), PLACES.double())


def again(model, folder):
    save_model(model, folder)
    return load_model(folder)


# Each source


@pytest.mark.parametrize("enc", ["sin_cos", None])
def test_sinr(tmp_path, enc):
    state = {"class_emb.weight": draw(300, 256, scale=0.2), **fcnet_state()}
    taxa = list(range(1000, 1300))
    params = {
        "model": "ResidualFCNet", "input_dim": 4, "num_classes": 300, "num_filts": 256,
        "depth": 4, "class_to_taxa": taxa, "device": "cuda",
    } | ({"input_enc": enc} if enc else {})  # fmt: skip
    path = tmp_path / "model.pt"
    torch.save({"state_dict": state, "params": params}, path)
    imported = read_checkpoint(path)
    model = imported.model
    assert imported.provenance["source"] == "sinr" and imported.provenance["license"] == "MIT"
    assert model.classes.names[:2] == ("1000", "1001")
    want = sigmoid(slow_fcnet(slow_wrap(PLACES), state) @ array(state["class_emb.weight"]).T)
    close(prior(model), want)
    close(prior(again(import_checkpoint(path), tmp_path / "m")), want)


def test_sinr_without_a_name_for_each_class(tmp_path):
    state = {"class_emb.weight": draw(5, 256), **fcnet_state(blocks=2)}
    for taxa in ([1, 2, 3], [1, 1, 2, 3, 4], "12345"):
        path = write(tmp_path / "m.pt", state, {"input_enc": "sin_cos", "class_to_taxa": taxa})
        imported = read_checkpoint(path)
        assert imported.model.classes.names[0] == "class 0"
        assert "no names" in imported.provenance["notes"][0]
    tensor = {"input_enc": "sin_cos", "class_to_taxa": torch.arange(7, 12)}
    assert import_checkpoint(write(path, state, tensor)).classes.names[0] == "7"


@pytest.mark.parametrize(("inputs", "says"), [(20, "20 environmental"), (24, "place and 20")])
def test_sinr_with_environment_is_refused(tmp_path, inputs, says):
    state = {"class_emb.weight": draw(9, 256), **fcnet_state(inputs)}
    path = write(tmp_path / "m.pt", state, {"input_enc": "env"})
    with pytest.raises(CheckpointError, match=says):
        import_checkpoint(path)
    linear = write(path, {"class_emb.weight": draw(9, 4)}, {"input_enc": "sin_cos"})
    with pytest.raises(CheckpointError, match="LinNet"):
        import_checkpoint(linear)


def geo_prior_file(path, inputs, **changes):
    params = {
        "dataset": "inat_2018", "use_date_feats": False, "loc_encode": "encode_cos_sin",
        "num_filts": 256, "num_classes": 62, "num_feats": 4, "num_users": 500, "lr": 0.0005,
        "map_range": (-180, 180, -90, 90), "device": "cuda", "train_loss": "full_loss_user",
    } | changes  # fmt: skip
    state = {**fcnet_state(inputs), **classes_state(users=500)}
    # Written in 2019, before torch wrote archives.
    content = {"epoch": 30, "state_dict": state, "optimizer": {}, "params": params}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path, state


def test_geo_prior(tmp_path):
    path, state = geo_prior_file(tmp_path / "model_inat_2018_no_date_final.pth.tar", 4)
    imported = read_checkpoint(path)
    assert imported.provenance["source"] == "geo_prior"
    assert imported.provenance["license"] == "none given"
    assert any("user_emb" in note for note in imported.provenance["notes"])
    assert imported.model.name == "model_inat_2018_no_date_final"
    want = sigmoid(slow_fcnet(slow_wrap(PLACES), state) @ array(state["class_emb.weight"]).T)
    close(prior(imported.model), want)


def test_geo_prior_without_encoding(tmp_path):
    path, state = geo_prior_file(tmp_path / "m.pth.tar", 2, loc_encode="encode_none")
    scaled = array(PLACES) / (180, 90)
    want = sigmoid(slow_fcnet(scaled, state) @ array(state["class_emb.weight"]).T)
    close(prior(import_checkpoint(path)), want)


@pytest.mark.parametrize(
    ("inputs", "changes", "says"),
    [
        (6, {"use_date_feats": True}, "takes a date"),
        (4, {"use_date_feats": True, "loc_encode": "encode_none"}, "takes a date"),
        (5, {}, "takes a date"),
        (3, {"loc_encode": "encode_3D"}, "'encode_3D' with 3 features"),
        (4, {"loc_encode": "encode_none"}, "'encode_none' with 4 features"),
    ],
)
def test_geo_prior_of_other_inputs_is_refused(tmp_path, inputs, changes, says):
    path, _ = geo_prior_file(tmp_path / "m.pth.tar", inputs, **changes)
    with pytest.raises(CheckpointError, match=says):
        import_checkpoint(path)


def test_satclip(tmp_path):
    """Theirs runs in double precision, ours in single: 1e-5 apart, and equal when made double."""
    path, network = satclip_file(tmp_path / "satclip-vit16-l10.ckpt")
    imported = read_checkpoint(path)
    model = imported.model
    value = slow_harmonics(PLACES, 10)
    for layer, w0 in ((0, 30.0), (1, 1.0)):
        weight, bias = (array(network[f"layers.{layer}.{p}"]) for p in ("weight", "bias"))
        value = np.sin(w0 * (value @ weight.T + bias))
    want = value @ array(network["last_layer.weight"]).T + array(network["last_layer.bias"])
    assert model.location.spec["compat"] == "reference"
    assert next(model.parameters()).dtype == torch.float32
    close(model.location(PLACES), want, atol=1e-5)
    close(again(model, tmp_path / "m").location(PLACES), want, atol=1e-5)
    close(model.double().location(PLACES.double()), want, atol=1e-6)
    assert model.classifier is None and len(model.classes) == 0
    assert any("double precision" in note for note in imported.provenance["notes"])
    assert any("image side" in note for note in imported.provenance["notes"])


def test_satclip_finds_its_degrees_by_shape(tmp_path):
    path, _ = satclip_file(tmp_path / "s.ckpt", degrees=40)
    assert import_checkpoint(path).location.spec["num_degrees"] == 40
    path, _ = satclip_file(tmp_path / "s.ckpt", degrees=12, legendre_polys=10)
    imported = read_checkpoint(path)
    assert imported.model.location.spec["num_degrees"] == 12
    assert "settings say legendre_polys 10, the tensors 12" in imported.provenance["notes"][0]


def test_satclip_of_other_kinds(tmp_path):
    path, _ = satclip_file(tmp_path / "s.ckpt", degrees=2, le_type="wrap")
    assert import_checkpoint(path).location.spec["name"] == "wrap_radians"
    cases = (
        ({"harmonics_calculation": "closed-form"}, "closed-form"),
        ({"le_type": "theory"}, "'theory' with 100 features"),
        ({"le_type": "wrap"}, "'wrap' with 100 features"),
    )
    for changes, says in cases:
        path, _ = satclip_file(tmp_path / "s.ckpt", **changes)
        with pytest.raises(CheckpointError, match=says):
            import_checkpoint(path)
    state = {"model.location.nnet.feats.0.weight": draw(256, 100)}
    path = write(tmp_path / "s.ckpt", state, hyper_parameters={"pe_type": "fcnet"})
    with pytest.raises(CheckpointError, match="'fcnet'"):
        import_checkpoint(path)


def test_copies_that_differ_are_refused(tmp_path):
    path, network = satclip_file(tmp_path / "s.ckpt", capacity=64)
    state = {f"model.nnet.{key}": value for key, value in network.items()}
    state |= {f"model.location.nnet.{key}": value + 1 for key, value in network.items()}
    with pytest.raises(CheckpointError, match="twice, but not the same"):
        import_checkpoint(write(path, state, hyper_parameters={}))
    path = csp_pair_file(tmp_path / "c.pth.tar", **{"class_emb.weight": draw(62, 256, seed=77)})
    with pytest.raises(CheckpointError, match=r"'class_emb.weight' twice"):
        import_checkpoint(path)


def test_geoclip(tmp_path):
    state = geoclip_state()
    path = tmp_path / "location_encoder_weights.pth"
    torch.save(state, path)
    model = import_checkpoint(path)
    assert model.dim == 512 and model.classifier is None
    want = slow_geoclip(PLACES, state)
    # Waves of 256 cycles a unit turn the rounding of single precision into 1e-4 of an angle.
    close(model.location(PLACES), want, atol=1e-3)
    close(model.double().location(PLACES.double()), want)
    del state["LocEnc2.capsule.0.b"]
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="2 scales"):
        import_checkpoint(path)


def test_csp_location_encoder(tmp_path):
    state = {**mlp_state(128), **classes_state(count=100)}
    path = write(tmp_path / "model_inat_2018_gridcell.pth.tar", state, csp_params())
    imported = read_checkpoint(path)
    assert imported.provenance["source"] == "csp"
    assert "settings say num_classes 62, the tensors 100" in imported.provenance["notes"][0]
    embedding = slow_mlp(slow_grid(PLACES, 32, 0.1, 360.0), state, LEAKY["leakyrelu"])
    close(imported.model.double().location(PLACES.double()), embedding)
    close(prior(imported.model), sigmoid(embedding @ array(state["class_emb.weight"]).T))


def test_csp_location_image_encoder(tmp_path):
    imported = read_checkpoint(csp_pair_file(tmp_path / "m.pth.tar"))
    model = imported.model
    state = torch.load(tmp_path / "m.pth.tar", weights_only=True)["state_dict"]
    embedding = slow_mlp(slow_grid(PLACES, 32, 0.1, 360.0), state, 0.2)
    features = draw(3, 2048)
    projected = array(features) @ array(state["img_dec.weight"]).T + array(state["img_dec.bias"])
    for one in (model, again(model, tmp_path / "model")):
        close(one.embed_image(features), projected, atol=1e-5)
        close(one.double().location(PLACES.double()), embedding)
    assert len(model.classes) == 62
    # No copy is left over: each tensor of the file stands in the model once.
    assert len(model.state_dict()) == 6 + 1 + 2


def test_csp_pre_trained_alone_has_no_classes(tmp_path):
    imported = read_checkpoint(csp_pair_file(tmp_path / "m.pth.tar", trained=False))
    assert imported.model.classifier is None and len(imported.model.classes) == 0
    assert any("classes are left out" in note for note in imported.provenance["notes"])


def test_csp_with_the_head_on_the_location_side(tmp_path):
    model = import_checkpoint(csp_pair_file(tmp_path / "m.pth.tar", head="loc_dec"))
    assert model.image_head is None
    assert model.predict_features(PLACES).shape == (6, 2048)
    same = again(model, tmp_path / "model")
    close(same.predict_features(PLACES), array(model.predict_features(PLACES)), atol=0)


def test_csp_geo_net_with_images(tmp_path):
    inner = {**fcnet_state(), **classes_state()}
    state = {f"{prefix}{k}": v for prefix in ("loc_enc.", "spa_enc.") for k, v in inner.items()}
    state |= {"class_emb.weight": inner["class_emb.weight"]}
    state |= {"user_emb.weight": inner["user_emb.weight"]}
    state |= {"img_dec.weight": draw(256, 2048), "img_dec.bias": draw(256)}
    imported = read_checkpoint(write(tmp_path / "m.pth.tar", state, csp_params("geo_net")))
    assert imported.provenance["source"] == "csp"
    want = slow_fcnet(slow_wrap(PLACES), inner) @ array(inner["class_emb.weight"]).T
    close(prior(imported.model), sigmoid(want))


# Encodings of TorchSpatial

SPHERE = {"min_radius": 0.001, "max_radius": 1.0}
RFF = {
    "spa_enc.position_encoder.dirvec": draw(2, 64),
    "spa_enc.position_encoder.shift": draw(64),
}
KINDS = {
    "Space2Vec-grid": (256, {"name": "grid", "num_scales": 64, **SPHERE}),
    "Space2Vec-theory": (384, {"name": "theory", "num_scales": 64, **SPHERE}),
    "Sphere2Vec-sphereC": (192, {"name": "sphere_c", "num_scales": 64, **SPHERE}),
    "Sphere2Vec-sphereC+": (384, {"name": "sphere_c_plus", "num_scales": 64, **SPHERE}),
    "Sphere2Vec-sphereM": (320, {"name": "sphere_m", "num_scales": 64, **SPHERE}),
    "Sphere2Vec-sphereM+": (
        512, {"name": "sphere_m_plus", "num_scales": 64, **SPHERE, "compat": "reference"}
    ),
    "Sphere2Vec-dfs": (288, {"name": "dfs", "num_scales": 8, **SPHERE, "compat": "reference"}),
    "NeRF": (96, {"name": "nerf", "num_scales": 16}),
    "wrap_ffn": (4, {"name": "wrap"}),
    "xyz": (3, {"name": "xyz"}),
    "naive": (2, {"name": "direct", "extent": [-180.0, -90.0, 180.0, 90.0]}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_encodings_of_torchspatial(tmp_path, kind):
    inputs, spec = KINDS[kind]
    path = torchspatial_file(tmp_path / "m.pth.tar", kind, inputs)
    imported = read_checkpoint(path)
    found = dict(imported.model.location.spec)
    del found["network"]
    assert (imported.provenance["source"], found) == ("torchspatial", spec)
    state = torch.load(path, weights_only=True)["state_dict"]
    options = {key: value for key, value in spec.items() if key != "name"}
    features = ENCODINGS[spec["name"]](**options)(PLACES.double())
    want = slow_mlp(array(features), state, 0.0) @ array(state["class_emb.weight"]).T
    close(prior(imported.model), sigmoid(want))
    assert any("max_radius of 1" in n for n in imported.provenance["notes"]) == ("compat" in spec)


def test_sphere2vec_itself_has_the_right_frequencies(tmp_path):
    state = {**mlp_state(512), **classes_state()}
    path = write(tmp_path / "m.pth.tar", state, csp_params("spheregridmixscale"))
    assert import_checkpoint(path).location.spec["compat"] is None


@pytest.mark.parametrize("hidden", [(), (96,), (128, 128), (512, 512, 512)])
def test_networks_by_shape(tmp_path, hidden):
    """A skip stands wherever two widths are equal, also before the first hidden layer."""
    path = torchspatial_file(tmp_path / "m.pth.tar", "NeRF", 96, hidden=hidden)
    model = import_checkpoint(path)
    state = torch.load(path, weights_only=True)["state_dict"]
    assert model.location.spec["network"]["num_hidden"] == len(hidden)
    features = array(ENCODINGS["nerf"]()(PLACES.double()))
    want = slow_mlp(features, state, 0.0) @ array(state["class_emb.weight"]).T
    close(prior(model), sigmoid(want))


def test_shapes_are_believed_before_settings(tmp_path):
    """Evaluations write their own settings over those of the training."""
    changes = {"num_filts": 128, "num_hidden_layer": 3, "frequency_num": 16}
    path = torchspatial_file(tmp_path / "m.pth.tar", "Sphere2Vec-sphereC", 192, **changes)
    imported = read_checkpoint(path)
    spec = imported.model.location.spec
    assert (imported.model.dim, spec["num_scales"], spec["network"]["num_hidden"]) == (256, 64, 1)
    said = " ".join(imported.provenance["notes"])
    for words in ("num_filts 128, the tensors 256", "frequency_num 16, the tensors 64"):
        assert words in said
    path = torchspatial_file(tmp_path / "m.pth.tar", "Space2Vec-grid", 3)
    imported = read_checkpoint(path)
    assert imported.model.location.spec["name"] == "xyz"
    assert "The settings say Space2Vec-grid, the tensors xyz" in imported.provenance["notes"][0]


def test_random_fourier_features(tmp_path):
    path = torchspatial_file(tmp_path / "m.pth.tar", "rff", 64, extra=RFF)
    model = import_checkpoint(path)
    state = torch.load(path, weights_only=True)["state_dict"]
    omega, shift = (array(value) for value in RFF.values())
    features = math.sqrt(2 / 64) * np.cos(array(PLACES) / (180, 90) @ omega + shift)
    want = slow_mlp(features, state, 0.0) @ array(state["class_emb.weight"]).T
    for one in (model, again(model, tmp_path / "model")):
        close(prior(one), sigmoid(want))


@pytest.mark.parametrize(
    ("data", "extent", "says"),
    [
        ("fmow", [-180.0, -90.0, 180.0, 90.0], "the world is taken"),
        ("yfcc", [-162.0, 20.0, -59.0, 56.0], "default of later evaluations"),
    ],
)
def test_the_box_that_evaluations_overwrote(tmp_path, data, extent, says):
    changes = {"map_range": [-162, -59, 20, 56], "dataset": data}
    path = torchspatial_file(tmp_path / "m.pth.tar", "rff", 64, extra=RFF, **changes)
    imported = read_checkpoint(path)
    assert imported.model.location.spec["extent"] == extent
    assert any(says in note for note in imported.provenance["notes"])


def test_original_csp_keeps_rff_one_level_higher(tmp_path):
    extra = {key.replace("position_encoder.", ""): value for key, value in RFF.items()}
    state = {**mlp_state(64), **classes_state(), **extra}
    imported = read_checkpoint(write(tmp_path / "m.pth.tar", state, csp_params("rff")))
    assert imported.provenance["source"] == "csp"
    assert imported.model.location.encoding.omega.equal(RFF["spa_enc.position_encoder.dirvec"])


def test_tile_of_one_row(tmp_path):
    key = "spa_enc.position_encoder.embedding.weight"
    path = tmp_path / "m.pth.tar"
    torchspatial_file(path, "tile_ffn", 256, extra={key: draw(1, 256)}, min_radius=2.6e-6)
    imported = read_checkpoint(path)
    scores = location_prior(imported.model, PLACES)
    assert (scores == scores[0]).all()
    assert any("the same at every place" in note for note in imported.provenance["notes"])
    torchspatial_file(path, "tile_ffn", 256, extra={key: draw(10, 256)})
    with pytest.raises(CheckpointError, match=r"table of the shape \(10, 256\)"):
        import_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_rbf_is_read_and_refused(tmp_path, zipped):
    """Its settings hold NumPy numbers: row numbers of records that are not there."""
    ids = [np.int64(7), np.float32(0.5), np.bool_(True), np.uint8(3)]
    content = {
        "state_dict": {**mlp_state(200), **classes_state()},
        "params": settings("rbf", rbf_anchor_pt_ids=ids),
    }
    path = tmp_path / "m.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert reading.read_file(path).params["rbf_anchor_pt_ids"] == [7, 0.5, True, 3]
    with pytest.raises(CheckpointError, match="row numbers of training records"):
        import_checkpoint(path)


@pytest.mark.parametrize(
    ("inputs", "changes", "says"),
    [
        (190, {}, "no whole number of scales"),
        (192, {"freq_init": "random"}, "'random'"),
        (192, {"min_radius": "small"}, "min_radius above 0"),
        (192, {"min_radius": 2.0}, "does not fit together"),
        (192, {"spa_f_act": "swish"}, "'swish'"),
        (192, {"spa_enc_type": "hexagridcell"}, "no counterpart"),
        (192, {"spa_enc_type": "xyz"}, "tensors are of another"),
        (192, {"spa_enc_type": ["grid"]}, "no stored settings"),
        (512, {"spa_enc_type": "Space2Vec-grid", "skip_connection": False}, "without skips"),
    ],
)
def test_files_that_contradict_themselves(tmp_path, inputs, changes, says):
    path = torchspatial_file(tmp_path / "m.pth.tar", "Sphere2Vec-sphereC", inputs, **changes)
    with pytest.raises(CheckpointError, match=says):
        import_checkpoint(path, source="torchspatial")


def test_settings_are_needed_where_shapes_do_not_tell(tmp_path):
    path = write(tmp_path / "m.pth.tar", {**mlp_state(192), **classes_state()})
    with pytest.raises(CheckpointError, match="csp or torchspatial; say which one"):
        import_checkpoint(path)
    with pytest.raises(CheckpointError, match="no stored settings"):
        import_checkpoint(path, source="csp")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spa_enc.ffn.layers.0.layernorm.weight": None}, "without layer norm"),
        ({"spa_enc.ffn.layers.0.linear.weight": None}, r"layers \[1\] only"),
        ({"spa_enc.ffn.layers.1.linear.bias": None}, "Missing key"),
        ({"class_emb.weight": draw(62, 100)}, "size mismatch"),
        ({"class_emb.weight": draw(62)}, "2 axes of floating-point"),
        ({"spa_enc.ffn.layers.0.linear.weight": torch.ones(())}, "2 axes of floating-point"),
        ({"spa_enc.attention.weight": draw(3, 3)}, "that its source has not"),
        ({"class_emb.weight": torch.full((62, 256), torch.nan)}, "no finite numbers"),
        ({"class_emb.weight": torch.ones(62, 256, dtype=torch.bool)}, "torch.bool"),
    ],
)
def test_damaged_weights(tmp_path, change, says):
    state = {**mlp_state(192), **classes_state(), **change}
    state = {key: value for key, value in state.items() if value is not None}
    path = write(tmp_path / "m.pth.tar", state, settings("Sphere2Vec-sphereC"))
    with pytest.raises(CheckpointError, match=says) as failed:
        import_checkpoint(path)
    assert "\n" not in str(failed.value)


# Files that are none of these


class Canary:
    """Touches a file when it is unpickled by a loader that executes."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["archive", "legacy", "pickle", "state"])
def test_nothing_is_executed(tmp_path, form):
    canary, path = tmp_path / "canary", tmp_path / "model.pth.tar"
    evil = Canary(canary)
    if form == "pickle":
        path.write_bytes(pickle.dumps(evil))
    elif form == "state":
        torch.save({"state_dict": {**geoclip_state(), "x": evil}}, path)
    else:
        content = {"state_dict": mlp_state(3), "params": {"device": evil}}
        torch.save(content, path, _use_new_zipfile_serialization=form == "archive")
    with pytest.raises(CheckpointError) as failed:
        import_checkpoint(path)
    assert not canary.exists()
    said = str(failed.value)
    assert said.startswith("model.pth.tar ") and "\n" not in said and said.count(". ") <= 1
    if form != "pickle":
        assert "asks for posix.system" in said or "asks for os.system" in said
    # The canary would have sung.
    if form == "pickle":
        pickle.loads(path.read_bytes())
        assert canary.exists()


@pytest.mark.parametrize("value", [np.array([1, 2]), np.array(["a"], dtype=object)[0:1], Path("x")])
def test_of_numpy_only_numbers_are_read(tmp_path, value):
    params = settings("xyz", rbf_anchor_pt_ids=value)
    path = write(tmp_path / "m.pth.tar", {**mlp_state(3), **classes_state()}, params)
    with pytest.raises(CheckpointError, match="asks for"):
        import_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_truncated(tmp_path, zipped, part):
    content = {"state_dict": {**mlp_state(3), **classes_state()}, "params": settings("xyz")}
    path = tmp_path / "m.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(CheckpointError, match="cut short") as failed:
        import_checkpoint(path)
    assert "\n" not in str(failed.value)


def test_files_of_other_kinds(tmp_path, monkeypatch):
    path = tmp_path / "m.pth.tar"
    with pytest.raises(DataNotFoundError, match=r"No file .*m\.pth\.tar"):
        import_checkpoint(path)
    with pytest.raises(CheckpointError, match="is a folder"):
        import_checkpoint(tmp_path)
    for content, says in ((b"", "has 0 bytes"), (b"lon,lat\n1,2\n", "no file that torch.save")):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=says):
            import_checkpoint(path)
    for names in (("word/document.xml",), ("m/data.pkl", "m/constants.pkl")):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")
        with pytest.raises(CheckpointError, match="not of weights"):
            import_checkpoint(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"x" * 1000)
    with pytest.raises(CheckpointError, match="compressed inside"):
        import_checkpoint(path)
    write(path, mlp_state(3))
    whole = bytearray(path.read_bytes())
    whole[whole.rindex(b"PK\x01\x02") + 6] = 233  # an archive of a future version
    path.write_bytes(bytes(whole))
    with pytest.raises(CheckpointError, match="cut short or damaged"):
        import_checkpoint(path)
    for value in (torch.ones(3), {"state_dict": [1]}, {}, {"state_dict": {"a": 1}}):
        torch.save(value, path)
        with pytest.raises(CheckpointError, match="no weights by name"):
            import_checkpoint(path)
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    write(path, mlp_state(3))
    with pytest.raises(CheckpointError, match="at most 1,000"):
        import_checkpoint(path)


def test_tensors_larger_than_their_file(tmp_path):
    state = {**mlp_state(3), **classes_state()}
    state["class_emb.weight"] = torch.ones(1, 1).expand(10**8, 256)
    with pytest.raises(CheckpointError, match="holds in full"):
        import_checkpoint(write(tmp_path / "m.pth.tar", state, settings("xyz")))


RESNET = {"conv1.weight": draw(64, 3, 7, 7), "bn1.weight": draw(64), "fc.weight": draw(10, 512)}


def test_other_families(tmp_path):
    path = tmp_path / "resnet18.pth"
    torch.save(RESNET, path)
    with pytest.raises(CheckpointError, match=r"conv1\.weight.* fit none of the sources") as failed:
        import_checkpoint(path)
    assert all(name in str(failed.value) for name in IMPORTERS)


def test_the_wrong_source(tmp_path):
    path = torchspatial_file(tmp_path / "m.pth.tar", "xyz", 3)
    with pytest.raises(CheckpointError, match=r"is not of sinr.* seems to be of torchspatial"):
        import_checkpoint(path, source="sinr")
    with pytest.raises(UnknownNameError, match=r"Unknown source 'satclp'\. Did you mean 'satclip'"):
        import_checkpoint(path, source="satclp")
    torch.save(RESNET, path)
    for source in IMPORTERS:
        with pytest.raises(CheckpointError, match=f"is not of {source}.* nor of any other"):
            import_checkpoint(path, source=source)


def test_importing_draws_nothing(tmp_path):
    path = torchspatial_file(tmp_path / "m.pth.tar", "xyz", 3)
    before = torch.random.get_rng_state()
    import_checkpoint(path)
    assert torch.random.get_rng_state().equal(before)


def test_each_source_has_its_facts():
    assert set(SOURCES) == set(IMPORTERS)
    text = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    for name, source in SOURCES.items():
        assert f"`{name}`" in text and source.repository in text


# Cards, class names and the command


def test_card(tmp_path):
    imported = read_checkpoint(
        torchspatial_file(tmp_path / "m.pth.tar", "Sphere2Vec-sphereM+", 512)
    )
    card = write_import_card(imported.model, imported.provenance)
    for part in (
        "CC BY-NC 4.0", "seai-lab/TorchSpatial", "m.pth.tar", imported.provenance["sha256"],
        "- num_classes: 62", "- min_radius: 0.001", "forgets min_radius", "are no percentages",
    ):  # fmt: skip
        assert part in card
    assert "settings say" not in card
    save_model(imported.model, tmp_path / "m", texts={"README.md": card})
    torch.save(geoclip_state(), tmp_path / "location_encoder_weights.pth")
    imported = read_checkpoint(tmp_path / "location_encoder_weights.pth")
    assert "ranks no classes" in write_import_card(imported.model, imported.provenance)


def names_csv(path, rows, header="class,scientific_name,common_name"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return path


def test_class_names(tmp_path):
    path = names_csv(tmp_path / "c.csv", ['1,"Aba, alta",High Aba', "0,Ceta,"])
    table = read_class_names(path, 2)
    assert table.names == ("Ceta", "Aba, alta") and table.common_names == ("", "High Aba")
    path = names_csv(tmp_path / "c.csv", ["0,Ceta", "1,Dora"], "class,scientific_name")
    assert read_class_names(path, 2).common_names == ("", "")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["0,Ceta,"], "class 1 is missing"),
        (["0,Ceta,", "0,Dora,"], "line 3: class 0 stands there twice"),
        (["0,Ceta,", "2,Dora,"], r"line 3, column 'class': '2' is no class"),
        (["0,Ceta,", "one,Dora,"], "'one' is no class"),
        (["0,,", "1,Dora,"], "the name is empty"),
        (["0,Ceta,", "1,Ceta,"], "unique"),
    ],
)
def test_class_names_that_do_not_fit(tmp_path, rows, says):
    with pytest.raises(BadRecordError, match=says):
        read_class_names(names_csv(tmp_path / "c.csv", rows), 2)


def test_class_names_of_other_files(tmp_path):
    with pytest.raises(BadRecordError, match="no column 'class'"):
        read_class_names(names_csv(tmp_path / "c.csv", ["0,Ceta"], "id,name"), 1)
    with pytest.raises(DataNotFoundError):
        read_class_names(tmp_path / "none.csv", 1)
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRecordError):
        read_class_names(tmp_path / "c.csv", 1)


def test_command(csp, tmp_path):
    path = torchspatial_file(tmp_path / "fmow_xyz.pth.tar", "xyz", 3)
    names = names_csv(tmp_path / "names.csv", [f"{i},Taxon {i}," for i in range(62)])
    out = tmp_path / "models" / "fmow"
    code, printed, err = csp("import-model", path, out, "--classes", names, "--json")
    assert code == 0, err
    report = json.loads(printed)
    assert (report["model"], report["name"], report["source"]) == (
        str(out), "fmow_xyz", "torchspatial",
    )  # fmt: skip
    assert (report["num_classes"], report["dim"]) == (62, 256)
    assert report["from_shapes"]["encoding"] == report["location"]["name"] == "xyz"
    assert any("named by names.csv" in note for note in report["notes"])
    stored = json.loads((out / "config.json").read_text())["provenance"]["imported"]
    assert stored["sha256"] == report["sha256"]
    assert "CC BY-NC 4.0" in (out / "README.md").read_text()

    code, printed, err = csp("predict", out, "--lon", 8, "--lat", 50, "--top", 2, "--json")
    first = json.loads(printed)["results"][0]
    scores = location_prior(import_checkpoint(path), torch.tensor([[8.0, 50.0]]))[0]
    assert first["taxon"] == f"Taxon {scores.argmax()}"
    assert first["value"] == pytest.approx(scores.max().item(), abs=1e-6)

    code, printed, err = csp("import-model", path, out)
    assert code == 1 and printed == "" and "give a new folder" in err


def test_command_on_a_location_encoder_alone(csp, tmp_path):
    path, _ = satclip_file(tmp_path / "satclip.ckpt", capacity=64)
    code, printed, err = csp("import-model", path, tmp_path / "m", "--source", "satclip")
    assert code == 0, err
    assert "no classes: a location encoder alone" in printed and "Licence: MIT." in printed
    code, printed, err = csp("predict", tmp_path / "m", "--lon", 8, "--lat", 50)
    assert code == 1 and printed == ""
    assert "ranks no classes" in err and err.count("\n") == 1
    names = names_csv(tmp_path / "names.csv", ["0,Ceta,"])
    code, _, err = csp("import-model", path, tmp_path / "n", "--classes", names)
    assert code == 1 and "no classes to be named" in err and not (tmp_path / "n").exists()


def test_command_fails_in_one_line_and_leaves_nothing(csp, tmp_path):
    path = tmp_path / "resnet18.pth"
    torch.save({**RESNET, "x": Canary(tmp_path / "canary")}, path)
    code, printed, err = csp("import-model", path, tmp_path / "m")
    assert code == 1 and printed == "" and err.startswith("Error: ") and err.count("\n") == 1
    assert not (tmp_path / "m").exists() and not (tmp_path / "canary").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    good = torchspatial_file(tmp_path / "m.pth.tar", "xyz", 3)
    for out in (tmp_path / "full", path):
        code, _, err = csp("import-model", good, out)
        assert code == 1 and "not empty" in err
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine" and path.is_file()


def test_other_weights_of_a_file_are_told(tmp_path):
    content = torch.load(torchspatial_file(tmp_path / "a.pth.tar", "xyz", 3), weights_only=True)
    state = content["state_dict"]
    averaged = {name: value + 1 for name, value in state.items()}
    torch.save({**content, "ema_state_dict": averaged}, tmp_path / "b.pth.tar")
    one, both = (read_checkpoint(tmp_path / f"{name}.pth.tar") for name in "ab")
    places = torch.tensor([[10.0, 20.0]])
    torch.testing.assert_close(*(location_prior(m.model, places) for m in (one, both)))
    told = "The weights are those of 'state_dict' in the file; 'ema_state_dict' beside it"
    assert any(told in note for note in both.provenance["notes"])
    assert not any("beside it" in note for note in one.provenance["notes"])


@pytest.mark.parametrize("kept", ["delta", "exp_avg", "grads"])
def test_what_is_named_as_weights_and_is_none_is_refused(tmp_path, kept):
    content = torch.load(torchspatial_file(tmp_path / "a.pth.tar", "xyz", 3), weights_only=True)
    state = {f"{kept}.{name}": value for name, value in content["state_dict"].items()}
    torch.save({**content, "state_dict": state}, tmp_path / "b.pth.tar")
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "b.pth.tar")
