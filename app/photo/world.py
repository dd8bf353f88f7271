"""Where on Earth the answer to a photo would change: which class would win at each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import folium
import streamlit as st

from csp_core.inference import PhotoAnswer
from csp_core.model import DualEncoder
from csp_core.raster import Raster, WinningMap, winning_map
from csp_core.store import ModelInfo
from mapping import leaflet
from mapping.values import Scale, mercator_png, outline_unsupported
from photo import pin_map
from photo.address import PhotoView
from photo.chart import SHOWN, key_style
from photo.place import Where
from shared import clicks, resources, style
from shared.palette import Palette
from shared.words import escape_markdown, percent, reworded

STEP, OPACITY = 2.0, 0.75
LETTERS = "ABCDEF"
# In the session's state: the letters of the photo that was shown last.
LETTERED = "photo-letters"
# Okabe and Ito's, without the two that the pin has.
COLOURS = ("#0072b2", "#f0e442", "#009e73", "#cc79a7", "#56b4e9", "#8c6d31")
OTHERS = "#9a9a9a"


@dataclass(frozen=True, eq=False)
class World:
    """The winners, and which of them have a letter and colour.

    Args:
        model: The model.
        found: The winners.
        lettered: Labels of the classes with letters.
    """

    model: DualEncoder
    found: WinningMap
    lettered: tuple[int, ...]

    def name(self, label: int) -> str:
        """Give a class's common name, or its scientific one."""
        classes = self.model.classes
        return classes.common_names[label] or classes.names[label]

    @property
    def keys(self) -> dict[str, tuple[str, str]]:
        """Taxon to letter and colour."""
        rows = zip(self.lettered, LETTERS, COLOURS, strict=False)
        return {self.model.classes.names[k]: (letter, colour) for k, letter, colour in rows}


def has_winners(model: DualEncoder, answer: PhotoAnswer | None, where: Where) -> bool:
    """Tell whether there are winners to find: not where the place does not count.

    Nor of label sets, whose classes stand beside each other and none wins.

    Args:
        model: The model.
        answer: What it says of the photo, or None.
        where: Place and time.
    """
    weighs = answer is not None and answer.weight != 0
    shares = model.prior_kind != "probability"
    return weighs and shares and not where.ignored and model.places is not None


def look(info: ModelInfo, model: DualEncoder, answer: PhotoAnswer, where: Where) -> World | None:
    """Find the winners of a photo.

    Args:
        info: The model's line in the list.
        model: The model.
        answer: What it says of the photo.
        where: When it was taken.

    Returns:
        The winners; None where the place does not count or the model knows none.
    """
    heard = model.places
    if heard is None or not has_winners(model, answer, where):
        return None
    content = resources.content_hash(info)
    date = where.date if heard.uses_date else None
    hour = where.hour if heard.uses_hour else None
    probs = tuple(answer.image_probs.tolist())
    found = _winners(str(info.directory), content, probs, date, hour, answer.weight, answer, model)
    # The same letters wherever the pin is: by the image's own order.
    ranks = {row.taxon: row.rank for row in answer.image_only[:SHOWN]}
    names, areas = model.classes.names, found.areas
    listed = sorted((k for k in areas if names[k] in ranks), key=lambda k: ranks[names[k]])
    others = [k for k in areas if k not in listed]
    return World(model, found, tuple([*listed, *others][: len(LETTERS)]))


def last_keys(info: ModelInfo, photo: str) -> dict[str, tuple[str, str]]:
    """Give the letters of a photo as the last run had them."""
    kept: tuple[tuple[str, str], dict[str, tuple[str, str]]] | None
    kept = st.session_state.get(LETTERED)
    return kept[1] if kept and kept[0] == (info.name, photo) else {}


def keep_keys(world: World | None, info: ModelInfo, photo: str) -> dict[str, tuple[str, str]]:
    """Give the letters of a photo, and remember them for the next run."""
    keys = world.keys if world else {}
    st.session_state[LETTERED] = (info.name, photo), keys
    return keys


# A world of winners takes under 1 MB; nothing of the photo but its shares is kept.
@st.cache_resource(show_spinner=False, max_entries=24)
def _winners(
    directory: str, content: str, probs: tuple[float, ...], date: float | None,
    hour: float | None, weight: float, _answer: PhotoAnswer, _model: DualEncoder,
) -> WinningMap:  # fmt: skip
    image = _answer.image_probs
    return winning_map(_model, image, step=STEP, date=date, hour=hour, weight=weight)


def raster(world: World) -> Raster:
    """Number the lettered winners from 1, and all others after them."""
    grid = world.found.grid
    return Raster(
        values=world.found.numbered(world.lettered),
        bounds=grid.bounds,
        step=grid.step,
        taxon="",
        common_name="",
        kind="share",
        model=world.model.name,
        date=None,
        extrapolated=world.found.extrapolated,
    )


