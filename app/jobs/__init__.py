"""The parts of the Train page and of the sidebar: all that starts or follows a run."""
