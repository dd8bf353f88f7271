"""``python -m csp_core`` is the ``csp`` command."""

from csp_core.cli import main

main()
