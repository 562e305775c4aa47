"""What has drifted, and why: counts of actions, the timing model, or the energy table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.regression.numbers import Numbers, renamed, replay
from mapper.regression.reference_mapping import ReferenceMapping

SAME = 1e-9
"""Relative difference of energies that the order of additions can make."""

SHOWN = 4
"""Actions that a line names."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference."""

    cause: str
    """``counts``, ``cycles``, ``estimate`` or ``energy table``."""
    text: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.text}"


def drifts(entry: ReferenceMapping, spec: HardwareSpec | None = None) -> list[Drift]:
    """Run an entry and compare.

    Parameters
    ----------
    entry
        The reference.
    spec
        Another machine to run it on; None: its own.

    Raises
    ------
    MappingError, SpecError
        When it cannot run, or has no numbers to compare with.
    """
    if entry.expected is None:
        raise MappingError(f"{entry.path}: expected: missing; record it with tilewright regress --update")
    return differences(entry.expected, measured(entry, spec))


def measured(entry: ReferenceMapping, spec: HardwareSpec | None = None) -> Numbers:
    """Run an entry, on its own machine or on another; raises as `drifts`."""
    machine = entry.machine() if spec is None else spec
    mapping = entry.mapping if spec is None else renamed(entry.mapping, machine)
    return replay(mapping, machine, entry.energy, str(entry.path))


def differences(expected: Numbers, found: Numbers) -> list[Drift]:
    """Return what differs, by its cause; an energy that follows from other differences is told with them."""
    drifted = [*_mappings("counts", expected.counts, found.counts, exact=True)]
    if found.cycles != expected.cycles:
        with_counts = "with the counts" if drifted else "the counts are the same: the timing has changed"
        drifted.append(Drift("cycles", f"{_change(expected.cycles, found.cycles)}; {with_counts}"))
    if not math.isclose(found.estimate_cycles, expected.estimate_cycles, rel_tol=SAME):
        drifted.append(Drift("estimate", _change(expected.estimate_cycles, found.estimate_cycles)))
    common = found.prices_pj.keys() & expected.prices_pj.keys()
    prices = [{key: side[key] for key in sorted(common)} for side in (expected.prices_pj, found.prices_pj)]
    drifted += _mappings("energy table", *prices, exact=False)
    if not math.isclose(found.energy_pj, expected.energy_pj, rel_tol=SAME):
        change = f"energy {_change(expected.energy_pj, found.energy_pj)} pJ"
        if drifted:
            drifted[-1] = replace(drifted[-1], text=f"{drifted[-1].text}; {change}")
        else:
            drifted.append(Drift("energy table", f"{change}, at the same counts, cycles and prices"))
    return drifted


def _mappings(cause: str, expected: Mapping[str, float], found: Mapping[str, float], *, exact: bool) -> Iterator[Drift]:
    changes = [
        f"{key} {_change(expected.get(key, 0), found.get(key, 0))}"
        for key in sorted(expected.keys() | found.keys())
        if not math.isclose(expected.get(key, 0), found.get(key, 0), rel_tol=0.0 if exact else SAME)
    ]
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        yield Drift(cause, ", ".join(changes[:SHOWN]) + more)


def _change(before: float, after: float) -> str:
    share = f" ({(after - before) / before:+.2%})" if before else ""
    return f"{_number(before)} -> {_number(after)}{share}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
