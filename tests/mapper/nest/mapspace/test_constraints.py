"""Constraints: one grammar from free to fixed, strict reading, contradictions by name, honoured everywhere."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from mapper.errors import MappingError
from mapper.nest.mapspace.constraint_file import constraints_of, read_constraints
from mapper.nest.mapspace.constraints import Constraints, Orders, Sizes
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import DEFAULT, TIMELOOP
from mapper.nest.model.problem import conv2d, matmul
from mapper.search.exact.loop_nests import search
from tests.mapper.nest.small_spaces import RAGGED, gemmini, random_space, with_l2

TEXT = """
levels:
  dram:
    tile: {m: 128, k: {min: 64, max: 512}, n: {not: [768]}}
    order: "mk*"
    factor: {k: [2, 3, 4]}
  scratchpad:
    order: {not: ["*m"]}
    double_buffer: [weight]
  accumulator:
    single_buffer: [output]
spatial: {rows: k, cols: {n: 16}}
"""


def test_reading_and_writing() -> None:
    constraints = read_constraints(TEXT)
    dram = constraints.rule("dram")
    assert dram.tile == {"m": Sizes(any=(128,)), "k": Sizes(least=64, most=512), "n": Sizes(never=(768,))}
    assert dram.order == Orders(("mk*",))
    assert constraints.rule("scratchpad").order == Orders(None, ("*m",))
    assert constraints.rule("accumulator").double_buffer.never == frozenset({"output"})
    assert read_constraints(constraints.text()) == constraints


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "constraints.yaml"
    path.write_text(TEXT, encoding="utf-8")
    assert read_constraints(path) == read_constraints(TEXT)
    with pytest.raises(MappingError, match=r"missing\.yaml: cannot read the constraints"):
        read_constraints(tmp_path / "missing.yaml")


def test_all_problems_of_a_file_at_once() -> None:
    with pytest.raises(MappingError) as caught:
        read_constraints(
            """
levels:
  dram: {tiles: {m: 4}, tile: {m: 0, k: {mn: 3}, n: {min: 9, max: 3}}, order: 7, keep: [weights]}
  scratchpad: {keep: [input], bypass: [input], double_buffer: input}
