"""Sweeps: many points over machines, workloads and settings, in a store that survives anything.

>>> from mapper.sweep import Sweep, run
>>> from mapper.settings import RunSettings
>>> sweep = Sweep.of("bert-base", "gemmini_ibert", RunSettings(seq=512), axes={"array.size": [8, 16]})
>>> run(sweep, "sizes.sqlite", jobs=2)  # doctest: +SKIP
"""

from __future__ import annotations

from mapper.errors import StoreError, SweepError
from mapper.sweep.definition import Sweep
from mapper.sweep.driver import Progress, run
from mapper.sweep.store import Store, StoredPoint
from mapper.sweep.sweep_file import read_sweep

__all__ = ["Progress", "Store", "StoreError", "StoredPoint", "Sweep", "SweepError", "read_sweep", "run"]
