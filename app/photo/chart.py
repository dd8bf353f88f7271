"""How a photo's ranking moves once its place is heard: two columns, the lines between, and why."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from csp_core.inference import PhotoAnswer, RankedAnswer
from shared.palette import Palette
from shared.words import escape_markdown, percent

# How many of each column's first classes are shown, and how many moves are explained.
SHOWN, EXPLAINED = 4, 3
# What ranks below this share is not worth a line.
LEAST = 0.002
ROW_HEIGHT = 56
# Of the map beside it, pixels.
MAP_HEIGHT = 420


def style() -> None:
    """Add the styles of the page."""
    st.html(
        f"""<style>
        .csp-slope {{display: grid; grid-template-columns: 1fr 3.6rem 1fr}}
        .csp-slope.csp-alone {{grid-template-columns: 1fr}}
        .csp-slope h3 {{margin: 0 0 0.3rem; padding: 0; font-size: 0.95rem}}
        .csp-slope img {{display: block; width: 100%; height: 100%}}
        .csp-item {{height: {ROW_HEIGHT}px; display: flex; flex-direction: column;
            justify-content: center; gap: 0.25rem; overflow: hidden}}
        .csp-name {{font-size: 0.9rem; line-height: 1.15; overflow: hidden; display: -webkit-box;
            -webkit-line-clamp: 2; -webkit-box-orient: vertical}}
        .csp-item .csp-value {{min-width: 3.3rem; font-size: 0.85rem}}
        .csp-item .csp-line {{gap: 0.3rem; padding: 0}}
        .csp-key {{display: inline-block; min-width: 1.15rem; padding: 0 0.15rem; font-weight: 700;
            font-size: 0.75rem; line-height: 1.15rem; text-align: center; border-radius: 0.2rem;
            margin-right: 0.25rem}}
        .csp-terms {{border-collapse: collapse; font-size: 0.85rem; margin: 0.2rem 0 0.4rem}}
        .csp-terms caption {{caption-side: bottom; text-align: left; padding-top: 0.2rem}}
        .csp-terms td, .csp-terms th {{padding: 0.15rem 0.7rem 0.15rem 0; text-align: right;
            font-variant-numeric: tabular-nums; font-weight: 400}}
        .csp-terms th:first-child {{text-align: left}}
        .csp-terms td:last-child, .csp-terms thead th {{font-weight: 600}}
        .csp-move {{min-width: 1.9rem; font-size: 0.8rem}}
        .csp-mark {{position: relative; height: 1.1rem; font-size: 0.8rem; margin-top: -0.9rem}}
        .csp-mark span {{position: absolute; transform: translateX(-50%); white-space: nowrap}}
        @media (max-width: 640px) {{
            .csp-slope:not(.csp-alone) {{grid-template-columns: 1fr 2rem 1fr}}
            .csp-name {{font-size: 0.8rem}}
        }}
        {_page_css()}
        </style>"""
    )


def _page_css() -> str:
    """Give the styles of headings, of the room for the map, and of the table of photos."""
    return f""".stMainBlockContainer h2 {{font-size: 1.35rem; line-height: 1.3; padding: 0}}
        .st-key-view h3 {{font-size: 1.1rem; padding: 0}}
        /* Room for the map is kept until it comes. */
        .st-key-photo-map, .st-key-photo-map iframe {{min-height: {MAP_HEIGHT}px}}
        .st-key-map-box .st-key-photo-map iframe {{height: {MAP_HEIGHT}px !important}}
        .st-key-photo-legend {{min-height: 10rem}}
        .st-key-photo-moves {{min-height: 6rem}}
        .csp-cells {{display: grid; grid-template-columns: 2fr 2fr 1.5fr 1fr 2fr;
            gap: 0.2rem 0.8rem; font-size: 0.85rem; overflow-wrap: anywhere}}
        .csp-cells b {{font-weight: 600}}
        .csp-cells i {{display: none; font-style: normal; font-weight: 600}}
        [class*="st-key-photo-row-"] {{padding: 0.15rem 0; flex-wrap: nowrap;
            border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent)}}
        .csp-parts {{margin-top: 0.5rem; display: flex; flex-wrap: wrap; gap: 1.2rem;
            align-items: start}}
        .csp-patches {{display: grid; width: 11rem}}
        .csp-bars {{flex: 1; min-width: 16rem; font-size: 0.85rem}}
        .csp-bars div {{display: grid; grid-template-columns: 10rem 1fr 2.4rem; gap: 0.4rem;
            align-items: center}}
        .csp-bars b {{height: 0.6rem; background: var(--csp-bar)}}
        @media (max-width: 640px) {{
            .st-key-photo-map, .st-key-photo-map iframe {{min-height: var(--csp-phone-map)}}
            .st-key-map-box .st-key-photo-map iframe {{height: var(--csp-phone-map) !important}}
            .st-key-photo-box {{flex-wrap: wrap}}
            .st-key-photo-box > :has(.st-key-photo-verdict) {{flex: 1 1 100%}}
            [class*="st-key-photo-row-"] {{flex-wrap: wrap}}
            [class*="st-key-photo-row-"] > :has(.csp-cells) {{flex: 1 1 100%}}
            .csp-cells {{grid-template-columns: 1fr}}
            .csp-cells i {{display: inline}}
            .csp-cells.csp-head {{display: none}}
        }}"""


def shown_taxa(answer: PhotoAnswer) -> list[RankedAnswer]:
    """List the first classes of either column, in the order of the second."""
    taxa = {row.taxon for row in answer.combined[:2]}
    for rows in (answer.image_only, answer.combined):
        taxa |= {row.taxon for row in rows[:SHOWN] if row.value >= LEAST}
    return [row for row in answer.combined if row.taxon in taxa]


def columns(answer: PhotoAnswer, keys: Mapping[str, tuple[str, str]], palette: Palette) -> None:
    """Draw both rankings with lines between them, and the same as a table.

    Args:
        answer: What the model says.
        keys: Taxon to letter and colour on the map.
        palette: The theme's colours.
    """
    after = shown_taxa(answer)
    before = sorted(after, key=lambda row: row.image_rank)
    left = "".join(_item(row, row.image_rank, row.image_value, keys) for row in before)
    right = "".join(_item(row, row.rank, row.value, keys, arrow=True) for row in after)
    st.html(
        '<div class="csp-slope"><h3>Image only</h3><span></span><h3>Image and place</h3>'
        f"<div>{left}</div>{_lines(before, after, palette)}<div>{right}</div></div>"
    )


def image_column(answer: PhotoAnswer, keys: Mapping[str, tuple[str, str]]) -> None:
    """Draw the ranking of the image by itself, where no place counts.

    Args:
        answer: What the model says.
        keys: Taxon to letter and colour on the map.
    """
    rows = sorted(shown_taxa(answer), key=lambda row: row.image_rank)
    items = "".join(_item(row, row.image_rank, row.image_value, keys) for row in rows)
    st.html(f'<div class="csp-slope csp-alone"><h3>Image only</h3><div>{items}</div></div>')


def one_column(rows: Sequence[tuple[int, str, str, float]], *, kind: str | None) -> None:
    """Draw one ranking alone, the first with a full bar.

    Args:
        rows: Rank, taxon, common name and value.
        kind: ``"share"``, ``"relative"``, ``"probability"``, or None where the values may not be
            read as numbers and the order alone is drawn.
    """
    items, most = "", max((row[3] for row in rows), default=0.0) or 1.0
    most = 1.0 if kind == "probability" else most
    for rank, taxon, common, value in rows:
        name = _name(rank, taxon, common)
        words = f"{value:.2f}" if kind == "relative" else percent(value)
        items += _bar(name, value / most, words) if kind else f'<div class="csp-small">{name}</div>'
    st.html(f"<div>{items}</div>")


def _item(
    row: RankedAnswer,
    rank: int,
    value: float,
    keys: Mapping[str, tuple[str, str]],
    *,
    arrow: bool = False,
) -> str:
    moved = row.image_rank - row.rank
    mark = ""
    if arrow:
        words = f"{'▲' if moved > 0 else '▼'}{abs(moved)}" if moved else "="
        mark = f'<b class="csp-move" title="was {row.image_rank}">{words}</b>'
    name = _key(row.taxon, keys) + _name(rank, row.taxon, row.common_name)
    return _bar(name, value, percent(value), mark)


def _bar(name: str, value: float, words: str, mark: str = "") -> str:
    return (
        f'<div class="csp-item"><div class="csp-name">{name}</div>'
        f'<div class="csp-line">{mark}<div class="csp-bar" aria-hidden="true">'
        f'<span style="width:{100 * value:.1f}%"></span></div>'
        f'<div class="csp-value">{words}</div></div></div>'
    )


def _name(rank: int, taxon: str, common: str) -> str:
    # Names of a species have two words; those of other classes stand upright.
    plain = common or (taxon if len(taxon.split()) < 2 else "")
    named = f"{rank}. {escape(plain)}" if plain else f"{rank}. <em>{escape(taxon)}</em>"
    return f'<span title="{escape(taxon)}">{named}</span>'


def _key(taxon: str, keys: Mapping[str, tuple[str, str]]) -> str:
    if taxon not in keys:
        return ""
    letter, colour = keys[taxon]
    return f'<span class="csp-key" style="{key_style(colour)}">{escape(letter)}</span>'


def key_style(colour: str) -> str:
    """Give the style of a letter on a colour, black or white as can be read."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
    return f"background:{colour};color:{'#ffffff' if dark else '#000000'}"


