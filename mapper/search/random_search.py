"""Random search: legal candidates drawn uniformly, without end."""

from __future__ import annotations

from mapper.search.searcher import Searcher
from mapper.search.space import Rows

ROWS = 4096
"""Candidates asked for at once."""


class RandomSearcher(Searcher):
    """Draws from all legal candidates alike. The baseline that every other search must beat."""

    name = "random"

    def propose(self) -> Rows:
        return self.space.sample(ROWS, self.random)
