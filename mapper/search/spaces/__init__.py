"""Mapspaces as rows of integers, the form in which every search sees them."""
