"""The parts of the Range map page."""
