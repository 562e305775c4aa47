"""Digests of machines, problems and mappings, by which a result that another run computed is found again.

A simulation is decided by the program, by what the caches hold when it starts, and by those parts of the machine that
take part in it; not by prices, names, the supply, or a vector unit that no command asks for anything. So machines that
differ only there share their simulations.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Protocol

from hwconfigs import EnergyModel, HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem


class Recall(Protocol):
    """Keeps texts by key; it may forget any of them at any time, and never returns another one."""

    def find(self, key: str) -> str | None:
        """Return what was kept, None if there is nothing."""

    def keep(self, key: str, value: str) -> None:
        """Keep a text."""


UNTIMED = frozenset({"name", "description", "source", "sources", "energy", "supply_v", "clock_mhz"})
"""Parts of a machine that no cycle and no count depends on. Times are in cycles, whatever the clock was that they were
given for."""

OF_EVERY_STORE = ("command_gap_cycles",)
"""Parts of a vector unit that time every store of a machine that has one."""

RESOLVED = frozenset({"kernel_cycles"})
"""Constants of the host that a program has in its tasks already."""


class MachineDigests:
    """Digests of the parts of one machine that take part in a program."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._known: dict[bool, str] = {}

    def of(self, *, vector: bool) -> str:
        """Return the digest for programs that ask the vector unit for something, or for those that do not."""
        if vector not in self._known:
            values = self._spec.model_dump(mode="json", exclude=set(UNTIMED))
            values["host"] = {name: value for name, value in values["host"].items() if name not in RESOLVED}
            if not vector and self._spec.vector is not None:
                values["vector"] = {name: values["vector"][name] for name in OF_EVERY_STORE}
            self._known[vector] = digest_of(["machine", values])
        return self._known[vector]

    def of_problem(self, problem: MatmulProblem) -> str:
        """Return the digest for the programs of a matmul."""
        return self.of(vector=kernel_named(problem.activation).needs_unit)


def digest_of(value: object) -> str:
    """Return the hash of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def prices_digest(prices: EnergyModel) -> str:
    """Return the digest of what actions and cycles cost."""
    actions = sorted([*action, price] for action, price in prices.pj.items())
    return digest_of(["prices", actions, prices.static_pj_per_cycle])


def problem_text(problem: MatmulProblem) -> str:
    """Return one text for equal matmuls, whatever their names."""
    return repr(replace(problem, name=""))


def loop_text(loop: HardwareLoop) -> str:
    """Return one text for equal mappings; a set has no order of its own."""
    return f"{replace(loop, held=frozenset())!r} {sorted(loop.held)}"
