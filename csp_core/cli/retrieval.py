"""The commands that compare: what fits a text, a picture or a place, and embeddings as a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from csp_core.cli.console import AsJson, ModelArgument, app, clearing_up, err, out, print_json
from csp_core.cli.models import DATE_CHANGES_NOTHING, part_of_year
from csp_core.errors import BadRecordError, ConfigError

if TYPE_CHECKING:
    from csp_core.inference.retrieval import Gallery, Spread
    from csp_core.model.towers import TowerOut

KINDS = ("places", "images", "captions")
MEANING = "Agreement: the cosine of what the model has learned. It ranks, and is no probability."
BY_TOKENS = (
    "Agreement: each part of the query looks for its best in the other, and the mean of their"
    " cosines counts. It ranks, and is no probability."
)

OfText = Annotated[str | None, typer.Option("--text", help="Words, such as 'vineyards'.")]
OfImage = Annotated[Path | None, typer.Option("--image", help="A picture.")]
OfPlace = Annotated[
    tuple[float, float] | None, typer.Option("--place", metavar="LON LAT", help="Degrees.")
]
OfName = Annotated[str | None, typer.Option("--at", help="A place by its name, such as Lisbon.")]
Of = Annotated[str, typer.Option("--of", help="What to look through: places, images or captions.")]
Own = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        help="A table of places (lon, lat), a folder of pictures, or a list of texts; places are"
        " spread over where the model has learned if left out.",
    ),
]
AsClasses = Annotated[
    bool,
    typer.Option("--as-classes", help="Texts are names of classes: each is said in several ways."),
]
Kind = Annotated[
    str | None,
    typer.Option("--as", help="What IN holds: places, images or captions; told by IN if left out."),
]


@dataclass(frozen=True)
class Query:
    """What was asked.

    Args:
        kind: ``text``, ``image`` or ``place``.
        value: As it is told.
        seen: What the model says of it.
        notes: Sentences on how it was read.
    """

    kind: str
    value: str
    seen: TowerOut
    notes: tuple[str, ...] = ()


@app.command()
def retrieve(
    model: ModelArgument,
    text: OfText = None,
    image: OfImage = None,
    place: OfPlace = None,
    at: OfName = None,
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD, of places.")] = None,
    of: Of = "places",
    gallery: Own = None,
    as_classes: AsClasses = False,
    top: Annotated[int, typer.Option(min=1, help="How many to list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Rank what fits a text, a picture or a place best: places, pictures or captions.

    Of places about 4,000 are looked through, spread evenly over the land near the training records.
    """
    from csp_core.inference import retrieval as found
    from csp_core.store import load_model

    _check_kind("--of", of)
    if sum(given is not None for given in (text, image, place, at)) != 1:
        raise typer.BadParameter("Give one of --text, --image, --place and --at.")
    if as_classes and (of != "captions" or gallery is None):
        raise ConfigError("--as-classes needs --of captions and --gallery FILE, a name a line.")
    loaded, when = load_model(model), part_of_year(date)
    # Before anything is read: whether the model has what is looked through.
    found.check_side(loaded, found.SIDES_OF[of])
    query = _query(loaded, text, image, place, at, when)
    notes = list(query.notes)
    with err.status("Looking through …"), clearing_up():
        through = _gallery(loaded, of, gallery, when, notes)
        if as_classes:
            rows = found.ranked(
                through, found.zero_shot(loaded, query.seen, through.names)[0], top=top
            )
        else:
            (rows,) = found.retrieve(loaded, query.seen, through, top=top)
    if date and not loaded.uses_date:
        notes.append(DATE_CHANGES_NOTHING)
    spread = _spread(model) if query.kind == "image" and of == "places" else None
    whole = not found.compares_by_tokens(loaded)
    if as_json:
        asked = {"kind": query.kind, "value": query.value, "date": date}
        told = None if spread is None else spread.to_dict()
        print_json({"model": loaded.name, "query": asked, "of": of, "looked_through": through.about,
                    "compares": "embeddings" if whole else "tokens", "spread": told,
                    "notes": notes, "results": [row.to_dict() for row in rows]})  # fmt: skip
        return
    _say(through, rows, spread, query, [MEANING if whole else BY_TOKENS, *notes])


def _check_kind(option: str, kind: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f"{option} {kind!r} is none of {', '.join(KINDS)}.")


def _query(
    model: Any,
    text: str | None,
    image: Path | None,
    place: tuple[float, float] | None,
    at: str | None,
    when: float | None,
) -> Query:
    """Ask the model about what was given, one of the four."""
    import torch

    from csp_core.inference import retrieval as found

    if text is not None:
        asked, changed = found.as_captions(model, text)
        notes = (*changed, *found.notes_on_text(model, [asked]))
        return Query("text", text, found.see_captions(model, [asked]), notes)
    if image is not None:
        found.check_side(model, "image")
        picture = found.read_pictures(model, image)
        if len(picture.images) > 1:
            raise BadRecordError(f"--image {image} is a folder; give one picture.")
        fits, reason = found.fits(model, picture.images[0])
        notes = () if fits else (reason,)
        return Query("image", image.name, found.see_images(model, picture.images), notes)
    if at is not None:
        place, said = _look_up(at)
        value, notes = said, (f"{at!r} was taken for {said}.",)
    else:
        assert place is not None
        value, notes = f"{place[0]:g}, {place[1]:g}", ()
    return Query("place", value, found.see_places(model, torch.tensor([place]), date=when), notes)


