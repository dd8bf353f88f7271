"""Names as people write them: what is one name, what is none, and that both are told."""

from __future__ import annotations

import polars as pl
import pytest

from csp_core.data import read_occurrences
from csp_core.data.reading import import_records, scientific
from csp_core.data.reading.scientific import (
    ABOVE_SPECIES,
    OPEN,
    SHORT,
    STAGED,
    judge_name,
    without_author,
)


def written(folder, names):
    path = folder / "x.tsv"
    rows = "".join(
        f"{name}\t{i % 1700 / 10 + 0.1:.1f}\t{i // 1700}\n" for i, name in enumerate(names)
    )
    path.write_text("scientificName\tlon\tlat\n" + rows, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "given",
    [
        *("Turdus merula Linnaeus, 1758", "Turdus merula L.", "Turdus merula Linnaeus 1758"),
        *("turdus merula", "TURDUS MERULA", "Turdus  merula", "Turdus\u00a0merula"),
        *("Turdus merula (Linnaeus, 1758)", "turdus merula linnaeus, 1758"),
        *("Turdus merula Linnaeus & Smith, 1758", "Turdus merula Smith et al., 1990"),
        *("Turdus merula (L.) Mill.", "Turdus merula von Haast, 1860", "Turdus merula C.L. Brehm"),
        *(
            "TURDUS MERULA LINNAEUS, 1758",
            "TURDUS MERULA (Linnaeus)",
            "Turdus merula Linnaeus, 1758 auct.",
        ),
        *("Turdus merula Smith & Jones in Brown, 1900", "turdus merula Linnaeus", "Turdus_merula"),
        *("TURDUS MERULA L.", "Turdus merula (linnaeus 1758)", "'Turdus merula'", "Turdus merula."),
    ],
)
def test_one_species_is_one_class(tmp_path, given):
    records, report = read_occurrences(written(tmp_path, ["Turdus merula", given]))
    assert set(records.table["scientific_name"]) == {"Turdus merula"}
    assert list(report.changed.values()) == [1]
    # The name as given is kept in the report, and said.
    assert report.spellings == {"Turdus merula": (given.strip(),)}
    assert repr(given) in str(report)


def test_forms_of_unicode_are_one_class(tmp_path):
    forms = ["Aus mülleri", "Aus mu\u0308lleri", "AUS MÜLLERI"]
    records, report = read_occurrences(written(tmp_path, forms))
    assert set(records.table["scientific_name"]) == {"Aus mülleri"}
    assert sum(report.changed.values()) == 2


@pytest.mark.parametrize(
    "name",
    [
        *("Canis lupus familiaris", "Rosa 'Peace'", "Aus bus Smith, Jones apud Brown"),
        *("Anas platyrhynchos x rubripes", "Anas × rubripes", "×Cupressocyparis leylandii"),
        *("Felis silvestris f. catus", "Luscinia svecica subsp. cyanecula", "Quercus ×rosacea"),
        *("Anas platyrhynchos (Domestic type)", "Junco hyemalis (Slate-colored)"),
        *("Brassica oleracea Capitata Group", "Turdus merula", "Aus bus", "Escherichia coli K-12"),
        *("Rubus fruticosus agg.", "Genus species12", "Аус бус"),
    ],
)
def test_names_of_species_and_hybrids_stay_as_they_are(name):
    found = judge_name(name)
    assert (found.name, found.drop) == (name, "")


@pytest.mark.parametrize(
    ("given", "usual"),
    [
        *((n, "Turdus merula") for n in ("TURDUS merula", "Turdus merula linnaeus, 1758")),
        *(
            (f"Turdus merula ({n})", "Turdus merula")
            for n in ("Common Blackbird", "linnaeus, 1758")
        ),
        ("Cardinalis cardinalis (Northern Cardinal)", "Cardinalis cardinalis"),
        *((n, "Anas × rubripes") for n in ("Anas x rubripes", "Anas ×rubripes")),
        *((n, n) for n in ("Larus fuscus (Western Group)", "Motacilla alba (White-faced)")),
    ],
)
def test_other_spellings_are_of_one_class(tmp_path, given, usual):
    records, _ = read_occurrences(written(tmp_path, [usual, given]))
    assert set(records.table["scientific_name"]) == {usual}


