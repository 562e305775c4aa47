"""Held against measurements: rows of reference files become programs, and their cycles are compared."""
