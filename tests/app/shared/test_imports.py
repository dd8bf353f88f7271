import gc
import sys
import types
from collections.abc import Iterator

import pytest

from shared.imports import WORTH, Imports


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    # The real one would hide the other tests' objects from the collector.
    calls: list[int] = []
    monkeypatch.setattr(gc, "freeze", lambda: calls.append(len(sys.modules)))
    yield calls


def test_imports_are_set_aside_once_they_rest(
    frozen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = Imports()
    assert not imports.look()  # may still go on
    assert imports.look() and len(frozen) == 1
    assert not imports.look()
    for number in range(WORTH):
        monkeypatch.setitem(sys.modules, f"imported_{number}", types.ModuleType("imported"))
        assert not imports.look()
    assert imports.look() and len(frozen) == 2


def test_few_new_modules_are_not_worth_it(
    frozen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = Imports()
    imports.look(), imports.look()
    monkeypatch.setitem(sys.modules, "imported", types.ModuleType("imported"))
    assert not any(imports.look() for _ in range(3)) and len(frozen) == 1