@pytest.mark.parametrize("given", ["Bombus (Bombus) terrestris", "BOMBUS TERRESTRIS"])
@pytest.mark.parametrize("author", ["", " (Linnaeus, 1758)"])
def test_a_subgenus_makes_no_other_species(tmp_path, given, author):
    records, report = read_occurrences(written(tmp_path, [given + author, "Bombus terrestris"]))
    assert set(records.table["scientific_name"]) == {"Bombus terrestris"}
    assert sum(report.changed.values()) == 1 and given in str(report.spellings)


@pytest.mark.parametrize("sign", ["; ", ", ", " & ", " + ", ";"])
def test_two_names_in_one_cell_are_no_species(sign):
    assert judge_name(f"Puma concolor{sign}Lynx rufus").drop == OPEN


@pytest.mark.parametrize(
    ("name", "look"),
    [
        *(
            ("Turdus merula juv.", STAGED),
            ("Turdus merula (male)", STAGED),
            ("Turdus merula ♀", STAGED),
        ),
        *(("T. merula", SHORT), ("Ae. aegypti", SHORT), ("Turdus merula", ""), ("Aus male", "")),
    ],
)
def test_names_with_remarks_are_marked(name, look):
    assert (judge_name(name).look, judge_name(name).drop) == (look, "")


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("Quercus robur L. subsp. robur", "Quercus robur subsp. robur"),
        ("Poa annua var. reptans Hausskn.", "Poa annua var. reptans"),
        ("Canis lupus familiaris Linnaeus, 1758", "Canis lupus familiaris"),
        ("Salix ×rubens Schrank", "Salix ×rubens"),
        ("Bombus (Bombus) terrestris (Linnaeus, 1758)", "Bombus (Bombus) terrestris"),
        ("Pieris napi de Prunner, 1798", "Pieris napi"),
    ],
)
def test_authors_are_left_out(name, bare):
    assert without_author(name) == bare
    assert without_author(bare) == bare


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((n, ABOVE_SPECIES) for n in ("Larus sp.", "Larus sp", "Larus spp.", "Rattus spec.")),
        *((n, ABOVE_SPECIES) for n in ("Rattus ssp", "Myotis sp. nov. 1", "Myotis sp1", "Aves")),
        *((n, ABOVE_SPECIES) for n in ("Unknown bird", "unidentified rodent", "small mammal")),
        *((n, ABOVE_SPECIES) for n in ("no cv result", "Setup Pickup", "bird species", "Blank")),
        *((n, ABOVE_SPECIES) for n in ("Passeriformes sp.", "Aedes n. sp.", "Turdus indet.")),
        *((n, OPEN) for n in ("Turdus cf. merula", "cf. Turdus merula", "Turdus merula?")),
        *((n, OPEN) for n in ("Turdus ?", "Carabus aff. nemoralis", "Larus argentatus/cachinnans")),
        *((n, OPEN) for n in ("Larus argentatus / L. cachinnans", "Myotis myotis vel blythii")),
        *((n, ABOVE_SPECIES) for n in ("Rattus sp_1", "Rattus spA", "Rattus sp. B", "see photo")),
        *((n, ABOVE_SPECIES) for n in ("to be determined", "To be identified", "mystery gull")),
        *(
            (f"Turdus merula ({n})", OPEN)
            for n in ("likely", "Probable", "unconfirmed", "possible")
        ),
        *((n, OPEN) for n in ("Turdus merula maybe", "Perhaps Turdus merula")),
    ],
)
def test_open_names_and_names_that_are_none(tmp_path, name, reason):
    source = written(tmp_path, [name, "Aus bus"])
    report = import_records(source, tmp_path / "out.parquet")
    assert report.dropped == {reason: 1} and report.examples[reason] == ((2, name),)
    # Where all names are kept they are marked.
    _, kept = read_occurrences(source)
    assert kept.rows_kept == 2 and kept.flagged == {reason: 1}


@pytest.mark.parametrize(
    "name", ["Homo sapiens", "Rubus fruticosus agg.", "Columba livia (Feral Pigeon)"]
)
def test_names_to_look_at(tmp_path, name):
    report = import_records(written(tmp_path, [name, "Aus bus"]), tmp_path / "out.parquet")
    assert report.rows_kept == 2 and list(report.flagged.values()) == [1]


