import io

import numpy as np
from PIL import Image

from clusters import pixels

PLACES = [[36.8, -1.3], [16.4, 48.2], [-60.0, -10.0]]


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def test_every_cell_has_its_nearest_point() -> None:
    cells = pixels.nearest_points(PLACES, land=False)
    assert cells.shape == (360, 720) and cells.min() == 0
    # Straight over the date line, where 179.9 and -179.9 are neighbours.
    both = pixels.nearest_points([[179.0, 0.0], [0.0, 0.0]], land=False)
    assert both[180, 0] == 0 and both[180, 719] == 0 and both[180, 360] == 1
    land = pixels.nearest_points(PLACES, land=True)
    assert land[182, 433] == 0  # inland of Kenya
    assert land[180, 300] == -1  # the Atlantic
    assert (land[land >= 0] == cells[land >= 0]).all()


def test_nearest_places() -> None:
    assert pixels.nearest_to(PLACES, 10, 50) == 1
    assert pixels.nearest_of(PLACES, [[30, 0], [-70, -12]]).tolist() == [0, 2]


def test_a_picture_dims_what_is_not_highlighted_and_leaves_out_what_has_no_colour() -> None:
    cells = pixels.nearest_points(PLACES, land=True)
    plain = opened(pixels.picture(cells, ["#ff0000", "#00ff00", ""], None))
    assert plain.shape == (1440, 720, 4)
    kinds = {tuple(pixel) for pixel in plain.reshape(-1, 4).tolist() if pixel[3]}
    assert kinds == {(255, 0, 0, pixels.FULL), (0, 255, 0, pixels.FULL)}
    part = opened(pixels.picture(cells, ["#ff0000", "#00ff00", ""], [True, False, True]))
    kinds = {tuple(pixel) for pixel in part.reshape(-1, 4).tolist() if pixel[3]}
    assert kinds == {(255, 0, 0, pixels.FULL), (0, 255, 0, pixels.DIM)}


def test_a_number_stands_at_a_point_of_its_cluster() -> None:
    # Two clumps of one cluster: the mean lies in between, where none of it is.
    left = [[-100 + i, 40.0] for i in range(5)]
    right = [[100 + i, 40.0] for i in range(4)]
    spots = pixels.spots([*left, *right, [0.0, 0.0]], [0] * 9 + [-1])
    assert set(spots) == {0} and spots[0] == (-98.0, 40.0)


def test_colours_as_text() -> None:
    assert pixels.hex_colours(np.array([[0, 128, 255]], np.uint8)) == ["#0080ff"]


def test_a_flat_picture_is_two_to_one() -> None:
    cells = pixels.nearest_points(PLACES, land=False)
    flat = opened(pixels.flat_picture(cells, ["#ff0000", "#00ff00", "#0000ff"]))
    assert flat.shape[1] == 2 * flat.shape[0] == pixels.COLUMNS
