"""Searches that propose candidates and learn their costs, one file each."""
