"""The Clusters page, run without a browser."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

from clusters import class_scatter, files
from csp_core import embedding_clusters
from csp_core.data.records import ClassTable
from csp_core.image import make_image_encoder
from csp_core.inference.clusters import Clusters
from csp_core.inference.clusters.series import write_frame
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.raster import Credit
from csp_core.store import catalog, load_model, save_model
from tests.toy import save_strange_models, save_toy_model

MAIN = Path(__file__).parents[3] / "app" / "main.py"
FEW = {"points": "500", "count": "4"}

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    # The newest is the page's default.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_strange_models(folder)
    save_toy_model(folder, "seasonal", seasons=True)
    save_toy_model(folder)
    bare = DualEncoder(None, make_location_encoder("sphere_c", 8, num_scales=2), dim=8, name="wild")
    save_model(bare.eval(), folder / "wild")
    heads = Heads(classifiers=("image",))
    image = make_image_encoder("features", 5)
    blind = DualEncoder(image, None, classes=("a", "b"), heads=heads, name="blind")
    save_model(blind.eval(), folder / "blind")
    return folder


@pytest.fixture
def open_clusters(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Open]:
    def start(**params: str) -> AppTest:
        monkeypatch.setenv("CSP_MODELS", str(models))
        app = AppTest.from_file(MAIN, default_timeout=60)
        app.run()
        app.switch_page("views/clusters.py")
        for name, value in ({"model": "toy"} | FEW | params).items():
            app.query_params[name] = value
        return app.run()

    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "no-assets")
    st.cache_data.clear()
    yield start
    st.cache_data.clear()


def test_a_model_of_one_class_says_that_none_is_typical(open_clusters: Open) -> None:
    app = open_clusters(model="unary")
    assert not app.exception and not app.error
    said = texts(app)
    assert "Silhouette" in said and "one class only" in said and "by lift" not in said
    assert "knows one class, so there is no other to compare" in said and "dimensions" not in said


@pytest.mark.parametrize(
    ("model", "words"),
    [("unreal", "500 of 500 vectors of model"), ("uniform", "Only 1 of 500 vectors differ")],
)
def test_embeddings_that_cannot_be_grouped(open_clusters: Open, model: str, words: str) -> None:
    app = open_clusters(model=model)
    assert not app.exception and len(app.error) == 1
    assert words in app.error[0].value
    app.selectbox(key="clusters-model").set_value("toy").run()
    assert not app.error and "Silhouette" in texts(app)


def texts(app: AppTest) -> str:
    shown = [
        *app.title,
        *app.markdown,
        *app.caption,
        *app.header,
        *app.subheader,
        *app.error,
        *app.info,
    ]
    parts = [element.value for element in shown]
    parts += [element.proto.body for element in app.get("html")]
    parts += [link.proto.label for link in app.get("page_link")]
    return "\n".join(parts).replace("\\", "")


def asked(app: AppTest, name: str) -> str | None:
    found = app.query_params.get(name)
    return found[0] if isinstance(found, list) else found


def test_it_shows_clusters_with_what_is_known_of_them(open_clusters: Open) -> None:
    app = open_clusters()
    assert not app.exception and not app.error
    said = texts(app)
    assert "k-means, 4 clusters, 500 places on land, seed 0" in said
    assert "Colours of clusters compare within one model and region" in said
    assert "Silhouette" in said and "adjusted Rand index" in said
    assert said.count('<th scope="row">') == 4 and "million km²" in said
    assert [app.selectbox(key=f"clusters-{name}").value for name in ("method", "where")] == [
        "kmeans",
        "land",
    ]


def test_what_is_known_already_takes_little_time(open_clusters: Open) -> None:
    app = open_clusters(lat="-1.3", lon="36.8")
    taken = []
    for _ in range(3):
        start = time.process_time()
        app.run()
        taken.append(time.process_time() - start)
    # A tenth of a second on a quiet machine; more would be one of the stages again.
    assert min(taken) < 0.4


def test_every_choice_is_in_the_address(open_clusters: Open) -> None:
    app = open_clusters()
    app.number_input(key="clusters-count").set_value(5).run()
    app.selectbox(key="clusters-where").set_value("world").run()
    app.segmented_control(key="clusters-show").set_value("components").run()
    assert not app.exception
    assert (asked(app, "count"), asked(app, "where")) == ("5", "world")
    assert asked(app, "show") == "components"
    assert "Red, green and blue" in texts(app) and "on land and sea" in texts(app)


def test_a_region_is_grouped_alone(
    open_clusters: Open, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Clusters] = []
    monkeypatch.setattr(files, "downloads", lambda *about: shown.append(files.to_clusters(*about)))
    app = open_clusters(lat="48.2", lon="16.4", centre="10_20", zoom="3")
    for edge, value in (("west", -20.0), ("south", -36.0), ("east", 52.0), ("north", 38.0)):
        app.number_input(key=f"clusters-{edge}").set_value(value).run()
        assert not app.exception and not app.error
    assert asked(app, "bounds") == "-20,-36,52,38" and asked(app, "centre") is None
    said = texts(app)
    assert "500 places on land, longitude -20 to 52, latitude -36 to 38, seed 0" in said
    assert "It lies outside the region" in said and "% of Africa in the region" in said
    region = (-20.0, -36.0, 52.0, 38.0)
    there = embedding_clusters(load_model(models / "toy"), points=500, count=4, bounds=region)
    assert shown[-1].sample.bounds == region and torch.equal(shown[-1].labels, there.labels)
    assert shown[-1].facts == there.facts
    app.button(key="clusters-world").click().run()
    assert asked(app, "bounds") is None and "It is in cluster" in texts(app)


def test_a_region_without_land_is_a_sentence(open_clusters: Open) -> None:
    app = open_clusters(bounds="-150,-40,-130,-30")
    assert not app.exception and len(app.error) == 1
    assert "There is no land within longitude -150 to -130" in texts(app)
    app.selectbox(key="clusters-where").set_value("world").run()
    assert not app.error and "Silhouette" in texts(app)


def test_what_is_no_region_stays_in_the_boxes(open_clusters: Open) -> None:
    app = open_clusters(bounds="0,50,20,40")
    assert "latitude 50 to 40" in app.error[0].value and "Silhouette" in texts(app)
    assert app.number_input(key="clusters-south").value == 50
    app.number_input(key="clusters-south").set_value(30.0).run()
    assert not app.error and asked(app, "bounds") == "0,30,20,40"


def test_a_cluster_and_a_rectangle_are_highlighted_by_boxes(open_clusters: Open) -> None:
    app = open_clusters()
    picker = app.selectbox(key="clusters-cluster")
    picker.set_value(2).run()
    assert asked(app, "cluster") == "2" and "of 500 places are highlighted" in texts(app)
    app.slider(key="clusters-x").set_value((-0.2, 0.1)).run()
    assert not app.exception
    left, right = map(float, (asked(app, "brush") or "").split(",")[:2])
    assert left == pytest.approx(-0.2, abs=0.02) and right == pytest.approx(0.1, abs=0.02)
    app.button(key="clusters-clear").click().run()
    assert asked(app, "cluster") is None and asked(app, "brush") is None
    assert "places are highlighted" not in texts(app)


def test_another_number_of_clusters_drops_the_highlight(open_clusters: Open) -> None:
    app = open_clusters(cluster="2")
    assert "places are highlighted" in texts(app)
    app.number_input(key="clusters-count").set_value(6).run()
    assert asked(app, "cluster") is None


def test_places_like_the_pin(open_clusters: Open) -> None:
    app = open_clusters(lat="-1.3", lon="36.8")
    said = texts(app)
    assert "Near Nairobi, Kenya" in said and "It is in cluster" in said
    links = [link.proto for link in app.get("page_link") if "lat=" in link.proto.query_string]
    assert len(links) == 10 and "model=toy" in links[0].query_string, links
    app.slider(key="clusters-above").set_value(0.5).run()
    assert asked(app, "above") == "0.5" and not app.exception


def test_a_model_that_knows_seasons_is_asked_about_a_month(
    open_clusters: Open, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Clusters] = []
    monkeypatch.setattr(files, "downloads", lambda *about: shown.append(files.to_clusters(*about)))
    app = open_clusters(model="seasonal", lat="-1.3", lon="36.8", brush="-1,1,-1,1", cluster="1")
    assert app.selectbox(key="month_box").value == "Whole year"
    app.selectbox(key="month_box").set_value("Jul").run()
    assert not app.exception and not app.error
    # Another month has other groups, in other places of the scatter.
    assert (asked(app, "month"), asked(app, "brush"), asked(app, "cluster")) == ("7", None, None)
    assert "500 places on land, seed 0, Jul" in texts(app)
    there = embedding_clusters(load_model(models / "seasonal"), points=500, count=4, date=6.5 / 12)
    year, july = shown[0], shown[-1]
    assert year.date is None and july.date == there.date == 6.5 / 12
    assert torch.equal(july.vectors, there.vectors) and not torch.equal(year.vectors, july.vectors)
    assert torch.equal(july.labels, there.labels) and july.facts == there.facts != year.facts
    app = open_clusters(month="7")
    assert "month_box" not in [box.key for box in app.selectbox] and "Jul" not in texts(app)
    assert "is no month" in texts(open_clusters(model="seasonal", month="13"))


def test_classes_that_live_alike(open_clusters: Open) -> None:
    app = open_clusters(taxon="Inventa nairobica")
    rows = [link.proto.label for link in app.get("page_link") if "Ficta" in link.proto.label]
    assert len(rows) == 2 and "cosine" in texts(app)
    links = [link.proto for link in app.get("page_link") if "Inventa" in link.proto.label]
    assert "taxon=Inventa" in links[0].query_string
    assert "does not know" in texts(open_clusters(taxon="Nobody here"))


def test_classes_as_a_scatter(open_clusters: Open) -> None:
    app = open_clusters()
    assert "click a dot" in texts(app) and "Placed most like it" not in texts(app)
    app = open_clusters(taxon="Inventa nairobica")
    assert not app.exception and not app.error
    assert "Placed most like it" in texts(app) and "Each dot is one" in texts(app)


def test_classes_that_are_marked_are_drawn_last() -> None:
    plane = class_scatter.Plane([0.0, 1.0, 2.0, 3.0], [0.0] * 4, [0.5, 0.1])
    classes = ClassTable(("Aa", "Bb", "Cc", "Dd"), ("", "bee", "", ""))
    rows = class_scatter.table(plane, classes, 1, [(2, 0.25), (0, -0.5)]).to_pylist()
    assert [row["label"] for row in rows] == [3, 0, 2, 1]
    assert [row["kind"] for row in rows] == ["other", "near", "near", "chosen"]
    assert [row["like"] for row in rows] == [
        "less than of the nearest", "-0.50", "0.25", "1, as it is itself",
    ]  # fmt: skip
    assert rows[-1]["common"] == "bee" and rows[0]["common"] == rows[0]["name"] == "Dd"
    bare = class_scatter.table(plane, classes, None, [])
    assert {*bare["kind"].to_pylist()} == {"other"}


def test_clusters_keep_their_numbers(open_clusters: Open) -> None:
    app = open_clusters(count="3", lat="48.2", lon="16.4")
    before = texts(app).partition("It is in cluster ")[2][0]
    app.number_input(key="clusters-seed").set_value(7).run()
    assert texts(app).partition("It is in cluster ")[2][0] == before
    app.selectbox(key="clusters-points").set_value(1000).run()
    assert texts(app).partition("It is in cluster ")[2][0] == before
    app.selectbox(key="clusters-where").set_value("world").run()
    assert texts(app).partition("It is in cluster ")[2][0] == before


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
def test_an_address_has_the_same_numbers_everywhere(
    open_clusters: Open, models: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    shown: list[list[int]] = []
    monkeypatch.setattr(files, "downloads", lambda view, found, told: shown.append(found.labels))
    asked = {"method": method, "seed": "7", "size": "12"}
    open_clusters(**asked)
    st.cache_resource.clear()
    app = open_clusters(count="6", seed="3")
    app.number_input(key="clusters-count").set_value(5).run()
    for name, value in {**FEW, **asked}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception and not app.error
    model = load_model(models / "toy")
    there = embedding_clusters(model, points=500, count=4, method=method, seed=7, min_size=12)
    assert shown[0] == shown[-1] == there.labels.tolist()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"method": "magic"}, "method=magic in the address is none of kmeans, hdbscan"),
        ({"points": "7"}, "points=7 in the address does not fit"),
        ({"count": "2.5"}, "count=2.5 in the address does not fit"),
        ({"seed": "x"}, "seed=x in the address is not a number"),
        ({"brush": "1,2,3"}, "brush=1,2,3 in the address is no rectangle"),
        ({"bounds": "1,2,3"}, "bounds=1,2,3 in the address is no region: give west, south"),
        ({"bounds": "5,0,5,9"}, "longitude 5 to 5"),
        ({"above": "3"}, "above=3 in the address is no cosine"),
        ({"model": "nobody"}, "Model nobody is not here"),
        ({"cluster": "99"}, "There is no cluster 99; there are 0, 1, 2, 3"),
        ({"lat": "95", "lon": "10"}, "95"),
    ],
)
def test_what_does_not_fit_gives_a_sentence_and_a_default(
    open_clusters: Open, params: dict[str, str], words: str
) -> None:
    app = open_clusters(**params)
    assert not app.exception
    assert words in "\n".join(error.value for error in app.error).replace("\\", "")
    assert "Silhouette" in texts(app)


def test_a_model_without_places_keeps_the_controls(open_clusters: Open) -> None:
    app = open_clusters(model="blind")
    assert not app.exception
    assert [error.value for error in app.error] and "no location" in app.error[0].value
    app.selectbox(key="clusters-model").set_value("toy").run()
    assert not app.error and "Silhouette" in texts(app)


def test_a_model_without_classes_is_grouped_too(open_clusters: Open) -> None:
    app = open_clusters(model="wild", lat="0", lon="0")
    assert not app.exception and not app.error
    said = texts(app)
    assert "This model came without classes" in said and "Far away and most like it" in said


def test_hdbscan_that_finds_nothing_says_so(open_clusters: Open) -> None:
    app = open_clusters(method="hdbscan", size="400")
    assert not app.exception and len(app.error) == 1
    assert "HDBSCAN finds no cluster" in app.error[0].value
    assert app.number_input(key="clusters-size").value == 400


def test_files_are_made_as_they_are_asked_for(
    open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(files, "write_clusters", lambda *_, **__: made.append("file"))
    app = open_clusters()
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels == [
        *("CSV", "GeoJSON", "GeoJSON, areas", "GeoPackage", "GeoParquet", "GeoParquet, areas"),
        *("GeoTIFF", "PNG"),
    ]
    assert made == []


def test_files_hold_places_or_areas_and_name_everybody() -> None:
    found = embedding_clusters(load_model("demo"), points=200, count=3)
    credit = Credit("CC0-1.0", "Records by two.", "Ada, Ben")
    points, areas = (json.loads(files.file_of(suffix, found, credit))
                     for suffix in (".geojson", "_areas.geojson"))  # fmt: skip
    assert len(points["features"]) == 200 and len(areas["features"]) == 3
    assert {one["geometry"]["type"] for one in areas["features"]} == {"MultiPolygon"}
    for content in (points, areas):
        assert "recorders: Ada, Ben" in content["description"]


def test_what_a_long_layout_takes_is_told_before(open_clusters: Open) -> None:
    few, many = (open_clusters(points=points).selectbox(key="clusters-projection").options
                 for points in ("500", "20000"))  # fmt: skip
    assert few[0] == "PCA" and few[1].startswith("UMAP, about ") and few[1].endswith(" s")
    assert int(many[1].split()[2]) in (40, 55)


def test_the_film_of_a_run(open_clusters: Open, models: Path) -> None:
    space = models / "toy" / "artifacts"
    assert "unfolded" not in texts(open_clusters())
    space.mkdir()
    encoder = load_model(models / "toy")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        early = DualEncoder(None, make_location_encoder("sphere_c", 16, num_scales=4), dim=16)
    try:
        write_frame(early.eval(), space / "space-main-00000.safetensors")
        write_frame(encoder, space / "space-main-00007.safetensors")
        st.cache_resource.clear()
        app = open_clusters()
        assert not app.exception and not app.error
        slider = app.select_slider(key="clusters-film")
        assert list(slider.options) == ["before training", "epoch 7"]
        assert "How this space unfolded" in texts(app) and "the last: 1.00" in texts(app)
        slider.set_value("before training").run()
        assert not app.exception and "the last: 1.00" not in texts(app)
        (space / "space-main-00000.safetensors").write_bytes(b"nothing")
        app = open_clusters()
        assert not app.exception and "no frame of a space" in app.error[0].value
    finally:
        shutil.rmtree(space)
        st.cache_resource.clear()


def test_it_opens_on_the_earth_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models"
    bare = DualEncoder(None, make_location_encoder("sphere_c", 8, num_scales=2), dim=8, name="e")
    save_model(bare.eval(), folder / "earth")
    save_toy_model(folder)
    monkeypatch.setenv("CSP_MODELS", str(folder))
    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "no-assets")
    st.cache_data.clear()
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    app.switch_page("views/clusters.py")
    for name, value in FEW.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception and not app.error
    assert "This model came without classes" in texts(app)
    st.cache_data.clear()
