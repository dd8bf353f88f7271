"""The wording of numbers, places, species and what a model ranks."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from csp_core import gazetteer
from csp_core.data.records import ClassTable
from csp_core.data.sets.facts import names_taxa
from csp_core.errors import AmbiguousNameError, CspError
from csp_core.files import harmless
from csp_core.store import ModelInfo, read_model_config
from shared.glossary import GLOSSARY, LICENSES

# Of a text that is drawn as Markdown; the longest card of the bundled models has a tenth.
MOST_MARKDOWN, MOST_LINES, MOST_MARKS, MOST_NESTED = 64 << 10, 2000, 1000, 60
RECORDING = re.compile(r"\b(?:recordings?|recorded)\b", re.IGNORECASE)
# What a model compares.
SIDES = {"image": "pictures", "location": "places", "text": "words"}
MARKS = re.compile(r"[\[\]*_<>~`$!&:]")


def escape_markdown(text: str) -> str:
    """Keep text from being read as Markdown, Streamlit's own directives included."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", harmless(text))


def demoted(markdown: str, by: int = 2) -> str:
    r"""Put the headings of a text below those of the page that it stands on.

    Example:
        >>> demoted("# A\n\n```sh\n# no heading\n```\n## B")
        '### A\n\n```sh\n# no heading\n```\n#### B'
    """
    lines, fenced = markdown.split("\n"), False
    for number, line in enumerate(lines):
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        if not fenced and (found := re.match(r"#{1,6}(?= )", line)):
            lines[number] = "#" * min(6, len(found[0]) + by) + line[len(found[0]) :]
    return "\n".join(lines)


def without_pictures(markdown: str) -> str:
    """Turn the pictures of a text from anybody into links, as showing one fetches it from afar.

    Streamlit shows HTML as text, so this leaves nothing that is fetched.

    Example:
        >>> without_pictures("![a](https://x.y/z.png) !![b][c] Wow! [d](e)")
        '[a](https://x.y/z.png) [b][c] Wow! [d](e)'
    """
    # All of the marks: of two in a row one would be left, and make a picture of the link.
    return re.sub(r"!+(?=\[)", "", harmless(markdown))


def is_plain_enough(markdown: str) -> bool:
    r"""Tell whether a text from anybody is drawn as Markdown in reasonable time.

    What draws it takes time that grows with the square of the marks that stand together, and as
    many levels of its own as there are of quotations and lists.

    Example:
        >>> is_plain_enough("*a* [b](c)\n\n> d"), is_plain_enough("[" * 10_000)
        (True, False)
    """
    if len(markdown) > MOST_MARKDOWN or markdown.count("\n") > MOST_LINES:
        return False
    blocks = re.split(r"\n[ \t]*\n", markdown)
    if any(len(MARKS.findall(block)) > MOST_MARKS for block in blocks):
        return False
    return all(len(found) <= MOST_NESTED for found in re.findall(r"^[ \t>*+-]+", markdown, re.M))


def percent(share: float) -> str:
    """Write a share with one decimal.

    Example:
        >>> percent(0.1234), percent(0.0004)
        ('12.3 %', '<0.1 %')
    """
    return "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def times(lift: float) -> str:
    """Write how many times as large something is.

    Example:
        >>> times(12.34), times(2.34), times(0.01)
        ('12×', '2.3×', '<0.1×')
    """
    if lift < 0.05:
        return "<0.1×"
    return f"{lift:,.0f}×" if lift >= 9.95 else f"{lift:.1f}×"


