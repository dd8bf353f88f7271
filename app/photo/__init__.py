"""The parts of the Photo page."""
