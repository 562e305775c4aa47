"""Columns against single mappings, and each switch of the accounting on nests small enough for paper."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mapper.mapping.hardware_loop import HardwareLoop
from mapper.nest.model.access_counts import count_accesses
from mapper.nest.model.accounting import ACCELFORGE, DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.batch import LevelShape, NestBatch, Skeleton
from mapper.nest.model.cost import evaluate
from mapper.nest.model.from_mapping import batch_of
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.problem import matmul
from mapper.nest.model.tile_counts import visits
from tests.mapper.nest.gemmini_nests import (
    ALL,
    OUTPUT,
    SPREAD,
    WEIGHT,
    batch,
    flat,
    gemmini,
    random_tiles,
    single_nest,
    skeleton,
)
from tests.mapper.nest.model.nest_walk import Interpreter
from tests.mapper.nest.random_nests import random_nest, random_problem

QKV = matmul(512, 768, 768)
FFN2 = matmul(512, 3072, 768)


@pytest.mark.parametrize("rules", [DEFAULT, TIMELOOP, ACCELFORGE, replace(DEFAULT, min_pair_cycles=16)])
@pytest.mark.parametrize("double", [False, True])
def test_a_row_of_a_batch_is_the_mapping_alone_bit_for_bit(rules: Accounting, double: bool) -> None:
    rng = np.random.default_rng(7)
    problem, machine = matmul(197, 768, 1000), gemmini()
    for orders in itertools.islice(itertools.permutations(["mkn", "knm", "nmk", "mnk"], 3), 0, 24, 5):
        nests = batch(problem, machine, skeleton(orders, double=double), *random_tiles(rng, problem, 40))
        together = evaluate(nests, rules)
        for row in range(0, 40, 3):
            alone = evaluate(batch_of(nests.mapping(row), problem, machine), rules)
            assert alone.cycles[0] == together.cycles[row]
            assert alone.energy_pj[0] == together.energy_pj[row]
            assert alone.valid[0] == together.valid[row]
            assert {name: words[0] for name, words in alone.footprint.items()} == {
                name: words[row] for name, words in together.footprint.items()
            }
        some = np.array([3, 30, 4])
        assert (evaluate(nests.take(some), rules).cycles == together.cycles[some]).all()


def test_both_places_of_the_innermost_loop_count_alike() -> None:
    """The hardware loop writes the m loop and the spatial loops at the array, Timeloop at the accumulator."""
    problem, machine = matmul(512, 768, 768), gemmini()
    loop = HardwareLoop(8, 48, 4, order="nmk")
    theirs = batch_of(loop.nest(("matmul",), problem.sizes, machine.name, 16), problem, machine)
    ours = single_nest(
        problem, machine, skeleton(("nmk", "", "knm"), double=True), "m=128 k=768 n=64", "m=128 k=768 n=64"
    )
    a, b = (count_accesses(nests, DEFAULT) for nests in (theirs, ours))
    for key in a.accesses:
        assert {kind: int(words[0]) for kind, words in a.accesses[key].total.items()} == {
            kind: int(words[0]) for kind, words in b.accesses[key].total.items()
        }, key
    assert evaluate(theirs, DEFAULT).cycles[0] == evaluate(ours, DEFAULT).cycles[0]


def test_ragged_chain_of_the_counterexamples() -> None:
    """A divisor is not always better: 10 = 8 + 2 and 4 | 8 gives 3 tiles, 5 + 5 gives 4; 7 = 4 + 3 by 2 gives 4."""
    assert visits(10, [8, 4], [True, True]) == 3
    assert visits(10, [5, 4], [True, True]) == 4
    assert visits(7, [4, 2], [True, True]) == 4
    assert visits(7, [4, 3], [True, True]) == 3


def test_visits_against_enumeration() -> None:
    rng = np.random.default_rng(3)
    for _ in range(500):
        size = int(rng.integers(1, 40))
        steps: list[int] = []
        for _ in range(rng.integers(1, 5)):
            steps.append(int(rng.integers(1, (steps[-1] if steps else size) + 1)))
        tiles = [size]
        for step in steps:
            tiles = [min(step, tile - start) for tile in tiles for start in range(0, tile, step)]
        assert visits(size, steps, [True] * len(steps)) == len(tiles)


@pytest.mark.parametrize(
    ("switch", "dram_output"),
    [
        (DEFAULT, 2 * 4 * (4 - 1) + 1),
        (replace(DEFAULT, partial_word_bits=None), 2 * (4 - 1) + 1),
        (TIMELOOP, 2 * (4 - 1) + 1),
        (ACCELFORGE, 2 * (4 - 1) + 1),
    ],
)
def test_width_of_partial_sums(switch: Accounting, dram_output: int) -> None:
    """K in four passes outside the output tile: three spills of every element, each written and read back."""
    nest = single_nest(FFN2, gemmini(), skeleton(("kmn", "kmn", "kmn")), "m=64 k=768 n=64", "m=64 k=768 n=64")
    count = count_accesses(nest, switch).accesses["dram", "output"].total
    assert sum(int(words[0]) for words in count.values()) == dram_output * 512 * 768


def test_reads_of_drained_tiles() -> None:
    nest = single_nest(QKV, gemmini(), skeleton(), "m=128 k=768 n=64", "m=128 k=768 n=64")
    reads = [
        int(
            count_accesses(nest, replace(DEFAULT, drain_reads=drain)).accesses["accumulator", "output"].total["read"][0]
        )
        for drain in (True, False)
    ]
    assert reads[0] - reads[1] == 512 * 768


def test_capacity_of_two_tiles_and_of_blocks() -> None:
    """m=100 k=40: rows are counted one by one, k in blocks of 16; two tiles of what is not the whole tensor."""
    problem = matmul(200, 40, 20)
    machine, shape = gemmini(), skeleton(double=True)
    nest = single_nest(problem, machine, shape, "m=100 k=40 n=20", "m=100 k=40 n=20")
    assert evaluate(nest, DEFAULT).footprint["scratchpad"] == 2 * 100 * 48 + 48 * 32
    assert evaluate(nest, DEFAULT).footprint["accumulator"] == 2 * 100 * 32
    elements = replace(DEFAULT, capacity_unit="elements")
    assert evaluate(nest, elements).footprint["scratchpad"] == 2 * 100 * 40 + 40 * 20
    assert evaluate(nest, replace(elements, double_buffer_capacity=False)).footprint["accumulator"] == 100 * 20


def test_partial_sums_in_narrow_words_take_room_where_they_are_visited_again() -> None:
    memories = (Memory("dram", ALL, None, 8), Memory("l2", OUTPUT, 10**6, 8), Memory("accumulator", OUTPUT, 10**6, 32),
                Memory("array", WEIGHT, 1, 8, instances=256))  # fmt: skip
    machine = Hierarchy("l2", memories, 16, 16)
    levels = (
        LevelShape("dram", ("m",), ALL),
        LevelShape("l2", ("k", "n"), OUTPUT),
        LevelShape("accumulator", ("k", "n", "m"), OUTPUT, SPREAD),
        LevelShape("array", (), WEIGHT),
    )
    sizes = []
    for k in (768, 256):
        tiles = ((64,), (k, 64), (16, 16, 1), ())
        nest = NestBatch(QKV, machine, Skeleton(levels), tiles, 1)
        sizes.append(float(evaluate(nest, DEFAULT).footprint["l2"][0]))
    assert sizes == [64 * 768, 4 * 64 * 768]


def test_transfers_without_a_second_tile_take_their_own_time() -> None:
    """64x64x64 on DRAM of 8 words per cycle: loads of tiles that come and go add up, resident ones do not."""
    problem, machine = matmul(64, 64, 64), gemmini()
    machine = replace(machine, memories=(replace(machine.memories[0], shared_rate=8.0), *machine.memories[1:]))
    single, double = (
        evaluate(
            single_nest(problem, machine, skeleton(("mkn", "", "knm"), double=two), "m=32 k=64 n=64", "m=32 k=64 n=64"),
            DEFAULT,
        )
        for two in (False, True)
    )
    computing = 64 * 4 * 4
    assert double.cycles[0] == max(computing, 3 * 64 * 64 // 8)
    assert single.cycles[0] == computing + 2 * 64 * 64 // 8  # the weights are whole: loaded once, overlapped


def test_least_time_of_a_pair() -> None:
    """Rows of 197 in chunks that all exceed 16 cost 197; a last chunk of 5 costs 16 (64 + 64 + 64 + 5)."""
    problem, rules = matmul(197, 64, 64), replace(DEFAULT, min_pair_cycles=16)
    for rows, chunks in ((50, 197), (64, 208), (8, 25 * 16)):
        nest = single_nest(
            problem, gemmini(), skeleton(("mkn", "", "knm")), f"m={rows} k=64 n=64", f"m={rows} k=64 n=64"
        )
        assert count_accesses(nest, rules).steps[0] == 4 * 4 * chunks
        assert count_accesses(nest, DEFAULT).steps[0] == 4 * 4 * 197


@pytest.mark.parametrize("kind", ["matmul", "conv"])
def test_least_time_of_a_pair_against_the_walk(kind: str) -> None:
    rng, rules, compared = np.random.default_rng(11), replace(DEFAULT, min_pair_cycles=5), 0
    for _ in range(150):
        problem = random_problem(rng, kind)
        mapping, machine = random_nest(rng, problem, 3)
        innermost = [
            tensor for tensor in mapping.levels[-1].kept if any(tensor in lv.kept for lv in mapping.levels[:-1])
        ]
        walk = Interpreter(problem, mapping)
        places = [walk.position(tensor, len(mapping.levels) - 1) for tensor in innermost]
        want = [walk.time(0, walk.whole, 5, place) for place in places]
        compared += len(want)
        steps = count_accesses(batch_of(mapping, problem, machine), rules).steps[0]
        assert steps == max(want, default=walk.time(0, walk.whole)), mapping.loop_nest()
    assert compared > 50


def test_accelforge_projection() -> None:
    """AccelForge 1.0.467's energy by component for 512x768x768 at its optimum, with its tiles.

    From runs of that version on the flat energies (uJ: DRAM 125.83, scratchpad 43.25, accumulator 150.99, register
    15.16, MAC 60.40, total 395.634) at the compute roof of 1,179,648 cycles and 1,966,080 bytes of DRAM traffic.
    """
    nest = single_nest(QKV, flat(), skeleton(("mnk", "knm", "nkm")), "m=256 k=768 n=16", "m=256 k=16 n=16")
    costs, count = evaluate(nest, ACCELFORGE), count_accesses(nest, ACCELFORGE)
    energy = {
        memory: sum(float(item.energy_pj[0]) for (name, _), item in count.accesses.items() if name == memory) / 1e6
        for memory in ("dram", "scratchpad", "accumulator", "array")
    }
    assert energy == pytest.approx(
        {"dram": 125.83, "scratchpad": 43.25, "accumulator": 150.99, "array": 15.16}, abs=0.005
    )
    assert costs.energy_pj[0] / 1e6 == pytest.approx(395.634, abs=0.0005)
    assert costs.cycles[0] == 1179648 and costs.valid[0]


def test_uneven_residency_shares_capacity_and_ports() -> None:
    machine = flat(accumulator=2**20).uneven("scratchpad", ("output", "input", "weight"))
    assert machine.names[1:4] == ("scratchpad_output", "scratchpad_input", "scratchpad_weight")
    kept = (ALL, OUTPUT, frozenset({"input"}), WEIGHT, OUTPUT, WEIGHT)
    orders = (("m", "n"), ("k",), ("n",), (), ("n", "k", "m"), ())
    levels = tuple(
        LevelShape(name, order, names, SPREAD if name == "accumulator" else ())
        for name, order, names in zip(machine.names, orders, kept, strict=True)
    )
    tiles = ((512, 384), (240,), (48,), (), (16, 16, 1), ())
    nest = NestBatch(FFN2, machine, Skeleton(levels), tiles, 1)
    costs = evaluate(nest, ACCELFORGE)
    words = {"scratchpad_output": 512 * 384, "scratchpad_input": 512 * 240, "scratchpad_weight": 240 * 48}
    assert {name: costs.footprint[name][0] for name in words} == words
    assert not costs.valid[0]  # each fits alone; together they do not
    larger = flat(sum(words.values()), 2**20).uneven("scratchpad", ("output", "input", "weight"))
    assert evaluate(replace(nest, hierarchy=larger), ACCELFORGE).valid[0]
    count = count_accesses(nest, ACCELFORGE)
    reads = sum(
        int(item.total["read"][0]) for (name, _), item in count.accesses.items() if name.startswith("scratchpad")
    )
    assert count.level_cycles["scratchpad_output"][0] >= reads / 32
