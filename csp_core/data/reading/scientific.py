"""Scientific names as people write them: authors, spellings, and names that are none."""

from __future__ import annotations

import re
from typing import NamedTuple

import polars as pl

from csp_core.data.names import identity
from csp_core.data.reading.spelling import spelled_usually

# So many names are remembered; beyond, spellings of further names are no longer brought together.
MOST_NAMES = 1_000_000
# Each takes some 10 microseconds, and the dictionaries of each piece of a file as much again.
MOST_JUDGED = 150_000
MOST_SPELLINGS = 10_000
ABOVE_SPECIES = "name is not that of a species"
OPEN = "identification is open (cf., aff., ?, a/b)"
AGGREGATE = "name of an aggregate or group of species"
DOMESTIC = "domestic or captive form in the name"
PEOPLE = "people, not wildlife"
SPELLED = "name brought to one spelling (case, spaces, form of letters)"
AUTHORED = "author left out of the name"
SUBGENUS = "subgenus left out of the name"
VERNACULAR = "common name left out of the name"
STAGED = "sex or stage in the name"
SHORT = "genus is abbreviated"

# A genus, perhaps a subgenus in brackets, perhaps a hybrid sign, then an epithet.
SPECIES_NAME = re.compile(
    r"^[×xX]?\s?[^\W\d_][\w.-]*(?:\s+\([^)]*\))?\s+(?:[×xX]\s?)?(?:[a-zß-ÿ\"'‘“]|[^\W\d_A-Z])"
)
_RANK = r"(?:subsp|ssp|var|subvar|f|fo|forma|cv|nothosubsp|nothovar|convar)\.?"
_EPITHET = r"(?!(?:de|du|van|von|der|den|la|le|da|dos|zu|et|ex|in)\b)[a-zà-ÿ][a-zà-ÿ-]+"
_NAME = (
    rf"(?:×\s?)?[A-Z][a-zà-ÿ-]+(?:\s\([A-Z][a-zà-ÿ]+\))?\s(?:[×x]\s?)?{_EPITHET}"
    rf"(?:\s(?:{_RANK}\s)?{_EPITHET})?"
)
_PARTICLE = r"(?:d'|D'|de |du |van |von |der |den |la |le |da |dos |zu )"
_SURNAME = rf"(?:{_PARTICLE}*[A-ZÀ-ÞŠŽČŁŚ](?:[^\W\d_]|['’.-])*)"
_INITIALS = r"(?:[A-Z]\.[ -]?)*"
_PERSON = rf"{_INITIALS}(?:{_SURNAME}\s?(?:f\.|fil\.|bis)?)"
_PEOPLE = rf"{_PERSON}(?:(?:,| &| and| et| ex| in| apud|\s)\s?{_PERSON})*(?:,? et al\.?)?"
_YEAR = r"(?:,?\s?\[?\(?(?:1[7-9]|20)\d\d[a-z]?\)?\]?)"
_AUTHOR = rf"(?:\({_PEOPLE}{_YEAR}?\)\s?(?:{_PEOPLE}{_YEAR}?)?|{_PEOPLE}{_YEAR}?)"
_NOTE = r"(?:\s(?:auct|auctt|emend|nom\.|nec|non|sensu|s\.\s?str)\b.*)"
AUTHORED_NAME = re.compile(rf"^({_NAME}),?\s({_AUTHOR}){_NOTE}?$")
DATED_BRACKETS = re.compile(rf"^({_NAME}) \([^()]* (?:1[7-9]|20)\d\d\)$")
# "Bombus (Bombus) terrestris" is Bombus terrestris: what stands in brackets is not of its words.
WITH_SUBGENUS = re.compile(r"^([A-Z][a-z-]+) \([A-Z][a-z-]+\) (?=[a-z])")
# "Turdus merula (Common Blackbird)"; "(White-faced)" and "(Domestic type)" are forms.
WITH_VERNACULAR = re.compile(
    r"^([A-Z][a-z-]+ [a-z-]{3,}) \((?:Common|Northern|Southern|Eastern|Western|White|Black|Red"
    r"|Yellow|Gr[ea]y|Brown|Blue|Green|Pacific|Atlantic|American|European|Eurasian|Asian|African|House)"
    r"(?: [A-Z][a-z]+)*? (?!Group|Type|Form|Morph|Race|Population)[A-Z][a-z]+\)$"
)
# The sign of a hybrid is typed as a letter, and with or without a space.
HYBRID_SIGN = re.compile(r"(?<=\s)(?:[xX]\s|×\s?)(?=[^\W\d_])")
# Two names in one cell are of no one species.
SEVERAL = re.compile(
    r"^\S+ \S+.*[;,&+]\s*[A-Z][a-z]{2,} (?!apud|auct|sensu|emend|from|fils|filius)[a-z]{4,}"
)
STAGE = re.compile(
    r"^\S+ \S+.*(?:[♂♀]|\b(?:juv|juveniles?|imm|immatures?|adults?|males?|females?|chicks?|larvae?"
    r"|nymphs?|pups?|eggs?|nests?)\b)"
)
# "Turdus L. merula" is none; a botanist's author may stand between species and variety.
INNER_AUTHOR = re.compile(
    rf"^([A-Z][a-zà-ÿ-]+\s{_EPITHET})\s(?:{_AUTHOR})\s({_RANK}\s{_EPITHET})(?:\s(?:{_AUTHOR}))?$"
)
# In brackets behind a name these are forms, ages and groups, not people.
FORMS = re.compile(
    r"\b(?:domestic|feral|captive|wild|hybrid|type|group|form|morph|race|male|female|juvenile|adult"
    r"|breed|cultivar|cv|sensu|auct|likely|probable|possible|unconfirmed|tentative|maybe"
    r"|northern|southern|eastern|western|common|white|black|red|yellow"
    r"|grey|gray|brown|blue|green|pacific|atlantic|american|european|asian|african)\b|-[a-z]",
    re.IGNORECASE,
)
NO_NAMES = frozenset(
    "unknown unidentified undetermined undet unid indet indeterminate unbestimmt unbekannt inconnu"
    " desconocido desconocida desconhecido sconosciuto onbekend okänd none no not nothing blank"
    " empty setup pickup start end test bird birds mammal mammals rodent rodents animal animals"
    " insect insects fish reptile amphibian plant plants vehicle human person people species cv"
    " result false trigger misc miscellaneous other various small large medium big tiny unclear"
    " flock mixed uncertain unclassified unresolved incertae vogel oiseau ave pajaro"
    " pássaro mystery photo picture determined identified need needs tbd tbc".split()
)
_SP = r"(?:spp?|spec|specc|species|sspp?|subsp|gen|indet|undet|unid\w*|unknown|ined|n\.?\s?sp"
_SP += r"|juv|imm|larvae?|pupae?|eggs?|nest)"
OPEN_NAME = re.compile(
    rf"^\S+\s+(?:\([^)]*\)\s+)?{_SP}\b\.?\s*(?:$|[\d#(]|nov\b|n\b|[A-Z]|\W)|^\S+\s+sp{{1,2}}\.?[\s_-]*\d"
    r"|^\S+\s+sp[\s_.-]?(?-i:[A-Z])\b",
    re.IGNORECASE,
)
DOUBT = re.compile(
    r"(?:^|\s)(?:cf|aff|nr|near|prope|vel|affin|confer|conf|poss|possibly|prob|probably|"
    r"sp\. cf|or|oder|vs)\.?(?:\s|$)"
    r"|\b(?:likely|probable|possible|unconfirmed|tentative|maybe|perhaps|unsure|doubtful)\b|\?|[^\W\d_.]\s*[/|]\s*[^\W\d_]",
    re.IGNORECASE,
)
GROUP = re.compile(
    r"\b(?:agg|aggr|aggregate|complex|s\.\s?l|sens\. lat|sensu lato|group)\b\.?", re.I
)
TAME = re.compile(r"\b(?:domestic|feral|captive|escaped?e?|domesticus type|pet)\b", re.I)

