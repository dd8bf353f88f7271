"""Whether a record says that something lived there: absences, counts of 0, the kept, the dead."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

TRUE = (
    *("true", "t", "yes", "y", "1", "1.0", "captive", "cultivated", "captive/cultivated", "x"),
    *("wahr", "ja", "vrai", "oui", "verdadero", "verdadeiro", "si", "sí", "sì", "sim", "vero"),
    *("waar", "sant", "tak"),
)
# Words of common languages, in lower case.
ABSENT = (
    *("absent", "absence", "absents", "not present", "not detected", "not found", "not observed"),
    *("not seen", "non detected", "non-detected", "nondetection", "undetected"),
    *("non-detection", "not-detected", "notdetected", "confirmed absent", "no detection", "no"),
    *("falsch", "nein", "faux", "non", "falso", "não", "nao", "nee", "onwaar", "nej", "nei", "nil"),
    *("0", "0.0", "false", "f", "n", "none", "zero", "negative", "-", "excluded", "pseudoabsence"),
    *("pseudo-absence", "absente", "non détecté", "non détectée", "non observé", "non observée"),
    *("non observe", "ausente", "ausencia", "ausência", "no detectado", "no detectada"),
    *("não detectado", "no observado", "assente", "assenza", "non rilevato", "abwesend", "fehlt"),
    *("fehlend", "nicht nachgewiesen", "nicht gefunden", "nicht beobachtet", "nicht vorhanden"),
    *("afwezig", "niet aanwezig", "niet aangetroffen", "niet waargenomen", "fraværende"),
    *("ikke funnet", "ikke observeret", "ikke fundet", "ej påträffad", "ej återfunnen"),
    *("inte påträffad", "frånvarande", "poissa", "ei havaittu", "nieobecny", "nie stwierdzono"),
    *("nepřítomen", "nepřítomný", "chybí", "odsutan", "отсутствует", "не обнаружен", "不在", "无"),
)
# The same in other words: "pas observé", "keine Beobachtung", "ausentes".
_NOT = r"(?:not|no|non|nicht|kein|keine|niet|geen|ikke|ingen|ej|inte|inga|pas|aucune?|sin|não|nao"
_NOT += r"|nessun\w*|nenhum\w*|ning[uú]n\w*|ei|nie|mai|never|none)"
_SEEN = r"(?:pr[eéæ]sen|d[eé]tec|rilev|found|observ|gefund|nachgew|nachweis|beobacht|vorhand"
_SEEN += (
    r"|gesehen|seen|sight|vist|vus?\b|vue|trouv|encontr|avist|funnet|fundet|waargen|aangetr|aanwez"
)
_SEEN += r"|stwierdz|havait|påträff|record(?:s|ings)\b)"
_GONE = r"^(?:absen|ausen|ausên|assent|assenz|abwes|afwez|frav[æa]r|frånv)"
ABSENT_WORDS = rf"{_GONE}|^{_NOT}[\s-]+(?:\w+\s)?{_SEEN}"
# "0", "0.0", "0 individuals", "0 in 10 minutes", "0 (2 observers)", "zero".
ZERO = (
    r"^0+(?:[.,]0+)?(?:\s*[A-Za-z(].*)?$"
    r"|^(?i:zero|nil|no|keine?|aucune?|cero|zéro|nessun[oa]?|ningun[oa]?|geen|ingen)$"
)
# "0 adults; 3 juveniles", "0m/3f", "0 adults and 3 young", "0 ad 3 juv", but not "0 on 3/5".
AND_SOME = (
    r"(?i)[;+&]\s*[1-9]|,\s+[1-9]|[^\d\s]\s*[,/]\s*[1-9]"
    r"|\b(?:and|plus|und|et|y|og|och|en)\s+[1-9]"
    r"|[1-9]\d*\s*(?:ad|juv|imm|males?|females?|m|f|young|chicks?|larvae?|nymphs?|eggs?|pups?)"
    r"(?:ults?|eniles?|atures?)?\b"
)
PRESENT = (
    *(
        "present",
        "presence",
        "presente",
        "présent",
        "présente",
        "presente",
        "presenza",
        "presencia",
    ),
    *("vorhanden", "anwesend", "nachgewiesen", "aanwezig", "detected", "observed", "found", "seen"),
    *("common", "rare", "irregular", "uncommon", "abundant", "true", "t", "yes", "y", "1", "1.0"),
    *("confirmed", "breeding", "native", "positive", "påträffad", "tilstede", "obecny", *TRUE),
)
# Contained in what stands there, such as "cultivated plant" or "captive (category B1)".
KEPT = (
    r"\b(?:captiv\w*|cultivated|cultivation|managed|zoo|aquarium|botanic(?:al)? garden|released"
    r"|domestic|domesticated|planted|garden|farmed|escapees?|escaped)\b"
)
# "not cultivated"; what has escaped and lives on its own since is no captive.
FREE = r"\b(?:not|non|never|no|un)[\s-]?(?:captiv|cultiv|planted|domest|managed)|naturali[sz]ed"
# The codes of Darwin Core's degree of establishment for captives, the cultivated and the released.
CODES = r"(?:^|[(\s])(?:category\s)?b[123]\)?$"
_LIVING = "living specimen (zoo, garden or culture), not a wild one"
BASES = {
    "fossil": "fossil, not of today",
    **dict.fromkeys(("livingspecimen", "zoo", "captive"), _LIVING),
}
ABSENCE = "record of an absence"
NO_COUNT = "record of an absence (a count of 0)"
CAPTIVE = "captive or cultivated"
NO_NUMBER = "count below 0, which may stand for an unknown one"
UNCLEAR = "status of the occurrence is neither presence nor absence"


def absences(rows: pl.DataFrame) -> list[tuple[str, pl.Expr, pl.Expr]]:
    """List the reasons by which a record is one of an absence.

    Args:
        rows: Records with ``status``, ``absence``, ``count`` and ``quantity`` as text; columns
            may be all null.

    Returns:
        Reason, condition, what stands there: for those columns that hold anything.
    """
    found = []
    status, absence = pl.col("status"), pl.col("absence")
    if _any(rows, "status"):
        found.append((ABSENCE, _absent(), pl.format("status {}", status)))
    if _any(rows, "absence"):
        said = _word("absence").is_in([*TRUE, "absent", "absence"])
        found.append((ABSENCE, said, pl.format("absence is {}", absence)))
    for key in ("count", "quantity"):
        if _any(rows, key):
            none = pl.col(key).str.contains(ZERO) & ~pl.col(key).str.contains(AND_SOME)
            found.append((NO_COUNT, none, pl.format("count {}", pl.col(key))))
    return found


def looks(columns: Mapping[str, str]) -> list[tuple[str, pl.Expr, pl.Expr]]:
    """List what makes a record one to look at: captives, zoo animals, fossils, unclear words.

    Args:
        columns: Canonical name to column, those that the file has.

    Returns:
        Canonical name of the column, the reason as text or null, what stands there.
    """
    found = []
    if "captive" in columns:
        kept = _word("captive").is_in(TRUE) | _kept("captive")
        found.append(("captive", _when(kept, CAPTIVE), pl.col("captive")))
    for key in ("establishment", "degree"):
        if key in columns:
            kept = _kept(key)
            if key == "degree":
                kept = kept | _last(key).str.contains(CODES)
            found.append((key, _when(kept, CAPTIVE), pl.col(key)))
    if "exotic" in columns:
        found.append(("exotic", _when(_word("exotic") == "x", CAPTIVE), pl.col("exotic")))
    for key in ("count", "quantity"):
        if key in columns:
            found.append((key, _when(pl.col(key).str.contains(r"^-\d"), NO_NUMBER), pl.col(key)))
    if "basis" in columns:
        word = _word("basis").str.replace_all(r"[^a-z]", "")
        kind = word.str.extract(r"(fossil|livingspecimen|^zoo$|^captive$)", 1)
        reason = kind.replace_strict(BASES, default=None, return_dtype=pl.String)
        found.append(("basis", reason, pl.col("basis")))
    if "status" in columns:
        unclear = pl.col("status").is_not_null() & ~is_present(_word("status")) & ~_absent()
        found.append(("status", _when(unclear, UNCLEAR), pl.col("status")))
    return found


def _last(key: str) -> pl.Expr:
    # A vocabulary's address ends as the word does.
    return _word(key).str.replace(r"^.*[/#]", "")


def _kept(key: str) -> pl.Expr:
    return _last(key).str.contains(KEPT) & ~_last(key).str.contains(FREE)


def is_absent(word: pl.Expr) -> pl.Expr:
    """Tell whether a status says that it was not there.

    Args:
        word: In lower case.

    Returns:
        Whether it does.
    """
    return word.is_in(ABSENT) | word.str.contains(ABSENT_WORDS)


def is_present(word: pl.Expr) -> pl.Expr:
    """Tell whether a status says that it was there.

    Args:
        word: In lower case.

    Returns:
        Whether it does, in one of the words that are known.
    """
    return word.is_in(PRESENT)


def _absent() -> pl.Expr:
    return is_absent(_word("status"))


def _any(rows: pl.DataFrame, key: str) -> bool:
    return rows[key].null_count() < len(rows)


def _word(key: str) -> pl.Expr:
    return pl.col(key).str.to_lowercase().str.replace_all("_", " ", literal=True)


def _when(condition: pl.Expr, reason: str) -> pl.Expr:
    return pl.when(condition).then(pl.lit(reason))
