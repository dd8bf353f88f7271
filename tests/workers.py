"""How tests are dealt to the workers of pytest-xdist, and what one of them makes for all."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

T = TypeVar("T")
# The longest begin first, so that the workers end together.
LONGEST = (
    "tests/browser/",
    "/test_benchmarks.py",
    "/test_notebooks.py",
    "/test_photo.py",
    "/contrastive/test_csp.py",
    "/test_importing.py",
    "/test_train.py",
    "/test_refit.py",
)
# Files whose tests share nothing, so that any worker may take the next.
APART = ("/test_benchmarks.py", "/test_notebooks.py")


def in_a_worker() -> bool:
    """Tell whether this process is one of several that share the tests."""
    return "PYTEST_XDIST_WORKER" in os.environ


def turn(nodeid: str) -> int:
    """Rank a test, or its file: lower numbers begin earlier."""
    file = nodeid.split("::")[0]
    return next((at for at, part in enumerate(LONGEST) if part in file), len(LONGEST))


def group_of(nodeid: str) -> str:
    """Name what a test stays together with: a file's fixtures, or the browser and its app."""
    file = nodeid.split("::")[0]
    if file.startswith("tests/browser/"):
        return "browser"
    return nodeid if file.endswith(APART) else file


class Groups(LoadScopeScheduling):
    """Deal out whole groups, in the order in which the tests were collected.

    The mark ``xdist_group`` would say the same, but with pytest 9.2 it is passed over in silence.
    """

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        # It would begin with the groups of most tests, which are not the longest.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """Fill a folder in the first worker that asks for it; the others wait, and read it.

    Args:
        tmp_path_factory: Pytest's own fixture.
        name: The folder's name, one for all workers.
        make: Fills the folder, which exists and is empty.

    Returns:
        The folder; not to be written to.
    """
    own = tmp_path_factory.getbasetemp()
    # The workers' folders lie side by side in that of the whole run.
    folder = (own.parent if in_a_worker() else own) / name
    done = folder.with_name(f"{name}.done")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own: where the browser's tests ran, a loop still runs.

    Args:
        coroutine: The coroutine.

    Returns:
        Its result.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
