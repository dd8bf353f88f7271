"""A session has room for so many files, those on their way included."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from shared import quota
from shared.quota import MOST_FILES, MOST_MEGABYTES, Quota


def put(session: str, length: str | None = "1000", method: str = "PUT") -> dict[str, object]:
    headers = [] if length is None else [(b"content-length", length.encode())]
    path = f"/below{quota.UPLOADS}{session}/file"
    return {"type": "http", "method": method, "path": path, "headers": headers}


def refused(scope: dict[str, object], own: Quota) -> bool:
    answer = own.refusal(scope)
    assert answer is None or (answer.status_code == 413 and b"remove some" in answer.body)
    return answer is not None


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    sizes: dict[str, list[int]] = {}
    monkeypatch.setattr(quota, "_held", lambda session: sizes.get(session, []))
    return sizes


def test_files_and_bytes_are_counted_by_session(held: dict[str, list[int]]) -> None:
    own = Quota()
    held |= {"many": [1] * MOST_FILES, "large": [(MOST_MEGABYTES << 20) - 500]}
    assert refused(put("many"), own) and refused(put("large"), own)
    assert not refused(put("large", "500"), own) and not refused(put("other"), own)
    assert not refused(put("many", method="DELETE"), own)
    assert not refused({"type": "websocket", "path": "/_stcore/stream", "headers": []}, own)


def test_what_comes_at_once_counts(held: dict[str, list[int]]) -> None:
    own, half = Quota(), str(MOST_MEGABYTES << 19)
    with own.arriving(put("a", half)), own.arriving(put("a", half)):
        assert refused(put("a", "1"), own) and not refused(put("b", "1"), own)
    assert not refused(put("a", half), own) and not own._coming


@pytest.mark.parametrize("length", [None, "-1", "x", "9" * 30])
def test_who_does_not_say_how_much_comes(held: dict[str, list[int]], length: str | None) -> None:
    own = Quota()
    assert not refused(put("a", length), own)
    with own.arriving(put("a", length)):
        assert refused(put("a", "1"), own)


def test_what_the_server_holds_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a": {str(n): SimpleNamespace(data=b"12") for n in range(3)}}
    runtime = SimpleNamespace(uploaded_file_mgr=SimpleNamespace(file_storage=files))
    monkeypatch.setattr("streamlit.runtime.exists", lambda: True)
    monkeypatch.setattr("streamlit.runtime.get_instance", lambda: runtime)
    assert quota._held("a") == [2, 2, 2] and quota._held("b") == []


def test_files_of_a_page_that_is_left_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = MemoryUploadedFileManager("/upload")
    for session, file in (("a", "1"), ("a", "2"), ("b", "1")):
        manager.add_file(session, UploadedFileRec(file, "x.jpg", "image/jpeg", b"123"))
    context = SimpleNamespace(session_id="a", uploaded_file_mgr=manager)
    monkeypatch.setattr(quota, "get_script_run_ctx", lambda: context)
    quota.release(["1", "gone"])
    assert set(manager.file_storage["a"]) == {"2"} and set(manager.file_storage["b"]) == {"1"}
    context.uploaded_file_mgr = SimpleNamespace()
    quota.release(["2"])
    monkeypatch.setattr(quota, "get_script_run_ctx", lambda: None)
    quota.release(["2"])
    assert set(manager.file_storage["a"]) == {"2"}
