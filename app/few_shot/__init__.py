"""The parts of the page that learns a species from places."""
