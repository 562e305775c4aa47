"""The closed forms against a walk over every iteration: counts, steps, cycles, energy, tiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mapper.mapping.loop_nest import LoopNest
from mapper.nest.model.access_counts import AccessCounts, count_accesses
from mapper.nest.model.accounting import ACCELFORGE, DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.batch import NestBatch
from mapper.nest.model.cost import evaluate
from mapper.nest.model.from_mapping import batch_of
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import TENSORS, NestProblem
from mapper.nest.model.transfers import Kind
from tests.mapper.nest.model.nest_walk import Interpreter, Walked
from tests.mapper.nest.random_nests import random_nest, random_problem

RAGGED_TIMELOOP = replace(TIMELOOP, ragged="exact")
KINDS: tuple[Kind, ...] = ("read", "fill", "update")
NO_ELISION = replace(DEFAULT, first_read_elision=False, serial_transfers=False)


def always(rules: Accounting) -> bool:
    return True


def reads_first_visits(rules: Accounting) -> bool:
    return not rules.first_read_elision


def reads_drains(rules: Accounting) -> bool:
    return rules.drain_reads


PARTIAL, FINAL = "partial", "final"
"""Width of an element: that of a partial sum, or what a final value's single word saves of it."""

OUTPUT_WORDS: tuple[tuple[Kind, str, Callable[[Accounting], bool], str], ...] = (
    ("update", "update", always, PARTIAL),
    ("update", "finals", always, FINAL),
    ("fill", "fill", always, PARTIAL),
    ("fill", "first", reads_first_visits, PARTIAL),
    ("read", "read", always, PARTIAL),
    ("read", "fresh", reads_first_visits, PARTIAL),
    ("read", "drain", reads_drains, PARTIAL),
    ("read", "drained finals", reads_drains, FINAL),
)
"""What accesses to an output are made of: kind, what the walk counts, the rule that lets it count, its width."""


def expected(walked: Walked, level: int, tensor: str, kind: str, machine: Hierarchy, rules: Accounting) -> int:
    """Words of one kind under the switches, from what the walk counted; operands are never partial."""
    if tensor != "output":
        return walked.total(level, tensor, kind)
    bits = rules.partial_word_bits
    width = 1 if bits is None else -(-bits // machine.memories[level].word_bits)
    words = {PARTIAL: width, FINAL: 1 - width}
    return sum(
        walked.outputs(level, counted) * words[size]
        for row_kind, counted, counts, size in OUTPUT_WORDS
        if row_kind == kind and counts(rules)
    )


RULES = (RAGGED_TIMELOOP, DEFAULT, ACCELFORGE, NO_ELISION)


def compare(problem: NestProblem, mapping: LoopNest, machine: Hierarchy, rules: Accounting) -> None:
    """Every count, the steps, the largest tiles, energy and cycles."""
    walked = Interpreter(problem, mapping).run()
    batch = batch_of(mapping, problem, machine)
    counted = count_accesses(batch, rules)
    assert walked.macs == problem.macs == counted.macs
    assert walked.steps == counted.steps[0], mapping.loop_nest()
    for (memory, tensor), ours in counted.accesses.items():
        level = machine.index(memory)
        for kind, words in ours.total.items():
            want = expected(walked, level, tensor, kind, machine, rules)
            assert words[0] == want, (rules.name, memory, tensor, kind, mapping.loop_nest())
        assert ours.tile[0] == walked.tiles[level, tensor]
        if rules.name == "timeloop":
            for kind, words in ours.busiest.items():
                assert words[0] == walked.busiest(level, tensor, kind), (memory, tensor, kind, mapping.loop_nest())
    check_costs(walked, batch, rules, counted)


def check_costs(walked: Walked, batch: NestBatch, rules: Accounting, counted: AccessCounts) -> None:
    """Energy and, where transfers overlap, cycles from the walk's counts."""
    machine, costs = batch.hierarchy, evaluate(batch, rules)
    energy = problem_energy = machine.mac_pj * walked.macs
    for level, memory in enumerate(machine.memories):
        for tensor in TENSORS:
            if (memory.name, tensor) in counted.accesses:
                count = {kind: expected(walked, level, tensor, kind, machine, rules) for kind in KINDS}
                energy += count["read"] * memory.read_pj + (count["fill"] + count["update"]) * memory.write_pj
    assert costs.energy_pj[0] == pytest.approx(energy, rel=1e-12) and energy >= problem_energy
    if rules.name != "timeloop":
        return
    cycles = [float(walked.steps)]
    for level, memory in enumerate(machine.memories):
        kept = [tensor for tensor in TENSORS if (memory.name, tensor) in counted.accesses]
        reads = sum(walked.busiest(level, tensor, "read") for tensor in kept)
        writes = sum(walked.busiest(level, tensor, kind) for tensor in kept for kind in ("fill", "update"))
        for words, rate in (
            (reads, memory.read_rate),
            (writes, memory.write_rate),
            (reads + writes, memory.shared_rate),
        ):
            cycles.append(words / rate if rate else 0.0)
    assert costs.cycles[0] == math.ceil(max(cycles) * (1 - 1e-12))


@pytest.mark.parametrize("perfect", [False, True], ids=["ragged", "perfect"])
@pytest.mark.parametrize(("kind", "examples"), [("matmul", 100), ("batched", 50), ("conv", 20)])
@pytest.mark.parametrize("levels", [3, 4])
def test_random_nests(kind: str, examples: int, levels: int, perfect: bool) -> None:
    rng = np.random.default_rng([levels, perfect, *map(ord, kind)])
    rules = (TIMELOOP, DEFAULT, ACCELFORGE) if perfect else RULES
    for example in range(examples):
        problem = random_problem(rng, kind)
        mapping, machine = random_nest(rng, problem, levels, perfect=perfect)
        compare(problem, mapping, machine, rules[example % len(rules)])
