"""Classes of occurrence records: their order and their numbers."""

from csp_core.data import load_dataset

# Letters of one to four bytes in UTF-8, of which UTF-16 orders the last two the other way round.
NAMES = [
    "Zus zus",
    "Aba alta",
    "Élan vitae",
    "Ōta ota",
    "\uff21ba alta",
    "\U00010400a b",
    "Aba alta",
]


def test_classes_are_in_the_order_of_their_letters(tmp_path):
    table = tmp_path / "records.csv"
    rows = "".join(f"{name},{row},1\n" for row, name in enumerate(NAMES))
    table.write_text(f"scientificName,decimalLongitude,decimalLatitude\n{rows}", encoding="utf-8")
    records = load_dataset(
        "occurrences", split="all", root=table, mapping={"scientific_name": "scientificName"}
    )
    found = dict(zip(records.lonlat[:, 0].tolist(), records.label.tolist(), strict=True))
    kept = [NAMES[int(lon)] for lon in found]
    assert len(kept) == len(NAMES)
    assert records.classes.names == tuple(sorted(set(records.classes.names)))
    assert [records.classes.names[label] for label in found.values()] == kept
