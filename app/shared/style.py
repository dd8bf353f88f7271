"""How pages look: theme, styles and the heights of maps."""

from __future__ import annotations

import streamlit as st

from shared.palette import DARK, LIGHT, Palette

# Of a map, pixels; the second on a phone.
HEIGHT, PHONE_HEIGHT = 500, 300
# Of a map in a low and in a high window.
LEAST, MOST = 420, 820


def is_dark() -> bool:
    """Tell whether the page is shown in its dark theme."""
    return st.context.theme.type == "dark"


def palette() -> Palette:
    """Give the map colours of the theme in use."""
    return DARK if is_dark() else LIGHT


def apply_style() -> None:
    """Add the page's few styles: tight list rows, bars, and a map that leaves room on a phone."""
    bar, link = ("#56b4e9", "#7fd6cf") if is_dark() else ("#0072b2", "#0b6a70")
    # White, which Streamlit takes, has half the contrast on the dark theme's light colour.
    pressed = "#12181a" if is_dark() else "#ffffff"
    colours = palette()
    st.html(
        f"""<style>
        .stMainBlockContainer {{padding: 4.2rem 2.5rem 2rem}}
        /* A number that is cut off is none. */
        [data-testid="stMetricValue"], [data-testid="stMetricValue"] * {{white-space: normal;
            overflow: visible; text-overflow: clip}}
        [data-testid="stMetricValue"] {{font-size: 1.8rem; line-height: 1.2}}
        h1 {{font-size: 1.9rem !important; padding-bottom: 0 !important}}
        /* The mark that empties a box takes the room of two digits. */
        [class*="st-key-lat_box"] [data-testid="stNumberInputClearButton"],
        [class*="st-key-lon_box"] [data-testid="stNumberInputClearButton"] {{display: none}}
        [class*="st-key-row-"] {{padding: 0.15rem 0 0.45rem;
            border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent)}}
        [class*="st-key-row-"] button, [class*="st-key-row-"] button * {{text-align: left;
            justify-content: flex-start; white-space: normal}}
        [class*="st-key-row-"] button {{min-height: 1.9rem; padding: 0 0.2rem}}
        [class*="st-key-row-"] [data-testid="stHorizontalBlock"] {{flex-wrap: nowrap}}
        [class*="st-key-row-"] [data-testid="stPageLink"] p {{white-space: nowrap;
            font-size: 0.85rem}}
        [data-testid="stPageLink"] p {{color: {link}; text-decoration: underline}}
        [data-testid^="stBaseButton-primary"] p {{color: {pressed}}}
        /* Streamlit shows the focus of links and switches by a shade that is hardly seen. */
        .stApp a:focus-visible, .stApp label:has(input:is([type="checkbox"],
            [type="radio"]):focus-visible) {{outline: 2px solid {link} !important;
            outline-offset: 1px; border-radius: 4px}}
        .csp-line {{display: flex; align-items: center; gap: 0.7rem; padding-left: 0.2rem}}
        .csp-bar {{flex: 1; height: 0.55rem; border-radius: 0.3rem; overflow: hidden;
            background: color-mix(in srgb, currentColor 12%, transparent)}}
        .csp-bar span {{display: block; height: 100%; background: {bar}}}
        .csp-value {{min-width: 4.2rem; text-align: right; font-weight: 600;
            font-variant-numeric: tabular-nums}}
        .csp-small, [data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {{
            color: color-mix(in srgb, {colours.text} 80%, transparent) !important; opacity: 1}}
        .csp-small {{font-size: 0.85rem; padding-left: 0.2rem}}
        [data-testid="stExpander"] h1 {{font-size: 1.4rem !important}}
        [data-testid="stExpander"] h2 {{font-size: 1.2rem}}
        [data-testid="stExpander"] h3 {{font-size: 1.05rem}}
        {_list_css(bar)}
        {_figures_css()}
        {_map_css()}
        .st-key-range-view h3 {{font-size: 1.2rem; padding-bottom: 0.2rem}}
        [data-testid="stDeckGlJsonChart"] {{background: {colours.sea}}}
        {_phone_css()}
        </style>"""
    )


def _map_css() -> str:
    """Have maps as high as the window leaves room for, and no higher than wide: more is sea."""
    return f""".st-key-map-box iframe, .st-key-map-box-2 iframe {{
            height: auto !important; aspect-ratio: 1; min-height: {LEAST}px;
            max-height: clamp({LEAST}px, 100vh - 15rem, {MOST}px)}}"""


def _list_css(bar: str) -> str:
    """Give the styles of lines that open, of what is only heard, and of what a page begins with."""
    return f"""details.csp-fold > summary {{display: flex; align-items: center; gap: 0.5rem;
            padding-left: 0.2rem; cursor: pointer; font-size: 0.9rem; list-style: none}}
        details.csp-fold > summary::-webkit-details-marker {{display: none}}
        details.csp-fold > summary::after {{content: "▸"; font-size: 1.2rem; line-height: 1}}
        details.csp-fold[open] > summary::after {{content: "▾"}}
        details.csp-fold > summary:focus-visible {{outline: 2px solid {bar}; outline-offset: 1px;
            border-radius: 4px}}
        .csp-strokes {{display: inline-flex; gap: 2px; align-items: flex-end}}
        .csp-strokes i {{width: 4px; height: 0.85rem; border-radius: 1px;
            background: color-mix(in srgb, currentColor 22%, transparent)}}
        .csp-strokes i:nth-child(1) {{height: 0.4rem}}
        .csp-strokes i:nth-child(2) {{height: 0.62rem}}
        .csp-strokes i.csp-on {{background: {bar}}}
        .csp-heard {{position: absolute; width: 1px; height: 1px; overflow: hidden;
            clip-path: inset(50%); white-space: nowrap}}
        .st-key-welcome {{margin-top: 0.4rem; padding: 0.4rem 0.9rem; border-radius: 0.5rem;
            background: color-mix(in srgb, {bar} 12%, transparent)}}
        .st-key-welcome p {{font-size: 0.9rem; line-height: 1.4}}"""


