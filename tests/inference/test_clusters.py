"""Clusters of a model's location space: samples, groups, numbers that stay, layouts, facts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score

from csp_core import embedding_clusters, geo, load_model, location_prior
from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError, ConfigError
from csp_core.image import make_image_encoder
from csp_core.inference import clusters as room
from csp_core.inference.clusters import reference, result
from csp_core.inference.clusters.classes import supported, typical_classes
from csp_core.inference.clusters.countries import country_of, place_names
from csp_core.inference.clusters.facts import zone_of
from csp_core.inference.clusters.quality import contiguity
from csp_core.inference.clusters.sampling import land_km2
from csp_core.land import on_land
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.model.baselines import make_baseline
from tests import small


@pytest.fixture(scope="module")
def model():
    return load_model("birds")


@pytest.fixture(scope="module")
def sample():
    return room.make_sample(600)


@pytest.fixture(scope="module")
def vectors(model, sample):
    return room.embed(model, sample.lonlat)


@pytest.fixture(scope="module")
def found(model):
    return embedding_clusters(model, count=5, points=600)


def blobs(count=60, dims=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = 8 * torch.randn(3, dims, generator=generator)
    label = torch.arange(3).repeat_interleave(count)
    return centres[label] + torch.randn(3 * count, dims, generator=generator), label


# -- samples ------------------------------------------------------------------------------------


def geodesic_land_km2():
    import shapely
    from pyproj import Geod

    from csp_core.land import land_shape

    geod, total = Geod(ellps="WGS84"), 0.0
    for part in shapely.get_parts(land_shape()):
        ring = shapely.segmentize(shapely.orient_polygons(part), 0.25)
        total += geod.geometry_area_perimeter(ring)[0] / 1e6
    return abs(total)


@pytest.mark.parametrize("count", [2, 300, 4000])
def test_areas_of_a_sample_sum_to_the_lands(count):
    sample = room.make_sample(count)
    assert len(sample) == len(sample.area_km2) == count and bool(on_land(sample.lonlat).all())
    assert float(sample.area_km2.sum()) == pytest.approx(geodesic_land_km2(), rel=1e-4)
    assert torch.equal(sample.lonlat, room.make_sample(count).lonlat)


def test_the_area_is_not_only_scaled_to_fit():
    # Without knowing the land, the lattice alone finds its share of the world.
    world = room.make_sample(20_000, where="world")
    assert float(world.area_km2.sum()) == pytest.approx(510_065_621.7, rel=1e-6)
    on = on_land(world.lonlat)
    assert float(world.area_km2[on].sum()) == pytest.approx(land_km2(), rel=0.01)


def test_a_sample_crowds_no_pole():
    world = room.make_sample(5000, where="world")
    # Half of the sphere lies within 30 degrees of the equator.
    assert float((world.lonlat[:, 1].abs() < 30).double().mean()) == pytest.approx(0.5, abs=0.005)
    unit = geo.unit_vectors(world.lonlat.double())
    chord = torch.cdist(unit, unit) + 3 * torch.eye(len(unit))
    nearest = chord.min(dim=1).values * geo.EARTH_RADIUS_KM
    assert nearest.min() > 0.6 * world.spacing_km and nearest.max() < 1.1 * world.spacing_km


@pytest.mark.parametrize("bounds", [(5.0, 45.0, 11.0, 48.0), (165.0, -50.0, -175.0, -10.0)])
def test_a_sample_within_bounds(bounds):
    sample = room.make_sample(200, bounds=bounds)
    west, south, east, north = bounds
    lon, lat = sample.lonlat.unbind(1)
    assert bool(((lat >= south) & (lat <= north)).all()) and len(sample) == 200
    inside = (lon >= west) & (lon <= east) if west < east else (lon >= west) | (lon <= east)
    assert bool(inside.all()) and bool((lon.abs() <= 180).all())
    assert float(sample.area_km2.sum()) == pytest.approx(land_km2(bounds))


def test_a_sample_of_cells():
    sample = room.make_sample(step=2.0)
    assert sample.step == 2.0 and bool(((sample.lonlat % 2) == 1).all())
    assert float(sample.area_km2.sum()) == pytest.approx(geodesic_land_km2(), rel=0.01)
    assert len(set(sample.area_km2.tolist())) > 40
    world = room.make_sample(step=10.0, where="world")
    assert len(world) == 648 and float(world.area_km2.sum()) == pytest.approx(510_065_621.7)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"count": 1}, "points is 1; give from 2 to 200,000"),
        ({"count": 300_000}, "points is 300000"),
        ({"where": "sea"}, "where is 'sea'; give one of land, world"),
        ({"bounds": (-40, -40, -30, -30)}, "no land within longitude -40 to -30"),
        ({"bounds": (-40, -40, -30, -30), "step": 1.0}, "no land within"),
        ({"bounds": (0, 10, 10, 0)}, "south below north"),
        ({"step": 0.01}, "larger step or a smaller region"),
        ({"step": 0.5, "where": "world"}, "places; at most 200,000"),
        ({"step": 7.0}, "step that divides 180"),
    ],
)
def test_samples_that_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        room.make_sample(**options)


# -- vectors ------------------------------------------------------------------------------------


def test_embeddings_are_those_of_the_encoder(model, sample, vectors):
    with torch.no_grad():
        want = model.embed_location(sample.lonlat)
    assert vectors.dtype == torch.float32 and not vectors.requires_grad
    assert torch.allclose(vectors, torch.nn.functional.normalize(want), atol=1e-6)


def test_embedding_leaves_a_model_as_it_was(sample):
    model = DualEncoder(
        None, make_location_encoder("sphere_c", dim=8, network={"dropout": 0.5}), dim=8
    ).train()
    first, again = (room.embed(model, sample.lonlat[:9]) for _ in range(2))
    assert torch.equal(first, again) and model.training
    assert room.embed(model, sample.lonlat[:0]).shape == (0, 8)


def test_an_encoder_without_weights(sample):
    class Sphere(torch.nn.Module):
        out_dim = 3

        def forward(self, lonlat):
            return geo.unit_vectors(lonlat)

    model = DualEncoder(None, Sphere(), dim=3)
    assert torch.allclose(room.embed(model, sample.lonlat), geo.unit_vectors(sample.lonlat))
    assert embedding_clusters(model, points=100, count=3).quality.clusters == 3


def test_a_date_counts_where_a_model_knows_time(model, sample):
    places = sample.lonlat[:5]
    with torch.random.fork_rng():
        timed = DualEncoder(None, make_location_encoder("sphere_c", dim=8, time=True), dim=8)
    assert not torch.allclose(room.embed(timed, places, date=0.1), room.embed(timed, places))
    several = room.embed(timed, places, date=torch.tensor([0.1] * 5))
    assert torch.equal(several, room.embed(timed, places, date=0.1))
    assert torch.equal(room.embed(model, places, date=0.1), room.embed(model, places))
    with pytest.raises(BadRecordError, match="part of the year"):
        room.embed(timed, places, date=1.5)


def test_models_without_a_location_side_are_refused(sample):
    baseline = make_baseline("class_frequency", small.dataset())
    image = make_image_encoder("small_convnet", dim=8, width=8)
    pictures = DualEncoder(image, None, dim=8, classes=("Aba", "Ceta"), name="looker")
    for model in (baseline, pictures):
        with pytest.raises(ConfigError, match=r"has no location encoder.*'demo' or 'birds'"):
            room.embed(model, sample.lonlat)
    with pytest.raises(ConfigError, match=r"Model 'looker' has no location encoder"):
        embedding_clusters(pictures, points=50)


def broken(value):
    model = DualEncoder(None, make_location_encoder("sphere_c", dim=4), dim=4, name="broken")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def test_embeddings_that_are_no_numbers_are_refused():
    with pytest.raises(BadRecordError, match=r"50 of 50 vectors of model 'broken' are not finite"):
        embedding_clusters(broken(float("nan")), points=50)
    with pytest.raises(BadRecordError, match=r"50 of 50 vectors of model 'broken' are zero"):
        embedding_clusters(broken(0.0), points=50)
    with pytest.raises(BadRecordError, match=r"1 of 3 vectors of the sample are not finite"):
        room.cluster(torch.tensor([[0.0], [1.0], [float("inf")]]), count=2)


def test_class_vectors(model):
    rows = room.class_vectors(model)
    assert rows.shape == (len(model.classes), model.dim)
    assert torch.allclose(rows.norm(dim=1), torch.ones(len(rows)), atol=1e-5)
    # What is added to every class changes no share, and no vector.
    weight = model.classifier.weight.detach()
    centred = weight - weight.mean(dim=0)
    assert torch.allclose(rows, centred / centred.norm(dim=1, keepdim=True), atol=1e-6)
    # Species of one continent live more alike than those of two.
    names = model.classes.names
    kin = [names.index(n) for n in ("Prionops plumatus", "Poicephalus meyeri")]
    far = names.index("Paroaria coronata")
    assert rows[kin[0]] @ rows[kin[1]] > rows[kin[0]] @ rows[far]


def test_class_vectors_that_are_refused():
    encoder = make_location_encoder("sphere_c", dim=4)
    with pytest.raises(ConfigError, match="one class only"):
        room.class_vectors(DualEncoder(None, encoder, dim=4, classes=ClassTable(("Aba",))))
    with pytest.raises(ConfigError, match="no location classifier"):
        room.class_vectors(DualEncoder(None, encoder, dim=4))


# -- groups -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 7])
def test_kmeans_is_that_of_scikit_learn(vectors, seed):
    want = KMeans(6, n_init=4, random_state=seed).fit(vectors.numpy()).labels_
    labels = room.cluster(vectors, count=6, seed=seed)
    assert labels.dtype == torch.int64 and labels.tolist() == want.tolist()


def test_hdbscan_is_that_of_scikit_learn():
    points, truth = blobs()
    want = HDBSCAN(min_cluster_size=5, copy=True).fit(points.numpy()).labels_
    labels = room.cluster(points, method="hdbscan")
    assert labels.tolist() == want.tolist()
    # Where most dimensions hold nothing, those that do are enough.
    wide = torch.cat((points, torch.zeros(len(points), 60)), dim=1)
    assert room.cluster(wide, method="hdbscan").tolist() == want.tolist()
    assert adjusted_rand_score(truth.numpy(), labels.numpy()) > 0.9


def test_hdbscan_that_finds_nothing_says_what_would():
    points, _ = blobs(count=20)
    with pytest.raises(ConfigError, match=r"no cluster of 50 points.*smallest size of 12 it finds"):
        room.cluster(points, method="hdbscan", min_size=50)
    same = torch.linspace(0, 1, 12)[:, None]
    line = torch.cat((same, same * 0), dim=1)
    with pytest.raises(ConfigError, match="no cluster"):
        room.cluster(line, method="hdbscan", min_size=9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"count": 1}, "clusters is 1; give from 2 to 100"),
        ({"count": 31}, "31 clusters of 30 points: give more points, or at most 30"),
        ({"count": 101}, "from 2 to 100"),
        ({"method": "ward"}, "method is 'ward'; give one of kmeans, hdbscan"),
        ({"method": "hdbscan", "min_size": 1}, "from 2 to the 30"),
        ({"method": "hdbscan", "min_size": 31}, "from 2 to the 30"),
        ({"seed": -1}, "The seed is -1"),
    ],
)
def test_groups_that_are_refused(options, says):
    points, _ = blobs(count=10)
    with pytest.raises(ConfigError, match=says):
        room.cluster(points, **options)


def test_too_few_vectors_that_differ():
    with pytest.raises(ConfigError, match=r"Only 2 of 20 vectors differ, too few for 3"):
        room.cluster(torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(10, 1), count=3)


def test_numbers_stay_with_what_they_named():
    reference = torch.tensor([0] * 5 + [1] * 4 + [2] * 3)
    moved = torch.tensor([2] * 5 + [0] * 4 + [1] * 3)
    assert room.match(moved, reference).tolist() == reference.tolist()
    # One that is new takes a number that none has; noise has none.
    labels = torch.tensor([3, 3, 3, 0, 0, 1, 1, 1, 1, -1, -1, -1])
    assert room.match(labels, reference).tolist() == [0] * 3 + [2] * 2 + [1] * 4 + [-1] * 3
    assert room.match(torch.tensor([-1, -1]), torch.tensor([0, 1])).tolist() == [-1, -1]
    assert room.match(torch.tensor([4, 4, 9]), torch.tensor([-1, -1, -1])).tolist() == [0, 0, 1]
    with pytest.raises(ConfigError, match="two of the same points"):
        room.match(labels, reference[:3])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_seed_keeps_numbers_and_colours(model, found, seed):
    other = embedding_clusters(model, count=5, points=600, seed=seed)
    agreement = (other.labels == found.labels).double().mean()
    best = adjusted_rand_score(other.labels.numpy(), found.labels.numpy())
    assert agreement > 0.8 or best < 0.8
    assert room.match(other.labels, found.labels).tolist() == other.labels.tolist()
    assert other.colours == found.colours


def test_vectors_of_few_kinds_have_a_reference(monkeypatch):
    """Where k-means of as many clusters as were asked for finds too few vectors that differ."""

    def three_spots(model, lonlat, date=None):
        return torch.eye(4)[(lonlat[:, 0] / 120 + 1.5).long().clamp(0, 2)]

    for module in (result, reference):
        monkeypatch.setattr(module, "embed", three_spots)
    found = embedding_clusters(
        load_model("demo"), method="hdbscan", count=8, points=200, min_size=9
    )
    own = room.cluster(found.vectors, method="hdbscan", min_size=9)
    assert adjusted_rand_score(found.labels.numpy(), own.numpy()) == 1
    assert sorted({*found.labels.tolist()}) == [0, 1, 2] and found.quality.clusters == 3
    with pytest.raises(ConfigError, match="Only 3 of 200 vectors differ"):
        embedding_clusters(load_model("demo"), count=8, points=200, seed=1)


def test_methods_and_samples_keep_colours(model, found):
    dense = embedding_clusters(model, count=5, points=600, method="hdbscan", min_size=12)
    assert 2 <= dense.quality.clusters and dense.facts[-1].label == -1
    assert dense.colours[-1] == room.colour_of(-1) and "in no cluster" in dense.facts[-1].name
    finer = embedding_clusters(model, count=5, points=900, seed=3, like=found)
    again = embedding_clusters(model, count=5, points=900, seed=3, like=found)
    assert finer.labels.tolist() == again.labels.tolist()
    zones = [{*one.facts[0].name.split(":")[0].split()} for one in (finer, found)]
    assert zones[0] == zones[1]


def test_colours_are_told_apart():
    colours = [room.colour_of(label) for label in range(-1, 40)]
    assert len(set(colours)) == len(colours) and all(len(c) == 7 for c in colours)


# -- layouts ------------------------------------------------------------------------------------


def test_principal_components(vectors):
    layout, share = room.project(vectors, dims=3)
    pca = PCA(3, svd_solver="full").fit(vectors.numpy().astype(np.float64))
    want = pca.transform(vectors.numpy().astype(np.float64))
    assert np.allclose(np.abs(layout.numpy()), np.abs(want), atol=1e-4)
    assert np.allclose(share.numpy(), pca.explained_variance_ratio_, atol=1e-6)
    # Signs are those of the largest part of a direction, whatever the order of the rows.
    shuffled, _ = room.project(vectors.flip(0), dims=3)
    assert torch.allclose(shuffled.flip(0), layout, atol=1e-4)


def test_umap_is_seeded():
    points, truth = blobs(count=30)
    layout, share = room.project(points, method="umap", seed=4)
    assert share is None and layout.shape == (90, 2) and layout.dtype == torch.float32
    assert torch.equal(layout, room.project(points, method="umap", seed=4)[0])
    assert not torch.equal(layout, room.project(points, method="umap", seed=5)[0])
    assert silhouette_score(layout.numpy(), truth.numpy()) > 0.5


def test_layouts_that_are_refused():
    points, _ = blobs(count=2)
    for options in ({"method": "tsne"}, {"dims": 6}, {"dims": 0}, {"method": "umap", "dims": 5}):
        with pytest.raises(ConfigError):
            room.project(points, **options)


def test_colours_of_components_are_stretched(vectors):
    colours = room.rgb(vectors)
    assert colours.shape == (600, 3) and colours.dtype == torch.uint8
    for channel in colours.unbind(1):
        assert int(channel.min()) == 0 and int(channel.max()) == 255
        counts = torch.histc(channel.float(), bins=4, min=0, max=255)
        assert bool(((counts - 150).abs() <= 3).all())
    assert room.rgb(torch.tensor([[1.0], [2.0]])).tolist() == [[0, 128, 128], [255, 128, 128]]


# -- facts --------------------------------------------------------------------------------------


def test_facts_add_up(found):
    total = float(found.sample.area_km2.sum())
    assert sum(fact.area_km2 for fact in found.facts) == pytest.approx(total)
    assert total == pytest.approx(geodesic_land_km2(), rel=1e-4)
    assert sum(fact.share for fact in found.facts) == pytest.approx(1)
    assert [fact.label for fact in found.facts] == [0, 1, 2, 3, 4]
    assert len({fact.name for fact in found.facts}) == 5
    for fact in found.facts:
        low, median, high = fact.latitude
        assert low <= median <= high and len(fact.countries) <= 5
        assert sum(part for _, part in fact.countries) <= 1 + 1e-9
        lifts = [c.lift for c in fact.classes]
        assert lifts == sorted(lifts, reverse=True) and min(lifts) > 1 and len(lifts) <= 5


def test_lift_is_the_mean_share_over_the_frequency(model, found):
    fact = found.facts[0]
    mine = (found.labels == 0) & supported(model.support, found.sample.lonlat)
    mean = location_prior(model, found.sample.lonlat[mine]).double().mean(dim=0)
    label = model.classes.label(fact.classes[0].taxon)
    assert fact.classes[0].share == pytest.approx(float(mean[label]), rel=1e-6)
    lift = float(mean[label]) / float(model.classes.frequency()[label])
    assert fact.classes[0].lift == pytest.approx(lift, rel=1e-5)
    assert "recordings or more within 250 km" in fact.evidence


def test_support_is_that_of_one_place(model, sample):
    known = supported(model.support, sample.lonlat[:60])
    one = [not model.support.near(*place).extrapolates for place in sample.lonlat[:60].tolist()]
    assert known.tolist() == one and 0 < int(known.sum()) < 60


def test_without_counts_nobody_knows_how_well_a_cluster_is_recorded(sample):
    bare = DualEncoder(None, make_location_encoder("xyz", 4), dim=4, classes=("a", "b"))
    row = torch.zeros(len(sample), dtype=torch.int64)
    (one,) = typical_classes(bare, sample, row, 1)
    assert "not known" in one.evidence and "extrapolated" not in one.evidence


def test_a_model_of_no_classes_or_one_has_none_that_are_typical(sample):
    encoder = make_location_encoder("sphere_c", dim=8)
    labels = torch.arange(600) % 3
    for classes in ((), ("Aba",)):
        model = DualEncoder(None, encoder, dim=8, classes=ClassTable(classes))
        facts = room.describe(model, sample, labels)
        assert [fact.classes for fact in facts] == [(), (), ()]
        assert "so none is typical" in facts[0].evidence


def test_relative_scores_are_compared_with_the_sample(sample):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = DualEncoder(
            None, make_location_encoder("sphere_c", dim=8), dim=8, classes=ClassTable(("A", "B")),
            prior_kind="relative",
        )  # fmt: skip
    labels = (sample.lonlat[:, 1] > 0).long()
    facts = room.describe(model, sample, labels)
    prior = location_prior(model, sample.lonlat).double()
    best, label = next((fact.classes[0], fact.label) for fact in facts if fact.classes)
    lift = prior[labels == label].mean(dim=0) / prior.mean(dim=0)
    assert best.lift == pytest.approx(float(lift[model.classes.label(best.taxon)]), rel=1e-6)
    assert "is not known" in facts[0].evidence


def test_climate_where_a_covariate_has_it(tmp_path, sample):
    lines = ["lon,lat,warmth"]
    for lon in range(-175, 180, 10):
        lines += [f"{lon},{lat},{30 - abs(lat) / 3}" for lat in range(-85, 90, 10)]
    table = tmp_path / "climate.csv"
    table.write_text("\n".join(lines))
    covariates = {"source": str(table), "step": 10.0}
    encoder = make_location_encoder("sphere_c", dim=8, covariates=covariates)
    model = DualEncoder(None, encoder, dim=8)
    labels = (sample.lonlat[:, 1].abs() < 20).long()
    cold, warm = room.describe(model, sample, labels)
    (name, value), (_, less) = warm.climate[0], cold.climate[0]
    assert name == "warmth" and 25 < value < 30 and less < 20
    assert warm.name.startswith("high warmth, tropics: ")
    assert room.describe(load_model("demo"), sample, labels)[0].climate == ()


def test_countries():
    places = {
        "Kenya": (36.8, -1.3), "Saudi Arabia": (45.0, 24.0), "Greenland": (-40.0, 72.0),
        "Indonesia": (114.0, -1.0), "France": (2.0, 46.5), "Congo - Kinshasa": (23.0, -3.0),
        "Congo - Brazzaville": (15.5, 0.5), "Australia": (134.0, -25.0), "Libya": (17.0, 27.0),
        "United States": (-150.0, 64.0), "Antarctica": (0.0, -80.0),
        "China": (100.0, 35.0),
        "Uruguay": (-56.0, -33.0), "New Zealand": (176.0, -38.5), "Italy": (12.5, 42.8),
        "Seychelles": (55.48, -4.68), "Russia": (-175.0, 66.0), "": (-30.0, 0.0),
    }  # fmt: skip
    assert country_of(torch.tensor(list(places.values()))) == list(places)
    sample = room.make_sample(3000)
    unknown = [name == "" for name in country_of(sample.lonlat)]
    assert sum(unknown) / len(unknown) < 0.001
    # Land of the coarse map that is sea on the finer one is the nearest country's.
    assert country_of(torch.tensor([[-59.495, -83.042], [-45.0, -70.0]])) == ["Antarctica", ""]
    assert country_of(torch.zeros(0, 2)) == []


def test_names_of_places():
    names = place_names(torch.tensor([[36.82, -1.29], [36.82, 1.0], [-140.0, -60.0]]))
    assert names[0] == "Nairobi, Kenya" and " N of Nairobi, Kenya" in names[1]
    assert names[1].split(" km")[0] == "250" and " of " in names[2]
    # The nearest city may be across a sea.
    (bari,) = place_names(torch.tensor([[17.0, 41.02]]))
    assert bari.endswith("Tirana, Albania (in Italy)")
    assert place_names(torch.zeros(0, 2)) == []


def test_zones():
    one = torch.ones(4)
    assert zone_of(torch.tensor([-2.0, 2, 9, 50]), one) == "tropics"
    assert zone_of(torch.tensor([-30.0, -28, -31, 50]), one) == "southern subtropics"
    mixed = zone_of(torch.tensor([45.0, 45, 60, 60]), one)
    assert mixed in ("northern temperate zone", "northern cool temperate zone")
    assert zone_of(torch.tensor([0.0, 45, 60, 85]), one) == "several zones"
    assert zone_of(torch.tensor([90.0, 89.0, 70.0, 70.0]), one) == "northern polar zone"


def test_facts_want_a_label_for_each_place(model, sample):
    with pytest.raises(ConfigError, match="give one each"):
        room.describe(model, sample, torch.zeros(3, dtype=torch.int64))


# -- quality ------------------------------------------------------------------------------------


def test_quality_of_what_is_plain():
    points, truth = blobs()
    lonlat = torch.stack((truth * 60.0 + torch.arange(180) % 60 / 10, torch.zeros(180)), dim=1)
    told = room.quality(points, truth, lonlat)
    assert told.silhouette == pytest.approx(silhouette_score(points.numpy(), truth.numpy()))
    assert told.stability == pytest.approx(1) and told.noise == 0 and told.clusters == 3
    assert told.contiguity == pytest.approx(1) and told.by_chance == pytest.approx(59 / 179)
    groups = [points[truth == k] for k in range(3)]
    within = sum(((g - g.mean(dim=0)) ** 2).sum() for g in groups)
    total = ((points - points.mean(dim=0)) ** 2).sum()
    assert told.explained == pytest.approx(float(1 - within / total), rel=1e-5)
    assert "regions on the map" in told.sentences["contiguity"]
    assert "well apart" in told.sentences["silhouette"]
    assert set(told.sentences) == {"silhouette", "stability", "contiguity", "explained", "noise"}


def test_quality_of_chance():
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(400, 20, generator=generator))
    labels = room.cluster(points, count=6)
    lonlat = room.make_sample(400).lonlat
    told = room.quality(points, labels, lonlat)
    assert told.stability < 0.3 and "read none as given by nature" in told.sentences["stability"]
    assert abs(told.contiguity - told.by_chance) < 0.05
    assert "scattered" in told.sentences["contiguity"]


def test_quality_without_clusters_and_with_noise():
    points, truth = blobs(count=20)
    lonlat = room.make_sample(60).lonlat
    one = room.quality(points, torch.zeros(60, dtype=torch.int64), lonlat, again=1)
    assert one.silhouette is one.stability is one.explained is None
    noisy = truth.clone()
    noisy[::4] = -1
    told = room.quality(points, noisy, lonlat, method="hdbscan", again=2)
    assert told.noise == 0.25 and told.clusters == 3 and told.stability is not None
    assert "25% of the points are in no cluster" in told.sentences["noise"]
    assert room.quality(points, truth, lonlat, again=0).stability is None
    with pytest.raises(ConfigError, match="give as many of each"):
        room.quality(points, truth[:5], lonlat)


def test_points_that_stand_on_one_another_are_neighbours():
    near, chance = contiguity(torch.tensor([0, 0, 1, 1]), torch.tensor([[0.0, 0.0]] * 4))
    assert near == pytest.approx(1 / 3) and chance == pytest.approx(1 / 3)


# -- places like here ---------------------------------------------------------------------------


def test_places_like_here(model, sample, vectors):
    told = room.similar(model, 36.8, -1.3, sample=sample)
    own = room.embed(model, torch.tensor([[36.8, -1.3]]))[0]
    assert torch.allclose(told.cosine, vectors @ own, atol=1e-5)
    assert len(told.places) == 10 and told.area_km2 is None
    spots = torch.tensor([[p.lon, p.lat] for p in told.places] + [[36.8, -1.3]])
    apart = geo.great_circle_km(spots[:, None].double(), spots[None].double())
    assert float((apart + 2000 * torch.eye(11)).min()) >= 1000
    cosines = [p.cosine for p in told.places]
    assert cosines == sorted(cosines, reverse=True)
    far = geo.great_circle_km(sample.lonlat, torch.tensor([36.8, -1.3])) >= 1000
    assert cosines[0] == pytest.approx(float(told.cosine[far].max()))
    assert all(" of " in p.name or ", " in p.name for p in told.places)


def test_a_threshold_of_likeness(model, sample, vectors):
    told = room.similar(model, 10.0, 50.0, sample=sample, threshold=0.7, vectors=vectors)
    assert all(p.cosine >= 0.7 for p in told.places) and len(told.places) < 10
    above = told.cosine >= 0.7
    assert told.area_km2 == pytest.approx(float(sample.area_km2[above].sum()))
    with pytest.raises(ConfigError, match="a cosine goes from -1 to 1"):
        room.similar(model, 0.0, 0.0, sample=sample, threshold=2.0)
    with pytest.raises(BadRecordError):
        room.similar(model, 0.0, 99.0, sample=sample)
    with pytest.raises(ConfigError, match="the model's own"):
        room.similar(model, 0.0, 0.0, sample=sample, vectors=vectors[:, :3])


# -- all together -------------------------------------------------------------------------------


def test_stages_are_told_and_may_end_the_work(model):
    heard = []
    embedding_clusters(model, points=100, count=3, progress=lambda s, p: heard.append((s, p)))
    assert [stage for stage, _ in heard] == [*room.STAGES, "done"]
    parts = [part for _, part in heard]
    assert parts == sorted(parts) and parts[0] == 0 and parts[-1] == 1

    class EnoughError(Exception):
        pass

    def stop(stage, part):
        if stage == "cluster":
            raise EnoughError

    with pytest.raises(EnoughError):
        embedding_clusters(model, points=100, count=3, progress=stop)


def test_clusters_as_plain_values(found):
    import json

    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["model"] == "birds" and told["clusters"] == 5 and told["points"] == 600
    assert told["facts"][0]["colour"] == "#0072b2" and told["quality"]["caution"] == room.CAUTION
    assert found.rgb.shape == (600, 3) and found.projection.shape == (600, 2)


def test_clusters_of_cells(model):
    told = embedding_clusters(model, step=10.0, count=3, bounds=(-20, -40, 55, 40))
    assert told.sample.step == 10.0 and told.sample.bounds == (-20, -40, 60, 40)
    assert len(told.labels) == len(told.sample)


def test_options_are_refused_before_anything_is_computed(model):
    def fail(stage, part):
        raise AssertionError

    for options in ({"method": "ward"}, {"projection": "tsne"}):
        with pytest.raises(ConfigError, match="give one of"):
            embedding_clusters(model, progress=fail, **options)
