"""The Dockerfile names what is there, and what it copies is enough to serve the app."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.server import free_port, running_server

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [line.split(maxsplit=1) for line in whole.splitlines() if line.strip()]
    return [(word, rest) for word, rest in found]


def given(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def copied() -> list[str]:
    own = [rest for rest in given("COPY") if "--from=" not in rest]
    return [path for rest in own for path in rest.split()[:-1]]


def environment() -> dict[str, str]:
    (rest,) = given("ENV")
    return dict(pair.split("=", 1) for pair in rest.split())


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for path in copied():
        assert (ROOT / path).exists(), path
        assert not any(fnmatch.fnmatch(path, one.removeprefix("**/")) for one in ignored), path
    assert "app/static/node_modules" in ignored and ".git" in ignored


def test_nobody_is_root_and_no_registry_is_named() -> None:
    last = TEXT[TEXT.rindex("\nFROM ") :]
    (user,) = re.findall(r"^USER (\S+)$", last, flags=re.M)
    assert user not in ("root", "0") and f"--create-home {user}" in last
    addresses = re.findall(r"\w+://[^\s'\"]+", TEXT)
    assert addresses and all(one.startswith("http://127.0.0.1:") for one in addresses)
    assert not [rest for rest in given("ARG") if "=" in rest]


def test_its_command_is_one(csp) -> None:
    words = json.loads(given("CMD")[0])
    assert words[0] == "csp" and words[1] == "serve"
    code, said, complaint = csp(*words[1:], "--help")
    assert code == 0, complaint
    assert all(word in said for word in words if word.startswith("--"))
    # A detached run would stay behind as a zombie.
    assert json.loads(given("ENTRYPOINT")[0])[0] == "tini"


def test_variables_are_known(csp) -> None:
    table = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    own = [name for name in environment() if name.startswith("CSP_")]
    assert own and [name for name in own if f"`{name}" not in table] == []


@pytest.mark.skipif(os.name != "posix", reason="the image is of Linux")
def test_what_it_copies_serves_the_app_to_its_probe(tmp_path: Path) -> None:
    home, port = tmp_path / "srv", free_port()
    for path in copied():
        target = home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, target)
    _, command, *options = json.loads(given("CMD")[0])
    known = {name: value for name, value in environment().items() if name.startswith("CSP_")}
    known |= {"CSP_RUNS": str(tmp_path / "runs"), "CSP_CACHE": str(tmp_path / "cache")}
    _, probe = given("HEALTHCHECK")[0].split("CMD ")
    words = [part.replace(":8501", f":{port}") for part in json.loads(probe)]
    serve = [sys.executable, "-m", "csp_core", command, *options, "--port", str(port)]
    with running_server(serve, home, port, PYTHONPATH=str(home), **known):
        assert subprocess.run([sys.executable, *words[1:]], timeout=30).returncode == 0
    # Without a server it fails.
    assert subprocess.run([sys.executable, *words[1:]], capture_output=True).returncode != 0
