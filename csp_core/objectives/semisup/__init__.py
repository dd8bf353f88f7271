"""Learning from few labels and many pictures without any."""
