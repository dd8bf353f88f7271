"""Series of images through time: their dates, tables, stacks of rasters and curves of growth."""
