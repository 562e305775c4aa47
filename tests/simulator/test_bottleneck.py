"""The one rule for what bounds a run, by cycle accounts small enough to read, and on machines out of proportion."""

from __future__ import annotations

import re

import pytest

import hwconfigs
from mapper import pipeline
from mapper.reports import run_tables
from mapper.result import RunResult
from simulator.bottleneck import BOUNDS, CAUSES, COMPUTE, LOADS, bound_of, cycles_by_cause, load_cycles
from simulator.report import Counts, Report, UnitTime
from simulator.units import UNIT_NAMES

CYCLES = 100


def report(macs: int = 0, /, **units: UnitTime | int) -> Report:
    """100 cycles of units with these accounts or busy cycles; the array does 10 MACs per cycle."""
    times = {
        name: time if isinstance(time, UnitTime) else UnitTime(time, {}, CYCLES - time)
        for name in UNIT_NAMES
        for time in (units.get(name, 0),)
    }
    return Report("x", "simulate", "m", 1000.0, CYCLES, Counts({("array", "mac"): macs}), times, 10)


def waiting(busy: int, **stalls: int) -> UnitTime:
    causes = {cause.replace("_", " ").replace("dram", "DRAM"): cycles for cause, cycles in stalls.items()}
    return UnitTime(busy, causes, CYCLES - busy - sum(stalls.values()))


MOVING, STILL = waiting(30, dram_bandwidth=50, load_latency=10), waiting(10, load_latency=40, request_slots=20)


@pytest.mark.parametrize(
    ("macs", "array", "load", "bound"),
    [
        (600, waiting(60, load=40), MOVING, "compute"),
        # 35 cycles for loads, of which banks that they write are a part, are more than 30 at the full rate.
        (300, waiting(30, load=25, bank_conflict=10, exposed_preload=10, store=25), MOVING, "bandwidth"),
        (300, waiting(30, load=70), STILL, "latency"),
        (400, waiting(40, store=60), MOVING, "store"),
        (400, waiting(40, issue=60), MOVING, "host"),
        (200, waiting(20, result=50, load=15, store=15), MOVING, "array fill"),
        # Steps at 15 % of the full rate.
        (90, waiting(60, load=40), MOVING, "padding"),
        # A tie goes to the array.
        (500, waiting(50, load=50), MOVING, "compute"),
    ],
)
def test_the_time_of_the_array_is_divided(macs: int, array: UnitTime, load: UnitTime, bound: str) -> None:
    assert bound_of(report(macs, execute=array, load=load)) == bound


@pytest.mark.parametrize(
    ("busy", "bound"),
    [
        ({"load": 40, "store": 30, "host": 10}, "bandwidth"),
        ({"load": 40, "store": 60}, "store"),
        # The store controller waits while the normaliser works: 70 - 50 cycles are its own.
        ({"load": 40, "store": 70, "normaliser": 50}, "normaliser"),
        ({"host": 40, "load": 30}, "host"),
        ({"load": 20, "store": 10}, "fill and drain"),
    ],
)
def test_without_products_the_unit_that_works_most_bounds(busy: dict[str, int], bound: str) -> None:
    assert bound_of(report(**busy)) == bound


def test_time_that_units_work_side_by_side_is_shared() -> None:
    """80 + 40 + 80 cycles of work in 100: 40, 20 and 40 of them."""
    causes = cycles_by_cause(report(load=80, store=40, normaliser=0, host=80))
    assert {cause: cycles for cause, cycles in causes.items() if cycles} == {"load": 40, "store": 20, "host": 40}


def test_waits_for_the_memory_are_work_of_load_and_store_unit() -> None:
    """Operands in use are not: the load unit works 60 cycles, the store unit 30 + 40."""
    load = waiting(10, load_latency=50, operands_in_use=20)
    assert bound_of(report(load=load, store=50)) == "latency"
    assert bound_of(report(load=load, store=waiting(30, memory=40))) == "store"


def test_a_whole_is_the_sum_of_its_operators() -> None:
    parts = (report(1000, execute=100), report(load=MOVING), report(load=STILL))
    whole = Report("m", "simulate", "m", 1000.0, 600, Counts(), {}, 10, by_op=parts, repeat=2)
    assert sum(cycles_by_cause(whole).values()) == 600
    assert cycles_by_cause(whole)[COMPUTE] == 200
    assert load_cycles(whole) == {"bandwidth": 2 * (80 + 10), "latency": 2 * (10 + 60)}
    assert bound_of(whole) == "bandwidth"


