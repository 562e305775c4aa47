"""Searches over a mapspace, one file per algorithm behind one ask/tell interface."""
