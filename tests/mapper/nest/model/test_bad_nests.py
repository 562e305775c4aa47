"""Loop nests that cannot be: every complaint names what, where and how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mapper.errors import MappingError
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from mapper.mapping.mapping_file import dump_mapping, read_mapping
from mapper.nest.model.accounting import DEFAULT, TIMELOOP
from mapper.nest.model.cost import evaluate
from mapper.nest.model.fit import violations
from mapper.nest.model.from_mapping import batch_of, batch_of_all
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.problem import matmul
from tests.mapper.nest.gemmini_nests import OPERANDS, OUTPUT, batch, flat, random_tiles, single_nest, skeleton

PROBLEM, MACHINE = matmul(64, 64, 64), flat()
GOOD = single_nest(PROBLEM, MACHINE, skeleton(), "m=32 k=64 n=64", "m=32 k=32 n=16").mapping(0)


def changed(level: int, **fields: object) -> LoopNest:
    levels = list(GOOD.levels)
    levels[level] = replace(levels[level], **fields)  # type: ignore[arg-type]
    return replace(GOOD, levels=tuple(levels))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: replace(GOOD, problem=(("m", 8), ("k", 64), ("n", 64))), "problem m=8 k=64 n=64, not m=64 k=64 n=64"),
        (lambda: replace(GOOD, machine="gemmini"), "machine 'gemmini', not 'flat'"),
        (
            lambda: replace(GOOD, levels=GOOD.levels[1:]),
            "levels scratchpad, accumulator, array; flat has dram, scratch",
        ),
        (lambda: changed(0, temporal=(TemporalLoop("m", 65),)), "dram: tile of m needs 65 elements > 64"),
        (lambda: changed(1, temporal=(TemporalLoop("m", 48),)), "scratchpad: tile of m needs 48 elements > 32"),
        (
            lambda: changed(2, kept=OUTPUT | OPERANDS),
            r"accumulator: keeps input, weight needs 2 tensors > 0; allowed: ou",
        ),
        (lambda: changed(1, double_buffered=OUTPUT), "scratchpad: double buffering output .* allowed: input, weight"),
        (lambda: changed(0, held=OUTPUT), "'held' belongs to the hardware loop"),
        (lambda: changed(2, spatial=(SpatialLoop("k", 32, "rows"),)), "array rows: spatial k=32 needs 32 rows > 16"),
        (
            lambda: changed(2, spatial=(SpatialLoop("k", 16, "rows"), SpatialLoop("m", 2, "rows"))),
            "array rows: spatial k=16 x m=2 needs 32 rows > 16",
        ),
        (lambda: changed(2, spatial=()), "array: k at the multipliers needs 16 elements > 1; add a loop over k"),
        (
            lambda: changed(0, spatial=(SpatialLoop("m", 2, "cols"),)),
            "scratchpad: spatial loops outside needs 2 instances",
        ),
        (
            lambda: replace(GOOD, levels=tuple(replace(level, kept=level.kept - {"weight"}) for level in GOOD.levels)),
            "flat: a copy of weight needs 1 memories > 0",
        ),
    ],
)
def test_what_is_wrong_with_a_nest(broken: Callable[[], LoopNest], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        batch_of(broken(), PROBLEM, MACHINE)


def test_all_problems_at_once() -> None:
    with pytest.raises(MappingError) as caught:
        batch_of(changed(1, temporal=(TemporalLoop("m", 48), TemporalLoop("k", 80)), kept=OPERANDS), PROBLEM, MACHINE)
    assert [violation.demand for violation in caught.value.violations] == [48, 80]


def test_unknown_names_are_refused_by_the_mapping_itself() -> None:
    with pytest.raises(MappingError, match="dram: unknown dimension 'z'; the problem has m, k, n"):
        changed(0, temporal=(TemporalLoop("z", 4),))
    with pytest.raises(MappingError, match=r"dram: unknown tensors \['bias'\]; use input, weight, output"):
        changed(0, kept=frozenset({"bias"}))


def test_a_memory_too_small_shows_the_inequality() -> None:
    (broken,) = violations(batch_of(GOOD, PROBLEM, flat(scratchpad=1000)), TIMELOOP)
    assert str(broken).startswith("scratchpad: tile of input and weight (m=32 k=64 n=64) needs 6,144 words > 1,000")
    assert broken.demand == 32 * 64 + 64 * 64


def test_rests_are_named_where_factors_must_be_perfect() -> None:
    nest = single_nest(PROBLEM, MACHINE, skeleton(), "m=24 k=64 n=64", "m=24 k=64 n=64")
    (broken,) = violations(nest, TIMELOOP)
    assert str(broken).startswith("dram: m=64 in steps of 24 needs 16 elements in a smaller last tile")
    assert violations(nest, DEFAULT) == ()


def test_violations_are_empty_exactly_for_valid_mappings() -> None:
    rng, verdicts = np.random.default_rng(5), set()
    machine = flat(scratchpad=3000, accumulator=800)
    nests = batch(PROBLEM, machine, skeleton(double=True), *random_tiles(rng, PROBLEM, 200))
    for rules in (DEFAULT, TIMELOOP):
        costs = evaluate(nests, rules)
        for row in range(len(nests)):
            verdicts.add(bool(costs.valid[row]))
            assert costs.valid[row] == (violations(nests, rules, row) == ())
    assert verdicts == {True, False}


def test_batches_need_one_skeleton() -> None:
    with pytest.raises(MappingError, match="at least one mapping"):
        batch_of_all([], PROBLEM, MACHINE)
    reordered = changed(0, temporal=GOOD.levels[0].temporal[::-1])
    with pytest.raises(MappingError, match="must agree in loop orders"):
        batch_of_all([GOOD, reordered], PROBLEM, MACHINE)


def test_a_winner_survives_yaml() -> None:
    again = read_mapping(dump_mapping(GOOD), problem=PROBLEM.sizes, machine=MACHINE.name)
    assert again == GOOD
    first, second = (evaluate(batch_of(mapping, PROBLEM, MACHINE), DEFAULT) for mapping in (GOOD, again))
    assert first.energy_pj[0] == second.energy_pj[0] and first.cycles[0] == second.cycles[0]


def test_hardware_loop_of_a_larger_machine_is_not_clipped_in_silence() -> None:
    """A block of 16 rows of k where there are only 10: the nest says so."""
    problem = matmul(64, 10, 64)
    mapping = HardwareLoop(4, 1, 4).nest(("matmul",), problem.sizes, "flat", 16)
    with pytest.raises(MappingError, match="tile of k needs 16 elements > 10"):
        batch_of(mapping, problem, MACHINE)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Hierarchy("none", (), 1, 1), "at least one memory"),
        (lambda: Hierarchy("twice", (Memory("a", OUTPUT, 1, 8),) * 2, 1, 1), "each name once"),
        (lambda: flat().index("l2"), "no memory 'l2'; it has dram, scratchpad, accumulator, array"),
        (lambda: flat().uneven("accumulator", ("input",)), "must name its tensors"),
    ],
)
def test_bad_hierarchies(build: Callable[[], object], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        build()


def test_levels_must_be_those_of_the_machine() -> None:
    levels = (*GOOD.levels[:-1], LevelMapping("registers", frozenset({"weight"})))
    with pytest.raises(MappingError, match="registers; flat has dram"):
        batch_of(replace(GOOD, levels=levels), PROBLEM, MACHINE)
