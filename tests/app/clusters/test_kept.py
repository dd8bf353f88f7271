import threading
import time
from concurrent.futures import CancelledError

import pytest

from clusters.kept import Kept


def test_the_latest_results_are_kept() -> None:
    kept, made = Kept(2), []
    for key in (1, 2, 1, 3, 1):
        assert kept.get(key, lambda key=key: made.append(key) or key * 10) == key * 10
    # 2 was used longest ago, so it went as 3 came.
    assert made == [1, 2, 3] and kept.known(1) and not kept.known(2)


def test_what_failed_is_not_kept() -> None:
    kept = Kept(2)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 // 0)
    assert not kept.known("a") and kept.get("a", lambda: 5) == 5


def test_two_sessions_make_a_result_once() -> None:
    kept, made, go = Kept(2), [], threading.Event()

    def make() -> int:
        go.wait(10)
        made.append(1)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(kept.get("a", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert found == [7] * 4 and len(made) == 1


def test_what_nobody_waits_for_any_more_can_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.kept.GRACE", 0.05)
    kept = Kept(2)
    with kept.waiting("a") as first:
        with kept.waiting("a") as second:
            assert not first() and not second()
        time.sleep(0.1)
        # The other still waits.
        assert not second()
    # Whoever clicks comes back at once, for the same work.
    with kept.waiting("a") as again:
        time.sleep(0.1)
        assert not first() and not again()
    time.sleep(0.1)
    assert first() and again()
    with kept.waiting("a") as later:
        assert first() and not later()


def test_a_stage_that_ended_is_made_anew_for_the_next() -> None:
    kept = Kept(2)

    def end() -> int:
        raise CancelledError

    with pytest.raises(CancelledError):
        kept.get("a", end)
    assert not kept.known("a") and kept.get("a", lambda: 3) == 3