spatials: {rows: k}
"""
        )
    text = str(caught.value)
    for part in (
        "levels.dram.tiles: unknown key; did you mean 'tile'?",
        "levels.dram.tile.m: must be a whole number of at least 1, not 0",
        "levels.dram.tile.k.mn: unknown key; did you mean 'min'?",
        "levels.dram.tile.n: min 9 is larger than max 3",
        "levels.dram.order: must be dimensions outer to inner",
        "unknown tensor 'weights'; did you mean 'weight'?",
        "keep and bypass contradict",
        "levels.scratchpad.double_buffer: must be a list of tensors, not 'input'",
        "spatials: unknown key; did you mean 'spatial'?",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"levels": {"scratchpd": {}}}, "levels.scratchpd: unknown memory; did you mean 'scratchpad'"),
        ({"levels": {"dram": {"tile": {"mm": 1}}}}, "dram.tile.mm: unknown dimension; did you mean 'm'"),
        ({"levels": {"dram": {"tile": {"m": 999}}}}, "dram.tile.m=999: the dimension has 64 elements"),
        ({"levels": {"dram": {"factor": {"m": 65}}}}, "dram.factor.m=65: the dimension has 64 elements"),
        ({"levels": {"dram": {"order": "mq*"}}}, "dram.order.q: unknown dimension"),
        ({"levels": {"dram": {"order": "mk"}}}, "dram.order: no order of m, k, n is left"),
        ({"levels": {"scratchpad": {"keep": ["output"]}}}, "this memory may keep"),
        ({"levels": {"array": {"tile": {"m": 1}}}}, "array has no loops of its own"),
        ({"spatial": {"rows": {"k": 17}}}, "spatial.rows.k=17: the array has 16 rows"),
        ({"levels": {"dram": {"tile": {"m": 8}}, "scratchpad": {"tile": {"m": 16}}}}, "dram.tile.m=8 and scratchpad"),
        ({"levels": {"dram": {"tile": {"m": 24}}}}, "no perfect factors of m=64 meet dram.tile.m=24"),
        ({"levels": {"dram": {"factor": {"k": 2}}, "scratchpad": {"factor": {"k": 4}}}}, "dram.factor.k=2 and"),
        ({"levels": {"scratchpad": {"double_buffer": ["output"]}}}, "only kept tensors have copies"),
    ],
)
def test_impossible_constraints_are_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        NestSpace(matmul(64, 64, 64), gemmini(), TIMELOOP, constraints_of(data))


def test_factor_of_a_ragged_dimension() -> None:
    """Trips are counted rounded up: 7 in tiles of 3 is three trips."""
    free = constraints_of({"levels": {"dram": {"factor": {"m": 3}}}})
    space = NestSpace(matmul(7, 16, 16), gemmini(), RAGGED, free)
    assert {row[-6] for rows in space.walk() for row in rows.tolist()} == {3}


@pytest.mark.parametrize("seed", range(5))
def test_honoured_by_walk_draws_and_search(seed: int) -> None:
    """What any of them brings forth violates nothing."""
    random, done = Random(seed), 0
    generator = np.random.default_rng(seed)
    while done < 6:
        try:
            space = random_space(random, constrained=True, largest=4)
        except MappingError:
            continue
        rows = next(iter(space.walk(200)), None)
        if rows is None or space.total > 10**6:
            continue
        done += 1
        some = [*rows[:20].tolist(), *space.sample(20, generator).tolist()]
        for mapping in [*(space.mapping(row) for row in some), search(space, "edp").best.mapping]:
            assert not space.violations(mapping), (mapping.loop_nest(), space.axes.constraints)


def test_violated_constraints_are_told() -> None:
    free = NestSpace(matmul(64, 64, 64), gemmini(), TIMELOOP)
    tied = NestSpace(matmul(64, 64, 64), gemmini(), TIMELOOP, read_constraints("levels: {dram: {tile: {m: 32}}}"))
    mapping = free.mapping((0, 0, 0, 0, 64, 64, 64, 1, 16, 16))
    assert [violation.rule for violation in tied.violations(mapping)] == ["constraint tile.m=32"]


@pytest.mark.parametrize("accounting", [TIMELOOP, RAGGED, DEFAULT])
@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_winners_in_fixed_form(accounting: object, objective: str) -> None:
    """The constraints of a winner, written and read, leave one mapping with the same bits."""
    space = NestSpace(matmul(197, 768, 80), with_l2(gemmini(), 64), accounting, bypass=("l2",), perfect=None)  # type: ignore[arg-type]
    best = search(space, objective).best  # type: ignore[arg-type]
    tied = read_constraints(best.constraints().text())
    assert tied == Constraints.of(best.mapping)
    only = NestSpace(space.problem, space.hierarchy, space.accounting, tied, perfect=space.axes.perfect)
    assert only.total == 1
    again = search(only, objective).best  # type: ignore[arg-type]
    assert (again.mapping, again.cycles, again.energy_pj) == (best.mapping, best.cycles, best.energy_pj)
    (row,) = [row for rows in only.walk() for row in rows.tolist()]
    assert only.mapping(row) == best.mapping


def test_orders_of_a_convolution_cannot_be_proved() -> None:
    space = NestSpace(
        conv2d(1, 4, 4, 2, 2, 1, 1), gemmini(), TIMELOOP, read_constraints('levels: {dram: {order: "*k"}}')
    )
    with pytest.raises(MappingError, match=r"dram\.order: loop orders of a convolution"):
        search(space)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("levels: {dram: {bypass: [input]}}", "dram: the outermost memory keeps all of input, output, weight"),
        ("levels: {dram: {tile: {m: 99999999999999999999999}}}", "is larger than any dimension"),
        ("levels: {dram: {tile: {m: {not: [99999999999999999999999]}}}}", "is larger than any dimension"),
        ("levels: {dram: {tile: {m: []}}}", r"leaves no size: any of \[\]"),
        ("levels: {dram: {tile: {m: {any: [4], not: [4]}}}}", r"leaves no size: any of \[4\] without \[4\]"),
    ],
)
def test_constraints_that_would_mislead(text: str, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        NestSpace(matmul(64, 64, 64), gemmini(), DEFAULT, read_constraints(text))


@pytest.mark.parametrize("seed", range(40))
def test_whether_a_rule_leaves_any_size(seed: int) -> None:
    random = Random(seed)
    some = tuple(random.randint(1, 12) for _ in range(3))
    rule = Sizes(
        random.choice([None, some[:2]]),
        random.randint(1, 6),
        random.choice([None, random.randint(1, 12)]),
        tuple(random.randint(1, 12) for _ in range(random.randint(0, 4))),
    )
    for size in range(1, 13):
        assert rule.leaves_some(size) == rule.allow(np.arange(1, size + 1)).any()
    assert Sizes().leaves_some(2**62)