def test_causes_and_bounds_in_the_order_that_decides_ties() -> None:
    assert CAUSES == (
        "compute", "padding", "load", "store", "normaliser", "simd", "host", "array fill", "fill and drain"
    )  # fmt: skip
    assert (*CAUSES[:2], "bandwidth", "latency", *CAUSES[3:]) == BOUNDS


MACHINES = {
    "shipped": ("gemmini_ibert", {}),
    "tiny": ("tiny_4x4", {}),
    "small memories": ("gemmini_ibert", {"scratchpad.capacity": 16384, "accumulator.capacity": 4096}),
    "far memory": ("gemmini_ibert", {"dram.latency": 400}),
    "narrow memory": ("gemmini_ibert", {"dram.bandwidth": 1}),
    "no L2": ("gemmini_ibert", {"l2": None, "dram.latency": 400}),
    "no normaliser": ("gemmini", {}),
}
MODELS: dict[str, tuple[str | dict[str, object], dict[str, object]]] = {
    "encoder": ("bert-base", {"seq": 16}),
    "decode": ("gpt2", {"phase": "decode", "context": 24}),
    "gated": (
        {"family": "llama", "layers": 1, "d_model": 512, "heads": 8, "kv_heads": 2, "d_ffn": 1024},
        {"phase": "decode", "context": 8},
    ),
    "image": ({"family": "vit", "layers": 1, "d_model": 192, "heads": 3, "d_ffn": 768, "tokens": 50}, {}),
}
PAIRS = [("shipped", "encoder"), ("far memory", "encoder"), ("no L2", "decode"), ("no normaliser", "gated")]
PAIRS += [(machine, "image") for machine in MACHINES]


@pytest.fixture(scope="module", params=PAIRS, ids=" ".join)
def result(request: pytest.FixtureRequest) -> RunResult:
    machine, model = request.param
    name, sizes = MODELS[model]
    return pipeline.run(name, hwconfigs.load(*MACHINES[machine]), finalists=0, **sizes)


def test_every_cycle_has_one_cause(result: RunResult) -> None:
    for whole in (result.simulation, result.estimate):
        for part in (*whole.by_op, whole):
            causes, loads = cycles_by_cause(part), load_cycles(part)
            assert tuple(causes) == CAUSES
            assert min(*causes.values(), *loads.values()) >= 0, part.name
            assert sum(causes.values()) == part.cycles, part.name
            assert sum(loads.values()) == causes[LOADS], part.name
            if part.macs:
                assert causes[COMPUTE] / part.cycles == pytest.approx(part.utilisation, abs=2e-3), part.name


def test_table_and_breakdown_agree(result: RunResult) -> None:
    """What the table calls the bound of an operator is the largest number of its printed row, to the last digit."""
    headings, _, *rows = run_tables.cause_lines(result.simulation)
    names = re.split(r"  +", headings.replace("fill, drain", "fill and drain"))[1:]
    printed = {
        row.split()[0]: dict(zip(names, map(float, re.findall(r"([\d.]+)%", row)), strict=True))
        for row in rows
        if "%" in row
    }
    table = run_tables.run_table(result.simulation, result.estimate, 1)
    for part in (*result.simulation.by_op, result.simulation):
        if not part.cycles:
            continue
        row = printed["total" if part.by_op else part.name]
        loads = row.pop("= bandwidth", 0.0), row.pop("+ latency", 0.0)
        largest = LOADS if part.bound in {"bandwidth", "latency"} else part.bound
        assert row[largest] == max(row.values()), part.name
        if largest == LOADS:
            assert loads[part.bound == "latency"] == max(loads)
        assert part.by_op or re.search(rf"^{part.name} .* {part.bound} ", table, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "bound", "remedy", "others"),
    [
        ({"dram.latency": 400}, "latency", {"dram.latency": 200}, {"dram.bandwidth": 16}),
        ({"dram.bandwidth": 2}, "bandwidth", {"dram.bandwidth": 4}, {"dram.latency": 20}),
        ({"dram.bandwidth": 1, "l2": None}, "bandwidth", {"dram.bandwidth": 2}, {"scratchpad.ports": 2}),
        pytest.param(
            {"array.size": 4},
            "compute",
            {"array.size": 8},
            {"dram.bandwidth": 16, "dram.latency": 20},
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_bounds_is_what_helps(
    change: dict[str, object], bound: str, remedy: dict[str, object], others: dict[str, object]
) -> None:
    """Twice as much of what bounds a product saves more than a quarter of its time, of other things nearly none."""
    run, better, other = (
        pipeline.map_matmul(64, 768, 128, hwconfigs.load("gemmini_ibert", change | more)).simulation
        for more in ({}, remedy, others)
    )
    assert run.bound == bound
    assert better.cycles < 0.75 * run.cycles
    assert other.cycles > 0.93 * run.cycles