def draw_map(view: PhotoView, where: Where, world: World | None, palette: Palette) -> None:
    """Draw the map that chooses the place, coloured by the winners.

    Args:
        view: What the address says.
        where: The place.
        world: The winners, or None.
        palette: The theme's colours.
    """
    picture, hatch = b"", None
    if world:
        drawn = raster(world)
        count = len(world.lettered) + 1
        scale = Scale(tuple(i + 0.5 for i in range(count + 1)),
                      (*COLOURS[: count - 1], OTHERS), "", "")  # fmt: skip
        with_leaflet = resources.leaflet_ready()
        picture = mercator_png(drawn, scale, palette, guesses=False, hatch=not with_leaflet)
        if with_leaflet and drawn.any_extrapolated:
            hatch = outline_unsupported(drawn)

    def groups() -> list[folium.FeatureGroup]:
        outline = leaflet.outline_group(hatch, None, palette)
        if not world:
            return [outline]
        label = "Map of the class that would be named if the picture were taken there"
        below = leaflet.value_group(picture, OPACITY, label)
        return [below, outline, _letters(world, where.place)]

    radius = where.radius_km if where.radius_km >= 1 else None
    pin_map.draw(view, where, palette, groups, picture=picture, opacity=OPACITY, radius_km=radius)


def _letters(world: World, pin: tuple[float, float] | None) -> folium.FeatureGroup:
    """Write each letter where its class wins most clearly, on the side away from the pin."""
    group = folium.FeatureGroup(name="letters")
    frame = "display:block;line-height:20px;text-align:center;border-radius:4px;font-size:12px"
    for taxon, (letter, colour) in world.keys.items():
        label = world.model.classes.label(taxon)
        lon, lat = world.found.best_place(label)
        title = escape(world.name(label))
        icon = folium.DivIcon(
            f'<b title="{title}" style="{frame};{key_style(colour)}">{letter}</b>',
            icon_size=(20, 20),
            icon_anchor=_anchor((lon, lat), pin),
            class_name="csp-letter",
        )
        folium.Marker((lat, lon), icon=icon, interactive=False, keyboard=False).add_to(group)
    return group


def _anchor(spot: tuple[float, float], pin: tuple[float, float] | None) -> tuple[int, int]:
    """Put a letter beside its spot, where no zoom brings the pin over it.

    Args:
        spot: Longitude and latitude that the letter belongs to.
        pin: The same of the pin, or None.

    Returns:
        The spot as seen from the letter's upper left corner, pixels.
    """
    west = pin is not None and pin[0] > spot[0]
    south = pin is not None and pin[1] > spot[1]
    return 23 if west else -3, -3 if south else 23


def legend(world: World, info: ModelInfo) -> None:
    """Explain the colours, in the words of the model's card."""
    keys: Mapping[str, tuple[str, str]] = world.keys
    items = "".join(
        f'<span><b class="csp-key" style="{key_style(colour)}">{letter}</b>'
        f"{escape(world.name(world.model.classes.label(taxon)))}</span>"
        for taxon, (letter, colour) in keys.items()
    )
    if len(world.found.areas) > len(keys):
        items += f'<span><i style="background:{OTHERS}"></i>others</span>'
    if world.found.any_extrapolated:
        line, few = style.palette().hatch, reworded("too few recordings near", info)
        stripes = f"repeating-linear-gradient(135deg,{line} 0 1px,transparent 1px 4px)"
        items += f'<span><i style="background:{stripes}"></i>{few}</span>'
    st.html(
        '<div class="csp-small">Where would the answer change? The colours name the class that'
        " would rank first if this same picture had been taken there.</div>"
        f'<div class="csp-legend">{items}</div>'
    )


def table(world: World) -> None:
    """Offer the winners and how large the area of each is."""
    with st.expander("The winners as a table"):
        st.dataframe(
            {
                "Class": [world.name(k) for k in world.found.areas],
                "Part of the area with enough records": [
                    percent(part) for part in world.found.areas.values()
                ],
                "Wins most clearly at": [
                    "{1:.1f}, {0:.1f}".format(*world.found.best_place(k)) for k in world.found.areas
                ],
            },
            hide_index=True,
        )


def moves(world: World, winner: str) -> None:
    """Offer to move the pin to where another class would win.

    Args:
        world: The winners.
        winner: Taxon that ranks first now.
    """
    others = [k for k in world.lettered if world.model.classes.names[k] != winner][:2]
    if not others:
        return
    with st.container(horizontal=True, gap="small"):
        for number, label in enumerate(others):
            name = escape_markdown(world.name(label))
            st.button(f"Pin to where {name} wins", key=f"flip-{number}",
                      on_click=clicks.choose_place, args=world.found.best_place(label))  # fmt: skip
