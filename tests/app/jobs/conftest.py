from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from csp_core.files import write_json
from csp_core.runs import RunDir

MAIN = Path(__file__).parents[3] / "app" / "main.py"
Open = Callable[..., AppTest]
MakeRun = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with none of the machine's own settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("CSP_RUNS", "CSP_MODELS", "CSP_DATA_ROOT", "CSP_ALLOW_TRAINING"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def open_train(home: Path) -> Iterator[Open]:
    """Open the Train page with an address."""

    def start(**params: str) -> AppTest:
        app = AppTest.from_file(MAIN, default_timeout=60)
        app.run()
        app.switch_page("views/train.py")
        for name, value in params.items():
            app.query_params[name] = value
        return app.run()

    st.cache_data.clear()
    st.cache_resource.clear()
    yield start
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def make_run(home: Path) -> MakeRun:
    """Write the files of a run that is over."""

    def make(
        name: str, state: str = "finished", *, rows: int = 3, ago: float = 60.0, **fields: Any
    ) -> Path:
        run = RunDir(home / "runs" / name).create()
        run.config.write_text(f"name: {name}\nseed: {len(name)}\ntraining: {{epochs: {rows}}}\n")
        for epoch in range(1, rows + 1):
            run.append_metrics(
                {
                    "epoch": epoch,
                    "step": 10 * epoch,
                    "seconds": 1.5 * epoch,
                    "loss": 3.0 / epoch,
                    "learning_rate": 1e-3,
                    "val_objective": 3.2 / epoch,
                    "val_log_loss": 2.5 / epoch,
                    "val_mrr": 1 - 0.5 / epoch,
                }
            )
        status: dict[str, Any] = {"step": 10 * rows, "total_steps": 10 * rows, "seconds": 4.5}
        run.write_status(state, **(status | fields))
        from csp_core.runs.reading import read_object

        # Its process is gone.
        ended = read_object(run.status_file) | {"pid": 2**22 + 1, "heartbeat": time.time() - ago}
        ended["pid_started"] = ended["heartbeat"] - fields.get("lived", 3600.0)
        ended.pop("lived", None)
        write_json(run.status_file, ended)
        return run.path

    return make


def texts(app: AppTest) -> str:
    """Join all words of a page."""
    shown = [
        *app.markdown,
        *app.caption,
        *app.header,
        *app.subheader,
        *app.error,
        *app.warning,
        *app.info,
    ]
    shown += [*app.success, *app.code]
    parts = [str(element.value) for element in shown] + [button.label for button in app.button]
    parts += [link.proto.label for link in app.get("page_link")]
    return "\n".join(parts).replace("\\", "")
