"""Notes on runs, and the trash."""

from __future__ import annotations

import os
import time

import pytest

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.runs import RunDir, jobs
from csp_core.runs.manage import NOTE, delete, read_note, restore, trash, write_note


def made(name, state="finished"):
    run = RunDir(jobs.runs_home() / name).create()
    run.write_status(state)
    (run.path / "kept.txt").write_text(name)
    return run


def test_notes():
    run = made("a")
    assert read_note(run) == ""
    write_note(run, "  A first try.\nÄ \ud800 \n")
    assert read_note(run) == "A first try.\nÄ ?"
    with pytest.raises(CheckpointError, match=r"2,001 characters; at most 2,000"):
        write_note(run, "x" * 2001)
    assert read_note(run).startswith("A first")
    for letter in "x\N{BIRD}":
        write_note(run, letter * 2000)
        assert read_note(run) == letter * 2000
    write_note(run, "   ")
    assert not (run.path / NOTE).exists()
    with pytest.raises(DataNotFoundError):
        write_note(RunDir(jobs.runs_home() / "no-run"), "x")
    (run.path / NOTE).symlink_to("/etc/passwd")
    assert read_note(run) == ""


def test_a_deleted_run_comes_back_as_it_was():
    run = made("a")
    write_note(run, "mine")
    before = {p.relative_to(run.path) for p in run.path.rglob("*")} | {"control/held"}
    gone = delete(run)
    assert gone == jobs.runs_home().resolve() / ".trash" / "a" and not run.path.exists()
    assert jobs.list_jobs() == []
    assert [one.name for one in trash()] == ["a"] and time.time() - trash()[0].deleted < 60
    back = restore("a")
    assert back.path == run.path and trash() == []
    after = {p.relative_to(run.path) for p in run.path.rglob("*")}
    assert {str(path) for path in after} == {str(path) for path in before}
    assert read_note(back) == "mine"
    assert back.read_status()["state"] == "finished"


def test_names_that_are_taken():
    for _ in range(3):
        delete(made("a"))
    assert sorted(one.name for one in trash()) == ["a", "a~2", "a~3"]
    made("a~2")
    assert restore("a~2").path.name == "a~3"
    assert restore("a").path.name == "a"


@pytest.mark.parametrize("state", ["queued", "starting", "running"])
def test_a_run_under_way_is_not_deleted(state):
    run = made("a", state)
    with pytest.raises(CheckpointError, match=r"is under way\. Stop it first"):
        delete(run)
    assert run.read_status()["state"] == state
    run.write_status("stopped")
    with run.lock(), pytest.raises(CheckpointError, match="is being trained by"):
        delete(run)
    delete(run)


def test_one_that_cannot_be_read_may_go():
    run = made("a")
    run.status_file.write_text("{")
    delete(run)
    assert [one.name for one in trash()] == ["a"]


def test_nothing_else_is_deleted(tmp_path):
    home = jobs.runs_home()
    outside = RunDir(tmp_path / "elsewhere" / "run").create()
    outside.write_status("finished")
    home.mkdir()
    (home / "link").symlink_to(outside.path)
    (home / ".slots").mkdir()
    (home / "sub" / "run").mkdir(parents=True)
    (home / "no-run").mkdir()
    bad = [outside.path, home / "link", home, home / ".slots", home / "sub" / "run"]
    for path in [*bad, home / "a" / ".." / "..", home / ".." / "elsewhere" / "run"]:
        with pytest.raises(CheckpointError, match="nothing else is deleted"):
            delete(RunDir(path))
    with pytest.raises(DataNotFoundError):
        delete(RunDir(home / "no-run"))
    assert outside.status_file.exists() and (home / "no-run").exists()
    for name in ("..", "../elsewhere", "", "absent"):
        with pytest.raises(DataNotFoundError):
            restore(name)


def test_what_is_a_week_old_goes_at_the_next_delete():
    old, new = delete(made("old")), delete(made("new"))
    by_hand = old.with_name("by-hand")
    by_hand.mkdir()
    week = time.time() - 8 * 86400
    os.utime(old / "deleted.txt", (week, week))
    delete(made("third"))
    assert not old.exists() and new.exists() and by_hand.exists()
