import io

import numpy as np
import pytest
from PIL import Image

from csp_core.errors import ConfigError
from csp_core.location import ENCODINGS
from csp_core.raster import basis
from csp_core.raster.basis import basis_picture


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_is_drawn_the_same_each_time(name: str) -> None:
    picture = basis_picture(name)
    assert picture == basis_picture(name)
    pixels = np.asarray(Image.open(io.BytesIO(picture)))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_longitude_grows_to_the_east_and_latitude_to_the_north() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(basis_picture("direct")))).astype(int)
    width = round(360 / basis.STEP) * basis.SCALE
    lon, lat = pixels[:, :width], pixels[:, width + basis.GAP :]
    assert tuple(lon[0, 0]) == tuple(basis.LOW) and tuple(lon[0, -1]) == tuple(basis.HIGH)
    assert tuple(lat[-1, 0]) == tuple(basis.LOW) and tuple(lat[0, 0]) == tuple(basis.HIGH)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ConfigError, match="too many"):
        basis_picture("rff", {"num_features": 40_000})
    with pytest.raises(ConfigError, match="num_scales"):
        basis_picture("grid", {"num_scales": 0})


def test_an_encoding_that_takes_all_memory_is_not_made() -> None:
    with pytest.raises(ConfigError, match="too large to be drawn"):
        basis_picture("grid", {"num_scales": 10**9})
