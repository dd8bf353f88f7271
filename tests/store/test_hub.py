"""Models shared on a hub of this machine and loaded from there, and all that may go wrong."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from csp_core.config.limits import check_limits
from csp_core.config.paths import PATHS
from csp_core.errors import CheckpointError, ConfigError, CspError
from csp_core.inference import location_prior
from csp_core.store import (
    fetch_model,
    find_model,
    list_models,
    load_model,
    read_card,
    read_model_config,
    share_model,
)
from csp_core.store.hub import fetch
from csp_core.store.hub.card import hub_card
from csp_core.store.hub.client import UnreachableError
from csp_core.store.hub.copies import home
from csp_core.store.hub.names import KNOWN, parse_hub_name
from csp_core.training import train
from tests import small
from tests.hub import Hub, at_hand

# The hub's client sends large files in a way that its own library calls out of date.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")
PLACES = torch.tensor([[36.8, -1.3], [180.0, -18.0], [16.4, 48.2]])


@pytest.fixture
def hub(monkeypatch):
    """A hub that is empty."""
    with at_hand(monkeypatch) as found:
        yield found


@pytest.fixture
def own(model_dir, tmp_path) -> Path:
    """A copy of a trained model, to be changed."""
    return Path(shutil.copytree(model_dir, tmp_path / "own"))


def put(hub: Hub, folder: Path, name: str = "me/birds", **more: bytes) -> None:
    """Put the files of a folder on the hub, some of them replaced."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.add(name, files | {key.replace("__", "."): value for key, value in more.items()})


def again() -> None:
    """Let a minute pass."""
    fetch._asked.clear()


def away(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the connection away."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again()


def test_what_is_shared_answers_as_before(hub, model_dir):
    told = share_model(model_dir, "hf:me/birds")
    loaded = load_model("hf:me/birds")
    before = load_model(model_dir)
    assert torch.equal(location_prior(loaded, PLACES), location_prior(before, PLACES))
    assert loaded.classes == before.classes and loaded.calibration == before.calibration
    assert torch.equal(loaded.support.near(36.8, -1.3).per_class,
                       before.support.near(36.8, -1.3).per_class)  # fmt: skip
    assert told.name == "hf:me/birds" and told.address == f"{hub.address}/me/birds"
    assert hub.repositories["me/birds"].names["main"] == told.commit
    assert len(hub.repositories["me/birds"].messages) == 2  # that of the hub, and one of ours
    assert read_card("hf:me/birds") == read_card(model_dir)


def test_nothing_but_the_files_of_a_model_is_sent(hub, own):
    for name in ("records.csv", "model.pt", ".env", "notes.txt", "support.safetensors.bak"):
        (own / name).write_text("mine")
    (own / "sub").mkdir()
    told = share_model(own, "hf:me/birds")
    assert set(hub.files("me/birds")) == set(told.files) | {".gitattributes"}
    assert set(told.files) <= set(KNOWN)
    assert set(told.left) == {"records.csv", "model.pt", ".env", "notes.txt", "sub",
                              "support.safetensors.bak"}  # fmt: skip


def test_nothing_but_the_files_of_a_model_is_fetched(hub, model_dir):
    put(hub, model_dir, pytorch_model__bin=b"pickle", train__py=b"import os", records__csv=b"1,2")
    folder = fetch_model("hf:me/birds")
    assert {path.name for path in folder.iterdir()} == {p.name for p in model_dir.iterdir()}
    assert not any(word in line for line in hub.asked for word in (".bin", ".py", "records"))
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_the_hub_is_asked_once_a_minute_and_files_are_fetched_once(hub, model_dir):
    put(hub, model_dir)
    load_model("hf:me/birds")
    hub.asked.clear()
    load_model("hf:me/birds")
    find_model(Path("hf:me/birds"))
    assert hub.asked == []
    again()
    load_model("hf:me/birds")
    assert hub.asked == ["GET /api/models/me/birds/revision/main"]


def test_a_newer_revision_is_fetched_and_an_older_one_by_name(hub, model_dir, own):
    put(hub, model_dir)
    first = fetch_model("hf:me/birds")
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"name": "second"}))
    told = share_model(own, "hf:me/birds")
    hub.repositories["me/birds"].names["v1"] = first.name
    assert load_model("hf:me/birds").name == "second"
    assert load_model("hf:me/birds@v1").name == load_model(model_dir).name
    hub.asked.clear()
    # A commit never changes, so that nobody is asked for a copy of it.
    assert load_model(f"hf:me/birds@{told.commit}").name == "second" and hub.asked == []


