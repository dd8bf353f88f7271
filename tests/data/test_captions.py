"""Captions: numbered in one table, made of facts, written and read again, refused in a sentence."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from csp_core.config import parse_config
from csp_core.data import collate, load_dataset
from csp_core.data.again import are_those, options_again
from csp_core.data.captions.attach import without_captions
from csp_core.data.captions.column import LONGEST, number
from csp_core.data.captions.facts import captions_of_facts
from csp_core.data.captions.table import read_captions, write_captions
from csp_core.data.captions.templates import FORMS, MONTHS, fill, month_of
from csp_core.data.records import join_records
from csp_core.data.subsets import take_rows
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.gazetteer.index import connect
from tests import small
from tests.data.sets import eurosat, photos, tiles

needs_towns = pytest.mark.skipif(
    connect() is None, reason="needs the list of places (sh tools/setup.sh test builds it)"
)


def told(texts=("a mill", "", "the sea", "a mill")):
    data = take_rows(small.dataset(), torch.arange(len(texts)))
    captions, caption = number(texts)
    return replace(data, captions=captions, caption=caption)


def test_equal_captions_share_a_number_and_empty_ones_have_none():
    data = told()
    assert data.captions == ("a mill", "the sea") and data.caption.tolist() == [0, -1, 1, 0]
    assert data[2]["caption"] == 1 and data.__getitems__([1, 0])["caption"].tolist() == [-1, 0]
    assert collate([data[0], data[1]])["caption"].tolist() == [0, -1]


def test_records_without_captions_are_as_they_were():
    data = small.dataset()
    assert data.captions is None and (data.caption == -1).all() and "caption" not in data[0]
    assert "caption" not in data.__getitems__([0, 1])
    # Taken from before there were captions.
    assert (
        without_captions(told()).content_hash() == take_rows(data, torch.arange(4)).content_hash()
    )
    assert without_captions(data) is data


def test_captions_are_a_part_of_the_hash():
    several = (("a", "b", "", "a"), ("b", "a", "", "b"), ("a", "c", "", "a"), ("a", "", "b", "a"))
    assert len({told(texts).content_hash() for texts in several}) == 4


def test_parts_are_joined_with_their_captions_and_others_refused():
    data = told()
    both = join_records(
        take_rows(data, torch.tensor([0, 1])), take_rows(data, torch.tensor([2, 3]))
    )
    assert both.captions == data.captions and both.caption.tolist() == data.caption.tolist()
    assert both.content_hash() == replace(data, classes=both.classes).content_hash()
    with pytest.raises(BadRecordError, match="captions differ"):
        join_records(data, told(("x", "y", "", "")))


@pytest.mark.parametrize(
    ("captions", "caption", "says"),
    [(("a",), [0, 1], "numbered"), (None, [0, -1], "numbered"), (("a",), [0, -2], "numbered"),
     (("a", "a"), [0, 1], "distinct"), (("",), [0, 0], "empty"), (("a",), [0.0, 0.0], "int64"),
     (("a",), [0], "same number of rows")],
)  # fmt: skip
def test_columns_that_do_not_fit(captions, caption, says):
    data = take_rows(small.dataset(), torch.arange(2))
    with pytest.raises(BadRecordError, match=says):
        replace(data, captions=captions, caption=torch.tensor(caption))


def test_every_set_of_facts_has_several_forms_that_say_them_all():
    words = {"where": "near Bergen, Norway", "month": "June", "thing": "forest"}
    for known, forms in FORMS.items():
        facts = {key: words[key] for key in known}
        made = {fill(facts, form) for form in range(len(forms))}
        assert len(made) == len(forms) >= 4
        assert all(word in text for text in made for word in facts.values())
    assert fill({"month": "June", "where": "", "thing": ""}, 3) == ""


def test_months_of_every_day():
    lengths = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    days = [month for month, length in zip(MONTHS, lengths, strict=True) for _ in range(length)]
    parts = (torch.arange(365) / 365).tolist()
    assert [month_of(part) for part in parts] == days and month_of(math.nan) == ""


@needs_towns
def test_a_set_has_one_table_for_all_its_parts(tmp_path):
    options = eurosat.options(tmp_path)
    parts = {
        split: load_dataset("eurosat", split, **options, captions="facts")
        for split in ("train", "val", "test", "all")
    }
    whole = parts.pop("all")
    assert all(part.captions == whole.captions for part in parts.values())
    of_place = dict(zip(map(str, whole.lonlat.tolist()), whole.caption.tolist(), strict=True))
    for part in parts.values():
        assert [of_place[str(p)] for p in part.lonlat.tolist()] == part.caption.tolist()
    assert whole.info["distinct_captions"] == len(whole.captions)
    assert whole.info["records_without_caption"] == 0
    joined = join_records(parts["train"], parts["val"])
    assert len(joined) == len(parts["train"]) + len(parts["val"])


@needs_towns
def test_captions_say_the_class_only_where_asked_and_the_month_only_of_a_date(tmp_path):
    plain = load_dataset("eurosat", "all", **eurosat.options(tmp_path), captions="facts")
    classed = load_dataset(
        "eurosat", "all", **eurosat.options(tmp_path / "b"), captions="facts_and_class"
    )
    things = ("annual crop", "forest", "sea or lake")
    names = classed.classes.names
    # As people call them; the fake has three classes, in the order of their names.
    assert names == ("AnnualCrop", "Forest", "SeaLake")
    for label, caption in zip(classed.label.tolist(), classed.caption.tolist(), strict=True):
        assert things[label] in classed.captions[caption]
    assert not any(thing in text for thing in things for text in plain.captions)
    assert not any(month in text.split() for month in MONTHS for text in plain.captions)
    dated = load_dataset("demo", "all", size=60, images=False, captions="facts")
    for date, caption in zip(dated.date.tolist(), dated.caption.tolist(), strict=True):
        assert caption < 0 or month_of(date) in dated.captions[caption]


@needs_towns
def test_the_label_has_no_say_in_captions_without_it():
    data = load_dataset("demo", "all", size=80, images=False)
    other = replace(data, label=data.label.flip(0))
    assert captions_of_facts(data) == captions_of_facts(other)
    assert captions_of_facts(data) != captions_of_facts(data, seed=1)
    assert captions_of_facts(data, with_class=True) != captions_of_facts(other, with_class=True)
    # The form does not hang on the part or the order.
    rows = torch.arange(len(data)).flip(0)[::3]
    whole = captions_of_facts(data)
    assert captions_of_facts(take_rows(data, rows)) == [whole[row] for row in rows.tolist()]


@needs_towns
def test_places_are_named_only_where_there_are_names():
    data = take_rows(small.dataset(), torch.arange(5))
    places = torch.tensor(
        [[2.35, 48.86], [7.0, 51.0], [-140.0, -45.0], [math.nan, math.nan], [-40.0, 75.0]]
    )
    texts = captions_of_facts(replace(data, lonlat=places))
    assert "in Paris, France" in texts[0] and "Germany" in texts[1]
    assert texts[2] == texts[3] == "" and "Greenland" in texts[4]
    unseen = replace(data, lonlat=places, label=torch.full((5,), -1))
    assert captions_of_facts(unseen, with_class=True) == texts
    sets = small.label_sets(data, unknown=False)
    several = captions_of_facts(sets, with_class=True, taxa=True)
    for labels, text in zip(sets.labels, several, strict=True):
        words = [sets.classes.common_names[k] for k in labels.nonzero().flatten().tolist()]
        assert " and ".join(words) in text


def test_masks_are_no_class_of_a_record(tmp_path):
    options = tiles.masked(tmp_path) | {"gap": 0}
    with pytest.raises(ConfigError, match="captions: facts"):
        load_dataset("tiles", **options, captions="facts_and_class")


@pytest.mark.parametrize("by", ["file", "place"])
def test_what_is_written_is_found_again(tmp_path, by):
    options = eurosat.options(tmp_path) | ({} if by == "file" else {"images": False})
    whole = load_dataset("eurosat", "all", **options)
    texts = [f"number {row // 2}" for row in range(len(whole))]
    texts[3] = ""
    path = tmp_path / "captions.csv"
    assert write_captions(whole, texts, path) == (len(whole) - 1, 0)
    assert path.read_text().splitlines()[0] == ("file," if by == "file" else "") + "lon,lat,caption"
    again = load_dataset("eurosat", "all", **options, captions=path)
    found = [again.captions[k] if k >= 0 else "" for k in again.caption.tolist()]
    assert found == texts and again.info["records_without_caption"] == 1
    train = load_dataset("eurosat", "train", **options, captions=str(path))
    assert train.captions == again.captions and "captions_left_out" not in train.info


def test_files_are_found_in_an_archive_and_beside_it(tmp_path):
    packed = load_dataset("eurosat", "all", **eurosat.options(tmp_path / "a"))
    path = tmp_path / "captions.csv"
    write_captions(packed, [f"text {row}" for row in range(len(packed))], path)
    assert "2750/" in path.read_text()
    root = eurosat.make(tmp_path / "b", unpacked=True)
    found = load_dataset("eurosat", "all", root=root, captions=path, test_fraction=0.2)
    assert (found.caption >= 0).all() and len(set(found.caption.tolist())) == len(found)


def test_places_with_dates(tmp_path):
    data = load_dataset("demo", "all", size=40, images=False)
    path = tmp_path / "captions.csv"
    texts = [f"text {row}" for row in range(len(data))]
    write_captions(data, texts, path)
    found = read_captions(path).find(data)
    assert found == (texts, 0)
    one = replace(take_rows(data, torch.tensor([0])), date=torch.tensor([0.375 - 1e-9]))
    day = replace(one, date=torch.tensor([136 / 365]), lonlat=torch.tensor([[12.5, -3.25]]))
    path.write_text("Caption , LON,lat,date\nmay,12.5,-3.25,2023-05-17\n")
    assert read_captions(path).find(day) == (["may"], 0)
    assert read_captions(path).find(one) == ([""], 1)


def test_bad_rows_are_told_and_left_out(tmp_path):
    options = eurosat.options(tmp_path)
    names = [f"2750/{name}" for name in eurosat.names()]
    lines = [
        "file,caption,more", f"{names[0]},a  field\t ,1", f"{names[1]},,1", f"{names[0]},another",
        ",nobody's", "2750/Forest/Forest_99.jpg,of none", f"{names[2]},{'x' * (LONGEST + 1)}",
        f'{names[3]},"two\nlines"', "", names[4],
    ]  # fmt: skip
    path = tmp_path / "captions.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    data = load_dataset("eurosat", "all", **options, captions=path)
    assert data.captions == ("a field", "two lines")
    said = str(data.info["captions_left_out"])
    for part in (
        "2 rows have an empty caption (lines 3, 11)",
        "1 rows are of a record that has",
        "1 rows name neither",
        "more than 2,000 letters",
        "1 captions are of no record",
    ):
        assert part in said, said
    assert data.info["captions"] == "read from captions.csv"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"file,text\na,b\n", "columns file, text; give caption"),
        (b"caption,lon\na,1\n", "give caption, and file or lon and lat"),
        (b"", "columns none"),
        (b"x" * 200_000, "no CSV"),
        ("caption,file\nok,a\nschön,b\n".encode("latin-1"), "line 3.*not UTF-8"),
        (b"caption,file\n,a\n", "no caption of a record.*empty caption"),
        (b"caption,file\nof another,z.jpg\n", "Not one of 24 records.*1 captions are of no record"),
    ],
)
def test_tables_that_are_none(tmp_path, content, says):
    path = tmp_path / "captions.csv"
    path.write_bytes(content)
    with pytest.raises(BadRecordError, match=f"(?s){says}"):
        load_dataset("eurosat", **eurosat.options(tmp_path), captions=path)


@pytest.mark.parametrize("captions", ["fact", 3, "captions.txt", ""])
def test_captions_that_are_none(captions):
    with pytest.raises(ConfigError, match="give facts, facts_and_class, or a CSV"):
        load_dataset("demo", size=40, images=False, captions=captions)
    with pytest.raises(ConfigError, match=r"data\.captions|give facts"):
        parse_config({"data": {"name": "demo", "captions": captions}})


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(DataNotFoundError, match="csp caption"):
        load_dataset("eurosat", **eurosat.options(tmp_path), captions=tmp_path / "none.csv")


def test_a_table_of_photos_has_captions(tmp_path):
    folder = photos.write_folder(tmp_path / "photos")
    names = [f"{name}/{i}.jpg" for name in ("Aus bus", "Cus dus") for i in range(6)]
    rows = [f"{n},{n.split('/')[0]},{'a bus' if i % 3 else ''}" for i, n in enumerate(names)]
    table = folder / "table.csv"
    table.write_text("path,label,caption\n" + "\n".join(rows))
    options = {"root": table, "val_fraction": 0.2, "test_fraction": 0.2}
    data = load_dataset("photos", "all", **options)
    assert data.captions == ("a bus",) and sorted(data.caption.tolist()) == [-1] * 4 + [0] * 8
    assert load_dataset("photos", "train", **options).captions == data.captions
    table.write_text("path,label\n" + "\n".join(row.rpartition(",")[0] for row in rows))
    assert load_dataset("photos", "all", **options).captions is None
    table.write_text("path,label,caption\n" + rows[0] + "y" * (LONGEST + 1))
    with pytest.raises(BadRecordError, match="letters"):
        load_dataset("photos", "all", **options)


def test_the_records_of_a_finished_model_are_known_again():
    settings = {
        "name": "demo",
        "root": None,
        "size": 40,
        "captions": "facts",
        "quality": {"seed": 0},
    }
    assert options_again(settings) == {"size": 40, "captions": "facts"}
    # The path of a file says nothing elsewhere.
    assert options_again(settings | {"captions": "captions.csv"}) == {"size": 40}
    data = told()
    plain = without_captions(data).content_hash()
    assert are_those(data, {"hash": "of others", "hash_as_loaded": plain})
    assert are_those(data, {"hash": data.content_hash()}) and not are_those(data, {"hash": plain})
    assert not are_those(data, {})
