"""Closed forms of visit counts for chains of tiles, ragged or not.

A dimension of size D is cut by loops with steps T1 >= T2 >= ...: after each cut there are at most one more size than
before, so a few columns (size, how many) describe all tiles exactly.
"""

from __future__ import annotations