def test_files_of_an_earlier_version_go_in_the_same_commit(hub, own):
    share_model(own, "hf:me/birds")
    for name in ("support.safetensors", "support.json"):
        (own / name).unlink()
    share_model(own, "hf:me/birds")
    assert "support.safetensors" not in hub.files("me/birds")
    assert ".gitattributes" in hub.files("me/birds")
    assert len(hub.repositories["me/birds"].messages) == 3
    assert load_model("hf:me/birds").support is None


def test_a_branch_of_its_own(hub, model_dir):
    share_model("demo", "hf:me/birds")
    repository = hub.repositories["me/birds"]
    repository.names["other"] = repository.names["main"]
    share_model(model_dir, "hf:me/birds@other")
    assert load_model("hf:me/birds").name == "demo"
    assert load_model("hf:me/birds@other").name == load_model(model_dir).name
    with pytest.raises(CheckpointError, match="me/birds has no revision 'none'"):
        share_model(model_dir, "hf:me/birds@none")
    with pytest.raises(CheckpointError, match="a commit, which never changes"):
        share_model(model_dir, f"hf:me/birds@{repository.names['main']}")


def test_a_private_one(hub, model_dir, monkeypatch):
    share_model(model_dir, "hf:me/birds", private=True)
    assert hub.repositories["me/birds"].private
    load_model("hf:me/birds")
    shutil.rmtree(home())
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(CheckpointError, match=r"no model me/birds on .* private one, for which"):
        load_model("hf:me/birds")