def count_of(number: int, one: str, many: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def knows_species(info: ModelInfo) -> bool:
    """Tell whether a model's classes are known to be species, and not, say, kinds of land."""
    try:
        file = (info.directory / "config.json").stat()
    except OSError:
        return False
    return _names_taxa(info.directory, file.st_mtime_ns, file.st_size)


# A page asks this some thirty times.
@lru_cache(maxsize=256)
def _names_taxa(directory: Path, modified: int, size: int) -> bool:
    try:
        config = read_model_config(directory)
        return names_taxa(config["provenance"]["config"]["data"]["name"])
    except (CspError, OSError, KeyError, TypeError):
        return False  # nobody knows what it was trained on


def plural(info: ModelInfo) -> str:
    """Say what a model ranks: in its card's word, or ``species`` or ``classes``."""
    if info.introduction.plural:
        return info.introduction.plural
    return "species" if knows_species(info) else "classes"


def singular(info: ModelInfo) -> str:
    """Say what one of those is: in its card's word, or ``species`` or ``class``."""
    if info.introduction.singular:
        return info.introduction.singular
    return "species" if knows_species(info) else "class"


def reworded(text: str, info: ModelInfo | None) -> str:
    """Speak of a model's records in its card's words, where these are no recordings.

    Args:
        text: What is said of recordings, and of what was recorded.
        info: The model; None for recordings.

    Returns:
        The same of, say, patches, and of what was mapped.
    """
    said = None if info is None else info.introduction
    if said is None or not said.record:
        return text
    words = {"recording": said.record, "recordings": said.records, "recorded": said.recorded}

    def other(found: re.Match[str]) -> str:
        word = words[found[0].casefold()]
        return word[0].upper() + word[1:] if found[0][0].isupper() else word

    return re.sub(RECORDING, other, text)


def explain(term: str, info: ModelInfo | None = None) -> str:
    """Explain a word of the glossary.

    Args:
        term: A key of ``GLOSSARY``.
        info: The model whose word for what it ranks is used; None for species.

    Returns:
        One or two sentences.
    """
    one, many = ("species", "species") if info is None else (singular(info), plural(info))
    return reworded(GLOSSARY[term].format(one=one, many=many), info)


def value_meaning(info: ModelInfo, kind: str) -> str:
    """Say what a model's values mean, in the word for what it ranks."""
    return explain(kind if kind in ("share", "probability") else "score", info)


def headline(info: ModelInfo) -> str:
    """Say what a model knows, as its card does, or by its title and the number of its classes."""
    if info.introduction.headline:
        return info.introduction.headline
    if info.num_classes:
        return f"{info.title}: {count_of(info.num_classes, singular(info), plural(info))}"
    names = [SIDES[side] for side in info.compares]
    compares = f"{', '.join(names[:-1])} and {names[-1]} compared" if names else "places alone"
    return f"{info.title}: {compares}"


def licence(info: ModelInfo) -> str:
    """Say in words what a model's licence allows, where it is a known one."""
    return LICENSES.get(info.license.casefold(), info.license)


def of_recordings(share: float) -> str:
    """Write a share as so many of a round number.

    Example:
        >>> of_recordings(0.034), of_recordings(0.0042), of_recordings(0.0001)
        ('about 3 of 100', 'about 4 of 1,000', 'fewer than 1 of 1,000')
    """
    if share >= 0.01:
        return f"about {share * 100:.0f} of 100"
    return f"about {share * 1000:.0f} of 1,000" if share >= 0.001 else "fewer than 1 of 1,000"


def place_title(lon: float, lat: float) -> tuple[str, str]:
    """Name a place: a heading as Markdown, and its coordinates where the heading is another."""
    name, coordinates = place_name(lon, lat)
    return escape_markdown(name), coordinates


def place_name(lon: float, lat: float) -> tuple[str, str]:
    """Name a place in plain text, beside its coordinates where the name is another."""
    coordinates = gazetteer.format_coordinates(lon, lat)
    country, found = gazetteer.country_at(lon, lat), gazetteer.nearest_place(lon, lat)
    if found is None:
        return (coordinates, "At sea. ") if country is None else (country, f"{coordinates}. ")
    town, km = found
    distance = "Near" if km < 15 else f"{km:,.0f} km from"
    # A border or a coast may lie between a place and the nearest town.
    before = "" if km < 15 or country == town.country else f"{country or 'At sea'}, "
    return f"{before}{distance} {town.label}", f"{coordinates}. "


def species_label(classes: ClassTable, taxon: str) -> str:
    """Give a species' common and scientific name."""
    common = classes.common_names[classes.label(taxon)]
    return f"{common} · {taxon}" if common else taxon


def not_known(info: ModelInfo, taxon: str, error: CspError) -> str:
    """Say that a model does not know a species, or which ones a name may mean."""
    if isinstance(error, AmbiguousNameError):
        return str(error)
    return f"Model {info.name} does not know the {singular(info)} {taxon}."