def _lines(before: Sequence[RankedAnswer], after: Sequence[RankedAnswer], palette: Palette) -> str:
    # As a picture, since HTML that is shown as it is may not hold drawings.
    height = ROW_HEIGHT * len(after)
    start = {row.taxon: ROW_HEIGHT * (i + 0.5) for i, row in enumerate(before)}
    drawn, spoken = [], []
    for i, row in enumerate(after):
        moved = row.image_rank - row.rank
        colour = palette.text if moved == 0 else palette.pin if moved > 0 else palette.ramp[2]
        dash = ' stroke-dasharray="5 4"' if moved < 0 else ""
        drawn.append(
            f'<line x1="3" y1="{start[row.taxon]:g}" x2="97" y2="{ROW_HEIGHT * (i + 0.5):g}"'
            f' stroke="{colour}" stroke-width="{2.5 if moved else 1.2}"{dash}'
            ' vector-effect="non-scaling-stroke"/>'
        )
        spoken.append(f"{row.taxon} from {row.image_rank} to {row.rank}")
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 {height}" width="100"'
        f' height="{height}" preserveAspectRatio="none">{"".join(drawn)}</svg>'
    )
    data = base64.b64encode(svg.encode()).decode()
    alt = escape("Ranks by the image, and by image and place: " + ", ".join(spoken))
    return f'<img src="data:image/svg+xml;base64,{data}" style="height:{height}px" alt="{alt}">'