def test_without_a_connection_the_copy_answers_and_says_so(hub, model_dir, monkeypatch, caplog):
    put(hub, model_dir)
    kept = fetch_model("hf:me/birds")
    away(hub, monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert fetch_model("hf:me/birds") == kept
        assert fetch_model("hf:me/birds") == kept
    (said,) = [record.getMessage() for record in caplog.records]
    assert "http://127.0.0.1:9 cannot be reached" in said
    assert (
        re.search(r"The copy fetched on \d{4}-\d\d-\d\d answers", said) and kept.name[:12] in said
    )


@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_is_down_is_one_that_cannot_be_reached(hub, model_dir, caplog, status):
    put(hub, model_dir)
    kept = fetch_model("hf:me/birds")
    again()
    hub.down = status
    assert fetch_model("hf:me/birds") == kept
    assert "cannot be reached" in caplog.text and "answers (revision" in caplog.text


@pytest.mark.parametrize("name", ["hf:me/other", "hf:me/birds@v2"])
def test_without_a_connection_or_a_copy(hub, model_dir, monkeypatch, name):
    put(hub, model_dir)
    fetch_model("hf:me/birds")
    away(hub, monkeypatch)
    with pytest.raises(UnreachableError, match=r"cannot be reached .* No copy of it was fetched"):
        load_model(name)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        share_model(model_dir, name)


def test_when_the_hub_is_forbidden(hub, model_dir, monkeypatch):
    from huggingface_hub import constants, utils

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    utils.close_session()
    try:
        with pytest.raises(UnreachableError, match="HF_HUB_OFFLINE forbids to ask it"):
            load_model("hf:me/birds")
    finally:
        monkeypatch.undo()
        utils.close_session()


def test_no_such_repository_or_revision(hub, model_dir):
    with pytest.raises(CheckpointError, match=r"There is no model me/birds on .* may not see it"):
        load_model("hf:me/birds")
    put(hub, model_dir)
    with pytest.raises(CheckpointError, match=r"me/birds has no revision 'v9' on .*give a branch"):
        load_model("hf:me/birds@v9")


def test_a_repository_of_something_else(hub, model_dir):
    hub.add("me/other", {"pytorch_model.bin": b"x", "tokenizer.json": b"{}", "a.py": b""})
    with pytest.raises(
        CheckpointError,
        match=r"no model of csp_core: it holds a\.py, pytorch_model\.bin, tokenizer\.json, and"
        r" config\.json, classes\.csv",
    ):
        load_model("hf:me/other")
    put(hub, model_dir, "me/third", config__json=b'{"model_type": "bert"}')
    hub.asked.clear()
    with pytest.raises(CheckpointError, match=r"config\.json is of another program or version"):
        load_model("hf:me/third")
    assert not any("model.safetensors" in line for line in hub.asked)
    with pytest.raises(CheckpointError, match="me/third is no model of csp_core"):
        share_model(model_dir, "hf:me/third")
    assert hub.files("me/third")["config.json"] == b'{"model_type": "bert"}'
    assert list_models()[-1].name != "hf:me/third" and not list(home().rglob("config.json"))


def test_files_that_are_too_large(hub, model_dir, monkeypatch):
    put(hub, model_dir)
    hub.claims["classes.csv"] = KNOWN["classes.csv"] + 1
    with pytest.raises(CheckpointError, match=r"classes\.csv of hf:me/birds has 33,554,433 bytes"):
        load_model("hf:me/birds")
    hub.claims.clear()
    # What is sent counts, whatever was said of it before.
    monkeypatch.setitem(KNOWN, "metrics.json", 3)
    hub.claims["metrics.json"] = 2
    with pytest.raises(CheckpointError, match=r"metrics\.json of hf:me/birds has [\d,]+ bytes"):
        load_model("hf:me/birds")
    assert not list(home().rglob("config.json"))


def test_damaged_files_are_told_as_everywhere(hub, model_dir):
    put(hub, model_dir, model__safetensors=b"no tensors")
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        load_model("hf:me/birds")


def test_a_server_that_is_no_hub(hub, monkeypatch):
    hub.repositories = None  # its answers are errors of its own, or none
    with pytest.raises(CspError, match=re.escape(hub.address)):
        load_model("hf:me/birds")


@pytest.mark.parametrize(
    "name",
    ["hf:", "hf:me", "hf:me/", "hf:/birds", "hf:me/birds/more", "hf:me/../birds", "hf:me/birds@",
     "hf:me/a--b", "hf:me/birds@../x", "hf:-me/birds", f"hf:me/{'b' * 100}", "hf:me/b irds",
     "hf:me/birds\0"],
)  # fmt: skip
def test_names_that_are_none(hub, name):
    with pytest.raises(ConfigError, match="is no name of a model on the hub; give hf:OWNER/NAME"):
        load_model(name)
    assert hub.asked == []


def test_a_target_that_is_no_name(model_dir):
    with pytest.raises(ConfigError, match="give hf:OWNER/NAME"):
        share_model(model_dir, "me/birds")


def test_sharing_without_a_token_or_the_right(hub, model_dir, monkeypatch):
    hub.may_write = False
    with pytest.raises(CheckpointError, match=r"lets this token not write to me/birds \(403\)"):
        share_model(model_dir, "hf:me/birds")
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    with pytest.raises(CheckpointError, match=r"lets this token not write to me/birds \(401\)"):
        share_model(model_dir, "hf:me/birds")
    hub.asked.clear()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(CheckpointError, match=r"Sharing hf:me/birds needs a token .*hf auth login"):
        share_model(model_dir, "hf:me/birds")
    assert hub.asked == [] and hub.repositories == {}


@pytest.mark.parametrize("missing", ["classes.csv", "model.safetensors", "calibration.json"])
def test_a_model_that_is_not_whole_is_not_sent(hub, own, missing):
    (own / missing).unlink()
    with pytest.raises(CheckpointError, match=re.escape(missing)):
        share_model(own, "hf:me/birds")
    assert hub.asked == []


def test_a_file_that_leads_out_of_the_folder_is_not_sent(hub, own, tmp_path):
    (tmp_path / "secret").write_text("mine")
    (own / "LICENSE").unlink(missing_ok=True)
    (own / "LICENSE").symlink_to(tmp_path / "secret")
    with pytest.raises(CheckpointError, match="link that leaves its directory"):
        share_model(own, "hf:me/birds")
    assert hub.asked == []


def test_a_change_in_between_is_not_overwritten(hub, model_dir, monkeypatch):
    put(hub, model_dir)
    from csp_core.store.hub import share

    def looked(*given):
        found = fetch.look(*given)
        hub.repositories["me/birds"].commit({"LICENSE": b"of another"})
        return found

    monkeypatch.setattr(share, "look", looked)
    with pytest.raises(CheckpointError, match="answered 412"):
        share_model(model_dir, "hf:me/birds")
    assert hub.files("me/birds") == {"LICENSE": b"of another"}


def test_fetching_that_ends_in_the_middle_leaves_nothing(hub, model_dir, monkeypatch):
    put(hub, model_dir)
    real = fetch._fetch

    def stops(model, api, commit, file, folder):
        if file == "model.safetensors":
            raise KeyboardInterrupt
        real(model, api, commit, file, folder)

    monkeypatch.setattr(fetch, "_fetch", stops)
    with pytest.raises(KeyboardInterrupt):
        load_model("hf:me/birds")
    assert not any(path.is_file() for path in home().rglob("*"))
    monkeypatch.setattr(fetch, "_fetch", real)
    # What a killed process left is no copy, and goes when it is old.
    left = home() / "me--birds" / ".0123.tmp"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    load_model("hf:me/birds")
    assert not left.exists()


def test_a_cache_that_takes_nothing(hub, model_dir, tmp_path, monkeypatch):
    put(hub, model_dir)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CSP_CACHE", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match=r"Cannot write the copy .*; CSP_CACHE names another"):
        load_model("hf:me/birds")
    monkeypatch.setenv("CSP_CACHE", str(tmp_path / "full"))

    def full(*given, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.HfApi.hf_hub_download", full)
    with pytest.raises(CheckpointError, match=r"Cannot write the copy .*No space left on device"):
        load_model("hf:me/birds")


def test_copies_are_listed_and_asked_by_their_folder(hub, model_dir):
    put(hub, model_dir)
    load_model("hf:me/birds")
    hub.asked.clear()
    (info,) = [info for info in list_models() if info.name.startswith("hf:")]
    assert info.name == "hf:me/birds" and info.problem is None
    assert len(load_model(info.directory).classes) == info.num_classes
    assert hub.asked == []
    (home() / "me--birds" / "revisions.json").write_text("[")
    assert not [info for info in list_models() if info.name.startswith("hf:")]


@pytest.mark.parametrize(
    ("stated", "read"),
    [("CC-BY-NC-SA-4.0", {"license": "cc-by-nc-sa-4.0"}),
     ("unstated", {"license": "unknown"}),
     (None, {"license": "unknown"}),
     ("CC BY 4.0, with terms", {"license": "other", "license_name": "cc-by-4.0-with-terms"})],
)  # fmt: skip
def test_cards_as_the_hub_reads_them(own, stated, read):
    from huggingface_hub import ModelCard

    front = {"title": "Eins: zwei", "license": stated, "tags": ["mine", "geospatial"]}
    (own / "README.md").write_text(
        f"---\n{yaml.safe_dump(front)}---\n\n# Vögel\n\nText.\n", "utf-8"
    )
    text, said = hub_card(own)
    card = ModelCard(text)
    values = card.data.to_dict()
    assert {key: values[key] for key in read} == read and said == list(read.values())[-1]
    assert values["library_name"] == "csp_core"
    assert values["tags"] == ["mine", "geospatial", "csp_core", "location-encoder"]
    assert values["title"] == "Eins: zwei" and card.text.strip() == "# Vögel\n\nText."
    (own / "README.md").unlink()
    assert ModelCard(hub_card(own)[0]).data.license == "unknown"


def test_a_licence_that_the_hub_does_not_know_keeps_its_name(hub, own):
    (own / "README.md").write_text("---\nlicense: My Own 1.0\n---\n\nText.\n")
    assert share_model(own, "hf:me/birds").license == "my-own-1.0"
    load_model("hf:me/birds")
    assert list_models()[-1].license == "my-own-1.0"


def test_where_data_may_lie_in_some_folders_alone(records_csv, tmp_path, monkeypatch):
    config = small.config(records_csv, model={"init_from": "hf:me/birds"})
    check_limits(config)
    monkeypatch.setenv("CSP_DATA_ROOT", str(records_csv.parent))
    with pytest.raises(ConfigError, match=r"model\.init_from is 'hf:me/birds', which would be"):
        check_limits(config)


def test_a_run_begins_from_a_model_of_the_hub(hub, model_dir, records_csv, tmp_path):
    put(hub, model_dir)
    config = small.config(records_csv, training={"epochs": 1}, model={"init_from": "hf:me/birds"})
    train(config, run_dir=tmp_path / "run")
    kept = read_model_config(tmp_path / "run" / "model")["provenance"]["config"]
    assert kept["model"]["init_from"] == "hf:me/birds"


def test_names_in_configurations_are_no_paths(tmp_path):
    for key in PATHS:
        if not key.always:
            assert key.absolute("hf:me/birds@v1", tmp_path) is None
    assert parse_hub_name("hf:me/birds").revision == "main"
