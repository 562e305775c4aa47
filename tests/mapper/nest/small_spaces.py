"""Small random problems whose whole mapspace can be walked, and the machine of the Timeloop reference runs."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np

from mapper.nest.mapspace.constraints import Constraints, LevelRule, Orders, Sets, Sizes
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import ACCELFORGE, DEFAULT, TIMELOOP
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.problem import NestProblem, batched_matmul, matmul

ALL = frozenset({"input", "weight", "output"})
RAGGED = replace(TIMELOOP, name="timeloop, ragged tiles", ragged="exact")
ACCOUNTINGS = (
    TIMELOOP,
    RAGGED,
    DEFAULT,
    ACCELFORGE,
    replace(DEFAULT, name="default in elements", capacity_unit="elements"),
    replace(ACCELFORGE, name="accelforge, wide partial sums", partial_word_bits=32),
    replace(DEFAULT, name="free second copies", double_buffer_capacity=False),
)


def gemmini(scratchpad: int = 262_144, accumulator: int = 16_384) -> Hierarchy:
    """The 16 x 16 machine of the Timeloop reference: energies and rates of its section 2."""
    return Hierarchy(
        "gemmini16_sp256_acc64",
        (
            Memory("dram", ALL, None, 8, shared_rate=16.0, read_pj=64.0, write_pj=64.0),
            Memory("scratchpad", ALL - {"output"}, scratchpad, 8, 32.0, 16.0, None, 1, 4.75, 4.75),
            Memory("accumulator", frozenset({"output"}), accumulator, 32, 16.0, 16.0, None, 1, 6.5, 6.5),
            Memory("array", frozenset({"weight"}), 1, 8, None, None, None, 256, 0.05, 0.05),
        ),
        16,
        16,
        0.3,
    )


def with_l2(machine: Hierarchy, kib: int = 512) -> Hierarchy:
    """The machine with a cache for all tensors between DRAM and the scratchpad; a word costs 9 pJ (our choice)."""
    l2 = Memory("l2", ALL, kib * 1024, 8, shared_rate=32.0, read_pj=9.0, write_pj=9.0)
    first, *rest = machine.memories
    return replace(machine, name=f"{machine.name}_l2", memories=(first, l2, *rest))


def random_machine(random: Random, room: int, *, l2: bool) -> Hierarchy:
    """Capacities up to about ``room`` words, arbitrary rates and energies, an array of 1 to 6 multipliers."""

    def pj() -> float:
        return round(random.uniform(0.1, 20.0), 3)

    def rate() -> float | None:
        return random.choice([None, random.uniform(0.3, 4.0)])

    rows, cols = random.choice([(1, 1), (1, 1), (2, 2), (1, 2), (3, 2)])
    stationary = random.choice(["weight", "weight", "output"])
    memories = [Memory("dram", ALL, None, 8, rate(), rate(), rate(), 1, pj(), pj())]
    if l2:
        memories.append(Memory("l2", ALL, random.randint(3, 4 * room), 8, rate(), rate(), rate(), 1, pj(), pj()))
    memories += [
        Memory("scratchpad", ALL - {"output"}, random.randint(2, 2 * room), 8, rate(), rate(), None, 1, pj(), pj()),
        Memory("accumulator", frozenset({"output"}), random.randint(1, room), 32, rate(), rate(), None, 1, pj(), pj()),
        Memory(
            "array", frozenset({stationary}), 1, 32 if stationary == "output" else 8, None, None, None,
            max(2, rows * cols), pj(), pj(),
        ),
    ]  # fmt: skip
    if rows * cols == 1:  # no registers, so that the loops of the accumulator feed the multiplier
        memories.pop()
    return Hierarchy("tiny", tuple(memories), rows, cols, pj())


def random_problem(random: Random, largest: int) -> NestProblem:
    m, k, n = (random.randint(1, largest) for _ in range(3))
    return batched_matmul(2, m, k, n) if random.random() < 0.15 and m * k * n <= 18 else matmul(m, k, n)


def random_constraints(random: Random, problem: NestProblem, machine: Hierarchy) -> Constraints:
    """A few constraints of every kind; they may contradict each other."""
    loops = [memory.name for memory in machine.memories if memory.name != "array"]
    rules = {}
    for name in loops:
        tile, factor, order = {}, {}, Orders()
        for dim, size in problem.dims:
            if random.random() < 0.15:
                tile[dim] = random.choice([Sizes(any=(random.randint(1, size),)), Sizes(most=random.randint(1, size))])
            if random.random() < 0.1:
                factor[dim] = random.choice([Sizes(most=2), Sizes(never=(2,)), Sizes(any=(1, 3))])
        if random.random() < 0.3:
            inner = random.choice(problem.names)
            order = random.choice([Orders((f"*{inner}",)), Orders((f"{inner}*",)), Orders(None, (f"*{inner}",))])
        rules[name] = LevelRule(name, tile, factor, order)
    if "l2" in rules and random.random() < 0.5:
        rules["l2"] = replace(rules["l2"], keep=Sets((frozenset(t for t in sorted(ALL) if random.random() < 0.6),)))
    return Constraints(tuple(rules.values()))


def random_space(random: Random, *, l2: bool = False, constrained: bool = False, largest: int = 4) -> NestSpace:
    """A space small enough to walk; tiles in single elements.

    Raises
    ------
    MappingError
        When random constraints contradict each other.
    """
    problem = random_problem(random, largest)
    machine = random_machine(random, largest * largest, l2=l2)
    accounting = random.choice(ACCOUNTINGS)
    constraints = random_constraints(random, problem, machine) if constrained else None
    if l2 and constraints is None:
        kept = frozenset(tensor for tensor in sorted(ALL) if random.random() < 0.6)
        constraints = Constraints((LevelRule("l2", keep=Sets((kept,))),))
    return NestSpace(
        problem, machine, accounting, constraints, units=dict.fromkeys(problem.names, 1),
        spatial=random.choice(["full", "full", "free"]),
    )  # fmt: skip


def every_cost(space: NestSpace) -> tuple[np.ndarray, np.ndarray]:
    """(cycles, energy) of every legal member."""
    cycles, energy = [np.zeros(0, np.int64)], [np.zeros(0)]
    for rows in space.walk(200_000):
        costs = space.costs(rows)
        assert costs.valid.all()
        cycles.append(costs.cycles)
        energy.append(costs.energy_pj)
    return np.concatenate(cycles), np.concatenate(energy)