def _figures_css() -> str:
    """Give the styles of legends, scales and tables of facts."""
    return """.csp-legend {display: flex; flex-wrap: wrap; gap: 0.3rem 0.9rem; font-size: 0.85rem}
        .csp-legend i {display: inline-block; width: 0.9rem; height: 0.9rem; margin-right: 0.3rem;
            vertical-align: -0.1rem; border: 1px solid color-mix(in srgb, currentColor 50%,
            transparent)}
        .csp-scale {font-size: 0.85rem; max-width: 34rem; padding-right: 1rem}
        .csp-steps {display: flex; height: 0.9rem; margin-top: 0.2rem; border: 1px solid
            color-mix(in srgb, currentColor 50%, transparent)}
        .csp-steps i {flex: 1}
        .csp-ticks {position: relative; height: 1.4rem}
        .csp-ticks span {position: absolute; transform: translateX(-50%);
            font-variant-numeric: tabular-nums}
        .csp-ticks span:first-child {transform: none}
        .csp-ends {display: flex; justify-content: space-between; gap: 1rem}
        .st-key-train-film-picture img {image-rendering: pixelated}
        [class*="st-key-choice-"] button, [class*="st-key-choice-"] button * {white-space: normal;
            text-align: left}
        .csp-facts {overflow-x: auto; font-size: 0.88rem}
        .csp-facts table {border-collapse: collapse; width: 100%; min-width: 40rem}
        .csp-facts th, .csp-facts td {text-align: left; vertical-align: top; padding: 0.35rem
            0.9rem 0.35rem 0; font-variant-numeric: tabular-nums; border-bottom: 1px solid
            color-mix(in srgb, currentColor 14%, transparent)}
        .csp-facts th {font-weight: 600}
        .csp-facts td > span {white-space: nowrap}
        .csp-facts i {display: inline-block; width: 0.9rem; height: 0.9rem; margin-right: 0.4rem;
            vertical-align: -0.1rem; border: 1px solid color-mix(in srgb, currentColor 50%,
            transparent)}
        .csp-quality {margin: 0; padding-left: 1.2rem; line-height: 1.6}"""


def _phone_css() -> str:
    ground = "#12181a" if is_dark() else "#ffffff"
    return f"""@media (max-width: 640px) {{
            .stMainBlockContainer {{padding-left: 1rem; padding-right: 1rem}}
            /* Map, list, records: the two columns dissolve into one flow. */
            .st-key-view [data-testid="stColumn"],
            .st-key-view [data-testid="stColumn"] > [data-testid="stVerticalBlock"]
                {{display: contents}}
            .st-key-view [data-testid="stHorizontalBlock"] {{gap: 0.8rem}}
            .st-key-view :has(> .st-key-records-box) {{order: 1; margin-top: 1rem}}
            .st-key-map-box iframe, .st-key-map-box-2 iframe {{min-height: 0;
                max-height: {PHONE_HEIGHT}px}}
            /* Runs: name beside its box, what is said of it below. */
            [class*="st-key-row-run-"] [data-testid="stHorizontalBlock"] {{flex-wrap: wrap;
                row-gap: 0}}
            [class*="st-key-row-run-"] [data-testid="stColumn"] {{min-width: 0; flex: 1 1 40%}}
            [class*="st-key-row-run-"] [data-testid="stColumn"]:nth-child(1) {{flex: 0 0 1.8rem}}
            [class*="st-key-row-run-"] [data-testid="stColumn"]:nth-child(2) {{
                flex: 1 1 calc(100% - 4rem)}}
            [class*="st-key-row-run-"] [data-testid="stPageLink"] p {{white-space: normal;
                overflow-wrap: anywhere}}
            /* What a page begins with leaves room for its map. */
            .st-key-welcome, .st-key-model-chip {{row-gap: 0 !important}}
            .st-key-welcome p {{font-size: 0.82rem; line-height: 1.3}}
            .st-key-examples, .st-key-controls {{flex-wrap: nowrap !important; overflow-x: auto}}
            .st-key-examples > div, .st-key-controls > div {{flex: none}}
            /* As large as a finger. */
            .stMain button, .stMain [data-baseweb="select"] > div, .stMain summary,
            .stMain [data-baseweb="input"], .stMain [data-testid="stPageLink-NavLink"],
            .stMain [data-testid="stCheckbox"] > label {{min-height: 2.75rem;
                align-items: center}}
            /* What a tap on the map found, at once: the list begins below the screen. */
            .stMainBlockContainer {{padding-bottom: 4.5rem}}
            .csp-heard {{position: fixed; left: 0; right: 0; bottom: 0; width: auto; height: auto;
                z-index: 90; clip-path: none; white-space: normal;
                padding: 0.7rem 1rem; font-weight: 600; background: {ground};
                border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent)}}
            h1 {{font-size: 1.5rem !important}}
            h2 {{font-size: 1.3rem !important}}
            h3 {{font-size: 1.2rem !important}}
            [class*="st-key-row-"] button {{min-height: 2.75rem}}
        }}"""
