import pytest

from range_map.layer import write_area


@pytest.mark.parametrize(
    ("km2", "words"), [(0, "0 km²"), (45678, "45,700 km²"), (1234567, "1.23 million km²")]
)
def test_areas_are_written_with_three_digits(km2: float, words: str) -> None:
    assert write_area(km2) == words
