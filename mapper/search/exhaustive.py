"""Former place of `mapper.search.proved`."""

from __future__ import annotations

from mapper.search.proved import search

__all__ = ["search"]
