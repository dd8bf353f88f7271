"""What is known of each cluster: its legend, what is typical of it, and how good the groups are."""

from __future__ import annotations

from html import escape

import streamlit as st

from clusters.address import View
from clusters.scatter import number_of
from clusters.study import Account, Study
from csp_core.inference.clusters import CAUTION, ClusterFacts, colour_of
from csp_core.store import ModelInfo
from shared.address import set_param
from shared.words import percent, plural, reworded, times

KEY = "clusters-cluster"
ALL = "All clusters"
# What a table says of each cluster: so many classes and countries.
LISTED = 3


def area_words(km2: float) -> str:
    """Write an area.

    Example:
        >>> area_words(12_345_678.0), area_words(45_678.0)
        ('12.3 million km²', '45,700 km²')
    """
    return f"{km2 / 1e6:.1f} million km²" if km2 >= 1e6 else f"{round(km2, -2):,.0f} km²"


def latitude_words(latitude: tuple[float, float, float]) -> str:
    """Write between which latitudes nine tenths of a cluster lie.

    Example:
        >>> latitude_words((-34.6, 1.0, 12.2))
        '35° S to 12° N'
    """
    low, _, high = (
        f"{abs(round(value))}°" + ("" if not round(value) else " N" if value > 0 else " S")
        for value in latitude
    )
    return f"{low} to {high}"


def small(words: str) -> None:
    """Write a line in small letters."""
    st.html(f'<div class="csp-small">{escape(words)}</div>')


def on_cluster() -> None:
    """Take over the cluster that is picked."""
    label = st.session_state[KEY]
    set_param("cluster", None if label is None else str(label))


def check_cluster(view: View, found: Study) -> None:
    """Say if the address highlights a cluster that there is not."""
    labels = sorted({*found.labels})
    if view.cluster is not None and view.cluster not in labels:
        known = ", ".join(map(str, labels))
        st.error(
            f"There is no cluster {view.cluster}; there are {known}. Highlighting none instead."
        )
        view.cluster = None


def picker(view: View, told: Account) -> None:
    """Draw the box that highlights a cluster on the map and in the scatter."""
    names = {one.label: _title(one) for one in told.facts}
    st.session_state[KEY] = view.cluster
    st.selectbox(
        "Highlight",
        list(names),
        index=None,
        format_func=lambda label: names.get(label, ""),
        key=KEY,
        placeholder=ALL,
        on_change=on_cluster,
        width=300,
    )


def _title(one: ClusterFacts) -> str:
    return one.name.capitalize() if one.label < 0 else f"{number_of(one.label)} · {one.name}"


def legend(told: Account) -> None:
    """Explain the colours of the map: number, name and share of the area."""
    marks = "".join(
        f'<span><i style="background:{colour_of(one.label)}"></i>'
        f"{escape(_title(one))} ({percent(one.share)})</span>"
        for one in told.facts
    )
    st.html(
        '<div class="csp-small">Cluster, and its share of the area:</div>'
        f'<div class="csp-legend">{marks}</div>'
    )


def draw(view: View, account: Account) -> None:
    """Say how good the groups are, and what is typical of each."""
    st.header("How good are these clusters?", anchor=False)
    told = account.quality.sentences
    st.html("<ul class='csp-quality'>" + "".join(f"<li>{escape(one)}</li>" for one in told.values())
            + f"<li><b>{escape(CAUTION)}</b></li></ul>")  # fmt: skip
    st.header("What is typical of each cluster", anchor=False)
    climate = [name for name, _ in account.facts[0].climate] if account.facts else []
    has_classes = any(one.classes for one in account.facts)
    heads = ["Cluster", "Area", "Latitudes", "Countries"]
    heads += [f"{plural(view.info).capitalize()} by lift"] if has_classes else []
    rows = "".join(_row(one, view.info, has_classes, climate) for one in account.facts)
    head = "".join(f'<th scope="col">{escape(words)}</th>' for words in [*heads, *climate])
    st.html(
        '<div class="csp-facts" tabindex="0" role="region" aria-label="What is typical of each'
        f' cluster"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
    if account.facts and view.info.num_classes < 2:
        st.caption(account.facts[0].evidence)
    if has_classes:
        st.caption(
            "Lift: how many times as common a class is in the cluster as overall, as the model has"
            " it. Nine tenths of a cluster lie between its latitudes."
        )


def _row(one: ClusterFacts, info: ModelInfo, has_classes: bool, climate: list[str]) -> str:
    means = dict(one.climate)
    countries = [f"{escape(name)} {percent(part)}" for name, part in one.countries[:LISTED]]
    cells = [
        f"<span>{area_words(one.area_km2)}</span><br>{percent(one.share)}",
        f"<span>{latitude_words(one.latitude)}</span>",
        "<br>".join(countries) or "open sea",
    ]
    if has_classes:
        typical = [
            f"{escape(each.common_name) or f'<em>{escape(each.taxon)}</em>'} {times(each.lift)}"
            for each in one.classes[:LISTED]
        ]
        why = escape(reworded(one.evidence, info))
        cells.append(f'<span title="{why}">{"<br>".join(typical) or "none"}</span>')
    cells += [f"{means[name]:.3g}" if name in means else "–" for name in climate]
    chip = f'<i style="background:{colour_of(one.label)}"></i>'
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{chip}{escape(_title(one))}</th>{body}</tr>'