# A name of letters, digits and spaces without one of these words is none of the four kinds above.
HINTS = frozenset(
    "cf aff nr near prope vel affin confer conf poss possibly prob probably sp or oder vs agg aggr"
    " aggregate complex s sens sensu group domestic feral captive escap escape escaped escapee"
    " escapede domesticus pet juv juvenile juveniles imm immature immatures adult adults male males"
    " female females chick chicks larva larvae nymph nymphs pup pups egg eggs nest nests"
    " likely probable possible unconfirmed tentative maybe perhaps unsure doubtful".split()
)

# "Turdus m." and "Turdus me." are not yet names.
BEGUN_NAME = re.compile(r"^\S+ [a-z]{1,2}\.$")
HYBRID_NAME = re.compile(r"^[×xX]\s?[A-Z]\S+\s[a-z]")
SHORT_GENUS = re.compile(r"^[A-Z][a-z]?\. ")

# A binomial or trinomial as it should stand, unless one of its words is that of another kind.
PLAIN = r"^[A-Z][a-z]{2,}(?: [a-z]{3,}\d*){1,2}$"
_WORDS = (
    "spec specc species sspp subsp gen indet unid unknown ined aff near prope vel confer poss prob"
)
_WORDS += (
    " agg aggr aggregate complex group domestic feral captive escape escaped pet sapiens subvar"
)
_WORDS += (
    " var forma nothosubsp nothovar convar possibly probably affin conf oder spp ssp auct non nec"
)
_WORDS += " likely probable possible unconfirmed tentative maybe perhaps unsure doubtful"
NOT_PLAIN = rf"(?i)\b(?:{'|'.join(sorted(NO_NAMES | set(_WORDS.split())))})\b"