def _look_up(name: str) -> tuple[tuple[float, float], str]:
    from csp_core.gazetteer import look_up

    found = look_up(name)
    if not found.certain and len(found.places) > 1:
        others = "; ".join(one.label for one in found.places[:5])
        raise BadRecordError(f"{name!r} may be several places: {others}. Add the country.")
    best = found.places[0]
    return (best.lon, best.lat), best.label


def _gallery(
    model: Any, of: str, path: Path | None, when: float | None, notes: list[str]
) -> Gallery:
    from csp_core.inference import retrieval as found

    if path is None:
        if of != "places":
            what = "a folder of pictures" if of == "images" else "a text file, a caption a line"
            raise ConfigError(f"--of {of} needs --gallery: {what}.")
        return found.places_gallery(model, date=when)
    if of == "places":
        lonlat, names = found.read_places(path)
        return found.places_gallery(model, lonlat, names=names, date=when)
    if of == "captions":
        texts = found.read_captions(path)
        notes.extend(found.notes_on_text(model, texts))
        return found.captions_gallery(model, texts)
    pictures = found.read_pictures(model, path)
    notes.extend(_left_out(pictures.skipped))
    return found.images_gallery(
        model, pictures.images, names=pictures.names, lonlat=pictures.lonlat
    )


def _left_out(skipped: tuple[str, ...]) -> list[str]:
    return [f"{len(skipped)} files were left out; the first: {skipped[0]}"] if skipped else []


def _spread(name: str) -> Spread | None:
    """Read how far off a model's places are."""
    from csp_core.files import read_json
    from csp_core.inference.retrieval import spread_of
    from csp_core.store import find_model, read_model_config

    folder = find_model(name)
    return spread_of(read_json(folder / "metrics.json"), read_model_config(folder))


def _say(
    through: Gallery, rows: Any, spread: Spread | None, query: Query, lines: list[str]
) -> None:
    from csp_core.inference.retrieval import UNKNOWN

    placed = any(row.lon is not None for row in rows)
    where = ("longitude", "latitude") if placed else ()
    table = Table("rank", {"places": "where", "images": "picture"}.get(through.kind, "text"),
                  "agreement", *where)  # fmt: skip
    for row in rows:
        at = ("–", "–") if row.lon is None else (f"{row.lon:.3f}", f"{row.lat:.3f}")
        # Names may hold brackets, which are no markup.
        cells = (f"{row.rank:g}", row.name, f"{row.agreement:.3f}", *(at if placed else ()))
        table.add_row(*map(Text, cells))
    out.print(table)
    if query.kind == "image" and through.kind == "places":
        lines = [UNKNOWN if spread is None else spread.sentence(), *lines]
    for line in (f"Looked through: {through.about}.", *lines):
        out.print(line, markup=False, highlight=False)


@app.command()
def embed(
    model: ModelArgument,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="A table of places or captions, a text file, a picture or a folder."
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help=".csv, .parquet or .npy.")],
    kind: Kind = None,
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD, of places.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write what a model has learned of places, pictures or captions, as vectors of length 1."""
    from csp_core.files.writing import check_writable
    from csp_core.inference import retrieval as found
    from csp_core.inference.retrieval.embedding import check_ending
    from csp_core.store import load_model

    _check_kind("--as", kind or KINDS[0])
    check_ending(output)
    check_writable(output)
    loaded, when, notes = load_model(model), part_of_year(date), list[str]()
    chosen = kind or _kind_of(source)
    with clearing_up():
        if chosen == "places":
            lonlat, names = found.read_places(source)
            told = found.embed_all(loaded, chosen, lonlat, names=names, date=when)
        elif chosen == "captions":
            found.check_side(loaded, "text")
            texts = found.read_captions(source)
            notes += found.notes_on_text(loaded, texts)
            told = found.embed_all(loaded, chosen, texts)
        else:
            with _bar() as progress:
                pictures = found.read_pictures(loaded, source, progress=progress)
            notes += _left_out(pictures.skipped)
            told = found.embed_all(
                loaded, chosen, pictures.images, names=pictures.names, lonlat=pictures.lonlat
            )
        found.write_embedded(told, output)
    count, size = told.vectors.shape
    notes += [DATE_CHANGES_NOTHING] if date and not loaded.uses_date else []
    if as_json:
        print_json({"model": loaded.name, "path": str(output), "of": chosen, "rows": count,
                    "dimensions": size, "space": told.space, "notes": notes})  # fmt: skip
        return
    out.print(f"Wrote {count:,} embeddings of {size} numbers to {output}.", highlight=False)
    for line in (f"They are {told.space}.", *notes):
        out.print(line, markup=False, highlight=False)


def _kind_of(source: Path) -> str:
    """Tell what a file or folder holds."""
    from csp_core.inference.retrieval import has_columns

    suffix = source.suffix.lower()
    if suffix == ".txt":
        return "captions"
    if suffix not in (".csv", ".tsv"):
        return "images"
    placed, said = has_columns(source)
    if placed and said:
        raise ConfigError(
            f"{source.name} has places and captions; say which by --as places or --as captions."
        )
    return "captions" if said else "places"


@contextmanager
def _bar() -> Iterator[Any]:
    """Draw a bar of the pictures read, where there is a terminal to draw on."""
    shown = (TextColumn("Reading pictures"), BarColumn(), MofNCompleteColumn())
    with Progress(*shown, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
