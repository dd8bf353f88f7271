import threading

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
