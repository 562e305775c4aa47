"""Prices candidates: none twice, in pieces of a fixed size, on any number of processes.

The pieces do not depend on the number of processes, and a piece costs the same wherever it is priced: so do searches.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from mapper.cost.costs import Costs
from mapper.errors import MappingError
from mapper.search.space import Space, names
from simulator.arrays import Bools, Rows

if TYPE_CHECKING:
    from joblib import Parallel  # type: ignore[import-untyped]

PIECE = 2048
"""Candidates priced at once: columns stay in the cache, and a process is asked for milliseconds, not microseconds."""

MOST_REMEMBERED = 1_000_000
"""Candidates whose costs are remembered, about 300 bytes each; then all are forgotten."""

MOST_WORKERS = 256


class CandidateEvaluator:
    """Prices candidates of one space; a context manager, as its processes must end."""

    def __init__(self, space: Space, workers: int = 1) -> None:
        if not 1 <= workers <= MOST_WORKERS:
            raise MappingError(f"workers={workers}: must be 1 to {MOST_WORKERS}")
        self._space = space
        self._workers = workers
        self._pool: Parallel | None = None
        self._known: dict[bytes, tuple[float, float, float]] = {}

    def __enter__(self) -> CandidateEvaluator:
        if self._workers > 1:
            from joblib import Parallel

            self._pool = Parallel(n_jobs=self._workers)
            self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.__exit__(kind, value, trace)

    def news(self, rows: Rows) -> Bools:
        """Tell which candidates are neither known nor repeated in ``rows``."""
        asked_before: set[bytes] = set()
        fresh = np.zeros(len(rows), dtype=bool)
        for at, key in enumerate(names(rows)):
            if key not in self._known and key not in asked_before:
                fresh[at] = True
                asked_before.add(key)
        return fresh

    def costs(self, rows: Rows, fresh: Bools) -> Costs:
        """Return the costs of ``rows``, of which ``fresh`` ones are priced and the others known."""
        called = names(rows)
        new = np.flatnonzero(fresh)
        if len(self._known) + len(new) > MOST_REMEMBERED:
            kept = {name: self._known[name] for name in called if name in self._known}
            self._known = kept
        priced = self.price(rows[new])
        columns = zip(
            priced.cycles.tolist(), priced.energy_pj.tolist(), priced.footprint_bytes.tolist(), strict=True
        )  # fmt: skip
        self._known.update(zip((called[at] for at in new), columns, strict=True))
        known = np.array([self._known[name] for name in called]).reshape(-1, 3)
        return Costs(known[:, 0], known[:, 1], known[:, 2].astype(np.int64))

    def price(self, rows: Rows) -> Costs:
        """Return the costs of candidates, whether they were priced before or not; nothing is remembered."""
        pieces = [rows[at : at + PIECE] for at in range(0, len(rows), PIECE)]
        if self._pool is None or len(pieces) < 2:
            priced = [self._space.costs(piece) for piece in pieces]
        else:
            from joblib import delayed

            priced = self._pool(delayed(_price)(self._space, piece) for piece in pieces)
        if not priced:
            return Costs(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
        return Costs(
            np.concatenate([costs.cycles for costs in priced]),
            np.concatenate([costs.energy_pj for costs in priced]),
            np.concatenate([costs.footprint_bytes for costs in priced]),
        )


def _price(space: Space, rows: Rows) -> Costs:
    return space.costs(rows)
