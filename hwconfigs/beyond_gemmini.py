"""Which values of a machine no Gemmini has: knobs of an architect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwconfigs.kernels import KERNELS, Site
from hwconfigs.spec import NO_GEMMINI, HardwareSpec
from hwconfigs.vector_unit import VERSIONS

GEMMINI_KERNELS = frozenset(
    kernel.name for kernel in KERNELS if kernel.needs_unit and kernel.in_gemmini and kernel.sites - {Site.SIMD}
)
"""What commands of its I-BERT build can ask for."""

LOOP_CONTEXTS = 2
"""Hardware loops that every Gemmini has configured at once."""

ONLY_HERE = ("vector.online_softmax", "vector.rescale_cycles", "vector.writes_scratchpad")
"""Fields that stand for nothing in Gemmini, whatever their value."""


def beyond_gemmini(spec: HardwareSpec) -> frozenset[str]:
    """Return the dotted paths of units and front end whose values no Gemmini has."""
    found = {"front_end.loops_in_flight"} if spec.front_end.loops_in_flight != LOOP_CONTEXTS else set[str]()
    for name in NO_GEMMINI:
        section = getattr(spec, name)
        if section is not None:
            found |= {f"{name}.{field}" for field in type(section).model_fields}
    vector = spec.vector
    if vector is None:
        return frozenset(found)
    usual: Mapping[str, Any] = {
        "lanes": spec.array.cols,
        "statistics_slots": VERSIONS[vector.version].values["statistics_slots"],
    }
    found |= {f"vector.{name}" for name, value in usual.items() if getattr(vector, name) != value}
    if not set(vector.kernels) <= GEMMINI_KERNELS:
        found.add("vector.kernels")
    return frozenset(found.union(ONLY_HERE))