class Verdict(NamedTuple):
    """What a name is.

    Args:
        name: In the one spelling.
        change: Why it is spelled otherwise than given, ``""`` if it is not.
        drop: Why it is no species, ``""`` if it is one.
        look: Why to look at it, ``""`` if nothing is odd.
    """

    name: str
    change: str = ""
    drop: str = ""
    look: str = ""


def without_author(name: str) -> str:
    """Leave the author and the year out of a scientific name.

    Args:
        name: With words parted by one space.

    Returns:
        The name alone; as it is where what follows is not plainly an author.

    Example:
        >>> without_author("Passer domesticus (Linnaeus, 1758)"), without_author("Turdus merula L.")
        ('Passer domesticus', 'Turdus merula')
        >>> without_author("Anas platyrhynchos (Domestic type)")
        'Anas platyrhynchos (Domestic type)'
    """
    if match := INNER_AUTHOR.match(name):
        return f"{match[1]} {match[2]}"
    if match := DATED_BRACKETS.match(name):
        return match[1]
    match = AUTHORED_NAME.match(name)
    if match is None or (FORMS.search(match[2]) and not re.search(r"\d{4}", match[2])):
        return name
    return match[1]


def judge_name(given: str) -> Verdict:
    """Tell what a name is, by its look alone.

    Args:
        given: As it stands in the file.

    Returns:
        The verdict.

    Example:
        >>> judge_name("turdus  merula Linnaeus, 1758").name
        'Turdus merula'
        >>> judge_name("Turdus cf. merula").drop, judge_name("Larus sp.").drop
        ('identification is open (cf., aff., ?, a/b)', 'name is not that of a species')
    """
    spelled = spelled_usually(given)
    if match := WITH_VERNACULAR.match(spelled):
        return _of_kind(match[1], VERNACULAR)
    authored = without_author(spelled)
    name = WITH_SUBGENUS.sub(r"\1 ", authored) if "(" in authored else authored
    change = AUTHORED if authored != spelled else SPELLED if spelled != given else ""
    change = change or (SUBGENUS if name != authored else "")
    return _of_kind(name, change)


def _of_kind(name: str, change: str) -> Verdict:
    """Tell whether a name in its one spelling is that of a species, and of what else if not."""
    words = {word.strip(".,()[]") for word in name.casefold().split()}
    usual = words.isdisjoint(HINTS) and name.replace(" ", "").isalnum()
    drop = look = ""
    if words & NO_NAMES or OPEN_NAME.match(name) or BEGUN_NAME.match(name):
        drop = ABOVE_SPECIES
    elif not usual and (DOUBT.search(name) or SEVERAL.search(name)):
        drop = OPEN
    elif not SPECIES_NAME.match(name) and not HYBRID_NAME.match(name):
        drop = ABOVE_SPECIES
    elif usual:
        look = PEOPLE if name.startswith("Homo sapiens") else ""
    elif TAME.search(name):
        look = DOMESTIC
    elif GROUP.search(name):
        look = AGGREGATE
    elif name.startswith("Homo sapiens"):
        look = PEOPLE
    elif STAGE.search(name):
        look = STAGED
    elif SHORT_GENUS.match(name):
        look = SHORT
    return Verdict(name, change, drop, look)


