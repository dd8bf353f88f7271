"""What the Segment page draws: a scene, its classes on a map, areas, one pixel, files."""
