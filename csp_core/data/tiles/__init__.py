"""Tiles of land with a mask of classes for each: their files, and crops of one ground."""
