"""Captions of records: made from facts, read from a table, numbered in one table of each set."""
