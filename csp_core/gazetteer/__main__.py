"""Build the searchable list of places: ``python -m csp_core.gazetteer [--installed]``."""

import sys
from pathlib import Path

from csp_core.gazetteer.index import build_index

# The set-up keeps it in the Python environment, beside the package that it is built from.
installed = "--installed" in sys.argv[1:]
build_index(Path(sys.prefix) / "share" / "csp_core" if installed else None)
