"""Readers of other programs' model descriptions."""