def explanations(answer: PhotoAnswer, season: bool) -> None:
    """Say why ranks moved: the terms of those that moved most, and a sentence each.

    Args:
        answer: What the model says.
        season: Whether a date takes part.
    """
    rows = movers(answer)
    if not rows:
        st.caption("The place moves none of these.")
        return
    for row in rows:
        name = escape_markdown(row.common_name or row.taxon)
        still = row.rank == row.image_rank
        ranks = f"stays {row.rank}" if still else f"from {row.image_rank} to {row.rank}"
        reason = escape_markdown(row.reason.removeprefix(f"{row.taxon}: "))
        st.markdown(f"- **{name}**, {ranks}: {reason}")
    st.html(_terms_table(rows, season))


def movers(answer: PhotoAnswer) -> list[RankedAnswer]:
    """List the shown classes whose share the place changed most, at most three."""
    rows = [
        row
        for row in shown_taxa(answer)
        if row.rank != row.image_rank or abs(row.value - row.image_value) >= 0.01
    ]
    rows.sort(key=lambda row: -abs(row.value - row.image_value))
    return sorted(rows[:EXPLAINED], key=lambda row: row.rank)


def _terms_table(rows: Sequence[RankedAnswer], season: bool) -> str:
    names = ["Image", "Place", *(["Season"] if season else []), "Together"]
    head = "".join(f"<th scope='col'>{name}</th>" for name in names)
    body = ""
    for row in rows:
        odds = row.log_odds
        terms = [odds.image, odds.place, *([odds.season] if season else [])]
        cells = "".join(f"<td>{signed(term)}</td>" for term in (*terms, math.fsum(terms)))
        body += f"<tr><th scope='row'>{escape(row.common_name or row.taxon)}</th>{cells}</tr>"
    return (
        "<table class='csp-terms'><caption>Log-odds: +0.7 doubles the odds, −0.7 halves them"
        f"</caption><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def signed(term: float) -> str:
    """Write a term with its sign.

    Example:
        >>> signed(1.25), signed(-0.04)
        ('+1.2', '0.0')
    """
    text = f"{term:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def table(answer: PhotoAnswer, season: bool) -> None:
    """Offer all classes as a table."""
    with st.expander("All classes as a table"):
        rows = answer.combined
        columns = {
            "Rank": [row.rank for row in rows],
            "Scientific name": [row.taxon for row in rows],
            "Common name": [row.common_name for row in rows],
            "Image and place": [percent(row.value) for row in rows],
            "Rank by image": [row.image_rank for row in rows],
            "Image only": [percent(row.image_value) for row in rows],
            "Log-odds of the image": [round(row.log_odds.image, 2) for row in rows],
            "of the place": [round(row.log_odds.place, 2) for row in rows],
        }
        if season:
            columns["of the season"] = [round(row.log_odds.season, 2) for row in rows]
        st.dataframe(columns, hide_index=True)