def _rank(name: str, verdict: Verdict) -> tuple[bool, bool, bool, str]:
    return bool(verdict.change), bool(verdict.drop), "×" not in name, name


class NameBook:
    """Judges names, one piece of a file after the other, and brings equal ones to one spelling.

    Args:
        mended: Whether that was done before, so that all names stand as they are.
    """

    def __init__(self, *, mended: bool = False) -> None:
        self._mended = mended
        self._plain: set[str] = set()
        self._verdicts: dict[str, Verdict] = {}
        self._first: dict[str, str] = {}
        self.spellings: dict[str, list[str]] = {}
        self._unjudged = 0

    def judge(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Bring names to one spelling and say what they are.

        Args:
            rows: Records with ``scientific_name`` as text.

        Returns:
            The rows with the names in one spelling, ``name_text`` as given, and ``name_change``,
            ``name_drop``, ``name_look``: reasons, null where there is none.
        """
        given = rows["scientific_name"].drop_nulls().unique()
        given = given.clear() if self._mended else given
        # Most names stand as they should; only the others take time.
        plain = given.str.contains(PLAIN) & ~given.str.contains(NOT_PLAIN)
        if len(self._plain) < MOST_NAMES:
            self._plain.update(given.filter(plain).to_list())
        others = sorted(given.filter(~plain).to_list())
        new = [name for name in others if name not in self._verdicts]
        room = MOST_JUDGED - len(self._verdicts)
        if len(new) > room:
            beyond = pl.Series(new[room:])
            self._unjudged += int(rows["scientific_name"].is_in(beyond.implode()).sum())
            new = new[:room]
        judged = {name: judge_name(name) for name in new}
        # Names that are spelled as they should be come first, so that others are brought to them.
        for name in sorted(judged, key=lambda n: _rank(n, judged[n])):
            self._verdicts[name] = self._one(name, judged[name])
        here = {name: self._verdicts[name] for name in others if name in self._verdicts}
        columns = {"name_text": pl.col("scientific_name")}
        spelled = {name: v.name for name, v in here.items() if v.name != name}
        if spelled:
            columns["scientific_name"] = pl.col("scientific_name").replace(spelled)
        for key in ("change", "drop", "look"):
            said = {name: text for name, v in here.items() if (text := getattr(v, key))}
            columns[f"name_{key}"] = (
                pl.col("scientific_name").replace_strict(said, default=None, return_dtype=pl.String)
                if said
                else pl.lit(None, pl.String)
            )
        return rows.with_columns(**columns)

    def _one(self, given: str, verdict: Verdict) -> Verdict:
        """Take the spelling that an equal name had before."""
        first = verdict.name.capitalize()
        if first not in self._plain:
            key = identity(HYBRID_SIGN.sub("× ", verdict.name))
            first = self._first.get(key, verdict.name)
            if len(self._first) < MOST_NAMES:
                self._first[key] = first
        if first != verdict.name:
            better = judge_name(first)
            verdict = Verdict(first, verdict.change or SPELLED, better.drop, better.look)
        if verdict.change and not verdict.drop and len(self.spellings) < MOST_SPELLINGS:
            known = self.spellings.setdefault(verdict.name, [])
            known += [given] if len(known) < 100 else []
        return verdict

    def notes(self) -> list[str]:
        """Say which names were brought to one.

        Returns:
            Sentences, or nothing.
        """
        beyond = (
            [
                f"names taken as they stand, after {MOST_JUDGED:,} different ones with authors,"
                f" signs or other spellings: {self._unjudged:,} records"
            ]
            if self._unjudged
            else []
        )
        if not self.spellings:
            return beyond
        some = [
            f"{name} from {', '.join(map(repr, given[:4]))}{', …' if len(given) > 4 else ''}"
            for name, given in sorted(self.spellings.items())[:5]
        ]
        more = f"; and {len(self.spellings) - 5:,} more" if len(self.spellings) > 5 else ""
        return [f"one name from several spellings: {'; '.join(some)}{more}", *beyond]
