"""Machines that commands take when none is named."""

from __future__ import annotations

MAP_MACHINE = "gemmini"
"""Of one matrix product: the build that the simulation is held against."""

RUN_MACHINE = "gemmini_ibert"
"""Of a model: a Transformer needs softmax and normalisation, which the default build leaves to its host core."""
