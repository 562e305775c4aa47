"""Cycles by the estimate that another search found, of the same matmul on a machine with the same times.

Machines that differ in their prices, as in a sweep of supplies, search the same candidates for the same cycles, and
weigh them otherwise. Whoever searches such machines lends what one search computed to the next: `lent` says for which
matmul, and `CostModel` asks. Columns are kept whole, by the candidates that they are about, so that nothing depends on
who asks.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from simulator.arrays import Floats

MOST_BYTES = 4 << 20
"""Of the columns of one matmul; what a search computes beyond that is left to the next one."""


class KnownCycles:
    """Columns of cycles of one matmul.

    Parameters
    ----------
    signature
        The matmul, without what its cycles do not depend on.
    text
        What `text` returned, or None.
    """

    def __init__(self, signature: MatmulProblem, text: str | None) -> None:
        self.signature = signature
        self._columns: dict[str, Floats] = {
            key: np.frombuffer(base64.b64decode(column), dtype="<f8")
            for key, column in json.loads(text or "{}").items()
        }
        self._size = sum(column.nbytes for column in self._columns.values())
        self.has_grown = False
        """There are columns that the text did not have."""

    def column(self, what: str, batch: Batch, compute: Callable[[], Floats]) -> Floats:
        """Return a column of a batch, computed only if it is not known."""
        choices = f"{what} {batch.order} {batch.double_buffered} {sorted(batch.held)} {len(batch)} ".encode()
        # Candidates are told by what they are, not by their numbers: another search may ask for others of a batch.
        tiles = np.concatenate([batch.tile_m, batch.tile_k, batch.tile_n]).astype("<i8")
        key = hashlib.blake2b(choices + tiles.tobytes(), digest_size=12).hexdigest()
        known = self._columns.get(key)
        if known is None:
            known = np.asarray(compute(), dtype="<f8")
            # Whoever asks next gets the same array.
            known.setflags(write=False)
            if self._size + known.nbytes <= MOST_BYTES:
                self._columns[key] = known
                self._size += known.nbytes
                self.has_grown = True
        return known

    def text(self) -> str:
        """Return all columns as a text."""
        columns = {key: base64.b64encode(column.tobytes()).decode() for key, column in self._columns.items()}
        return json.dumps(columns, sort_keys=True)


_LENT: ContextVar[KnownCycles | None] = ContextVar("known cycles", default=None)


@contextmanager
def lent(known: KnownCycles) -> Iterator[None]:
    """Let models of the matmul take what is known; a thread lends to nobody else."""
    # A context variable, for points of a sweep may be threads of one process.
    token = _LENT.set(known)
    try:
        yield
    finally:
        _LENT.reset(token)


def known_cycles(problem: MatmulProblem, request_bytes: int) -> KnownCycles | None:
    """Return what is lent for a matmul, if anything is."""
    known = _LENT.get()
    return known if known is not None and is_lent(problem.signature(request_bytes)) else None


def is_lent(signature: MatmulProblem) -> bool:
    """Return whether anything is lent for matmuls with this signature."""
    known = _LENT.get()
    return known is not None and known.signature == signature
