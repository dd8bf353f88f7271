"""Train: the list of runs, the form of a new one, one run as it goes, or some beside each other."""

from __future__ import annotations

import streamlit as st

import shell
from jobs import listing
from jobs.compare import draw_comparison, names_of
from jobs.control import draw_done, draw_notices
from jobs.live import draw_run
from jobs.new import draw_new
from jobs.table import draw_runs
from shared.widgets import TRAIN_PAGE

# The settings in work outlast a look at another page.
KEPT = ("draft", "base", "generation", "estimate")


def page() -> None:
    """Draw what the address asks for."""
    shell.title("Train")
    asked = st.query_params
    # A link from a page to itself changes what is asked for, but not what the browser shows of it.
    asked.from_dict(asked.to_dict())
    run, compared = asked.get("run"), asked.get("compare")
    with st.container(horizontal=True, gap="small"):
        st.page_link(TRAIN_PAGE, label="All runs", query_params={"all": "1"})
        st.page_link(TRAIN_PAGE, label="New run", query_params={"new": "1"})
    if run:
        draw_run(run)
    elif compared:
        draw_comparison(names_of(compared))
    elif asked.get("new"):
        draw_done()
        draw_new()
    else:
        draw_notices()
        st.fragment(draw_runs, run_every=listing.pace(listing.jobs()))()


shell.run("train", page, keeps=KEPT)