def test_one_spelling_through_many_blocks(tmp_path):
    names = ["aus bus"] * 30_000 + ["Aus bus (L.)"] * 30_000 + ["Aus  bus"] * 30_000
    report = import_records(written(tmp_path, names), tmp_path / "out.parquet")
    assert report.rows_kept == 90_000 and sum(report.changed.values()) == 90_000
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table["scientific_name"].unique().to_list() == ["Aus bus"]
    # What was written is taken as it is.
    again = import_records(tmp_path / "out.parquet", tmp_path / "again.parquet")
    assert not again.changed
    assert pl.read_parquet(tmp_path / "again.parquet").equals(table)


def test_names_beyond_a_number_of_odd_ones_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(scientific, "MOST_JUDGED", 3)
    odd = [f"Aus beta{end} Smith, 1900" for end in "vwxyz"]
    records, report = read_occurrences(written(tmp_path, ["Turdus merula", *odd, odd[0], odd[4]]))
    kept = records.table["scientific_name"].to_list()
    assert kept.count("Aus betav") == 2 and kept.count("Aus betax") == 1
    assert kept.count(odd[3]) == 1 and kept.count(odd[4]) == 2
    assert any("after 3 different ones" in note and ": 3 records" in note for note in report.notes)


ODD_WORDS = (
    "cf. aff nr near prope vel confer poss possibly probably sp. or oder vs agg. aggr aggregate"
    " complex s.l. sensu group domestic feral captive escape escaped escapee pet juv juveniles"
    " imm immature adult males female chicks larva larvae nymphs pup eggs nest ♂ ? a/b & Homo"
    " sapiens Turdus merula Linnaeus, 1758 var. x alba2 Bus, cus"
).split()


@pytest.mark.parametrize("tail", ["", " major", " L."])
def test_the_short_way_for_usual_names_says_the_same(monkeypatch, tail: str):
    names = [
        f"{first} {second} {third}{tail}"
        for first in ("Turdus", "Homo")
        for second in ("merula", "sapiens")
        for third in ODD_WORDS
    ]
    names += [f"Aus {word}" for word in ODD_WORDS] + [f"{word} bus" for word in ODD_WORDS]
    short = [judge_name(name) for name in names]
    every = " ".join(names).casefold().replace(".", "").split()
    monkeypatch.setattr(scientific, "HINTS", frozenset(every))
    assert short == [judge_name(name) for name in names]
    assert len({verdict.look for verdict in short}) >= 4


@pytest.mark.parametrize(
    ("rows", "name", "said"),
    [
        (["house sparrow,Passer domesticus", "robin,Erithacus rubecula"], "Passer domesticus",
         "read from 'scientificName', not from 'species'"),
        (["House Sparrow,Passer domesticus (L.)", ",Aus bus"], "Passer domesticus",
         "read from 'scientificName', not from 'species'"),
        (["Passer domesticus,Passer domesticus (L.)"] * 2, "Passer domesticus", ""),
        (["Passer domesticus,Passer domesticus italiae"] * 2, "Passer domesticus", ""),
        (["Passer domesticus,Corvus corax"] * 2, "Passer domesticus", "says otherwise in 2 of"),
        (["PASEDOM,sparrow"] * 2, "PASEDOM", ""),
    ],
)  # fmt: skip
def test_of_two_columns_of_names_the_scientific_one_is_taken(tmp_path, rows, name, said):
    path = tmp_path / "n.csv"
    lines = ["species,scientificName,lon,lat", *(f"{row},1,{i}" for i, row in enumerate(rows, 1))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    records, report = read_occurrences(path)
    assert records.table["scientific_name"][0] == name
    told = [note for note in report.notes if "scientific_name is read" in note]
    assert len(told) == bool(said) and said in "".join(told)
    if "house sparrow" in rows[0]:
        assert records.table["common_name"][0] == "house sparrow"
    records, _ = read_occurrences(path, mapping={"scientific_name": "species"})
    assert records.table["scientific_name"][0].lower() == rows[0].split(",")[0].lower()
