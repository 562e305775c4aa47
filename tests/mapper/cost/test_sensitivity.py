"""Every numeric parameter of a machine moves the estimate as it moves the simulation, or is listed as moving neither.

Each leaf of `HardwareSpec` is taken times and by four, one at a time, with the mapping of the base machine: what
differs is the machine. A parameter that moves nothing, and is not listed, fails: so does a new key that nobody reads.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

import hwconfigs
from hwconfigs import HardwareSpec, SpecError
from mapper.cost.estimate import estimate
from mapper.cost.estimate_commands import estimate_commands
from mapper.lowering.host import host_program
from mapper.lowering.matmul import lower_matmul
from mapper.lowering.streaming import Operand, Stream, stream_programs
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import contiguous
from simulator.machine import prepare, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Fence, Matrix, Mvin, Mvout, Program, Region
from tests.mapper.tiny import prices

ERROR, SHARE = 0.10, 0.30
"""Most that the two may disagree: this part of the run, the estimate's own error, and this part of the change."""

MOVED, UNMOVED = 0.03, 0.001
"""A change of the simulation that the estimate has to follow, its median error, and one that counts as none
[fraction]."""


class Cycles(NamedTuple):
    """A workload at both fidelities."""

    estimated: int
    simulated: int


@dataclass(frozen=True)
class Workload:
    """Something that runs on any machine, always mapped alike."""

    name: str
    run: Callable[[HardwareSpec], Cycles]


def loops(name: str, shape: tuple[int, int, int], loop: HardwareLoop, **options: Any) -> Workload:
    bits = options.pop("b_bits", 8)
    problem = replace(contiguous(*shape, **options), b_bits=bits)

    def run(spec: HardwareSpec) -> Cycles:
        program, memory = lower_matmul(problem, loop, spec), MemoryState(spec)
        prepared = prepare(program, spec, memory.copy())
        simulated = prepared.simulate(exact=True)
        expected = estimate(loop, problem, spec, prices(spec), memory, prepared)
        return Cycles(expected.cycles, simulated.cycles)

    return Workload(name, run)


def commands(name: str, programs: Callable[[HardwareSpec], Iterator[Program]]) -> Workload:
    def run(spec: HardwareSpec) -> Cycles:
        memory, total = MemoryState(spec), Cycles(0, 0)
        for program in programs(spec):
            before = memory.copy()
            simulated = simulate(program, spec, memory=memory, exact=True)
            expected = estimate_commands(program, spec, prices(spec), before, simulated.counts)
            total = Cycles(total.estimated + expected.cycles, total.simulated + simulated.cycles)
        return total

    return Workload(name, run)


def stream(name: str, rows: int, cols: int, bits: tuple[int, ...], activation: str = "none") -> Workload:
    operands = tuple(Operand(Matrix((1 + 64 * at) * 4096, cols * b // 8), b) for at, b in enumerate(bits))

    def programs(spec: HardwareSpec) -> Iterator[Program]:
        described = Stream(name, rows, cols, operands, Matrix(256 * 4096, cols), activation)
        for repeated in stream_programs(described, spec):
            yield from (repeated.instance(number).program for number in range(repeated.count))

    return commands(name, programs)


def copy_through_the_scratchpad(spec: HardwareSpec) -> Iterator[Program]:
    side, items = spec.array.rows, []
    for number in range(1, 4):
        block = Matrix(4096 * number, side)
        items += [Mvin(block, side, side, "scratchpad", 0), Mvout(block, side, side, "scratchpad", 0)]
    yield Program("copy", (*items, Fence()))
    rows = [Mvin(Matrix(4096 + side * row, side), 1, side, "scratchpad", row) for row in range(side)]
    yield Program("rows", (*rows, Mvout(Matrix(8192, side), side, side, "scratchpad", 0), Fence()))


def host_kernels(spec: HardwareSpec) -> Iterator[Program]:
    reads, writes = (Region("a", 4096, 64),), (Region("b", 8192, 64),)
    for kernel in spec.host.kernel_cycles:
        yield host_program(kernel, kernel, 64, reads, writes, spec).instance(0).program


ONE = loops("one block", (16, 16, 16), HardwareLoop(1, 1, 1))
TILES = loops("tiles", (64, 64, 64), HardwareLoop(2, 2, 2))
RAGGED = loops("ragged", (40, 72, 40), HardwareLoop(2, 2, 2, "nmk"), bias=True)
ROWS = loops("single rows", (1, 96, 96), HardwareLoop(1, 3, 3))
SPILLED = loops("spilled", (64, 64, 64), HardwareLoop(2, 2, 4, "kmn"), c_full=True)
GROUPS = loops("groups of rows", (128, 64, 64), HardwareLoop(4, 4, 4))
DEEP = loops("deep", (128, 128, 16), HardwareLoop(4, 8, 1))
GELU = loops("gelu", (64, 16, 64), HardwareLoop(4, 1, 4), activation="gelu")
TRANSPOSED = loops("transposed", (32, 32, 64), HardwareLoop(2, 2, 2), b_axes=("n", "k"))
BLOCKS = loops("loops of a block", (48, 48, 48), HardwareLoop(1, 1, 1))
SILU = stream("silu", 32, 64, (8,), "silu")
RMSNORM = stream("rmsnorm", 32, 64, (32,), "rmsnorm")
MUL = stream("product", 64, 16, (8, 8), "mul")
PACKED = loops("packed weights", (16, 64, 64), HardwareLoop(1, 2, 2), b_bits=4)
ADD = stream("residual", 48, 64, (8, 8))
RAGGED_ADD = stream("ragged residual", 32, 100, (8, 8))
SOFTMAX = stream("softmax", 32, 32, (32,), "softmax")
LAYERNORM = stream("layernorm", 32, 48, (32,), "layernorm")
COPY = commands("copy", copy_through_the_scratchpad)
HOST = commands("host kernels", host_kernels)

BASES: dict[str, tuple[str, dict[str, object]]] = {
    "ibert": ("gemmini_ibert", {}),
    "fast commands": ("gemmini_ibert", {"host.command_cycles": 1}),
    "firesim": ("firesim_dosa", {"l2.capacity": "8 KiB", "llc.capacity": "32 KiB"}),
    "dirty": ("gemmini_ibert", {"l2.capacity": "8 KiB"}),
    "decoder": ("gemmini_decoder", {"unpack.scales": "at_load"}),
}
"""Machines, and what is changed of them so that a parameter acts in a small workload."""

EXERCISED: dict[str, tuple[tuple[str, tuple[Workload, ...]], ...]] = {
    "array": (("ibert", (ONE, TILES, TRANSPOSED, RAGGED)),),
    "scratchpad": (("ibert", (DEEP, TILES, GROUPS)),),
    "accumulator": (("ibert", (TILES, SPILLED)),),
    "dma": (("ibert", (ONE, TILES, RAGGED, ROWS, SPILLED, ADD, COPY)),),
    "front_end": (("ibert", (ONE, TILES, RAGGED, BLOCKS, ADD)),),
    "l2": (("ibert", (ONE, TILES, RAGGED)), ("firesim", (TILES,))),
    "llc": (("firesim", (SPILLED, TILES)),),
    "dram": (("ibert", (ONE, TILES, ADD)), ("dirty", (SPILLED,)), ("firesim", (SPILLED, ROWS))),
    "vector": (("ibert", (SOFTMAX,)), ("fast commands", (LAYERNORM, SOFTMAX)), ("ibert", (GELU,))),
    "simd": (("decoder", (RMSNORM, SILU, MUL)),),
    "unpack": (("decoder", (PACKED,)),),
    "host": (("ibert", (ONE, BLOCKS, COPY, HOST)),),
}
"""Where the parameters of a section act: the machine is tried whose value is not zero."""

NEITHER: dict[str, str] = {
    "clock_mhz": "cycles are counted in its periods",
    "supply_v": "scales energies; whether a clock is possible at a supply is not checked",
    "unpack.scale_bits": "acts where a model is laid out in DRAM (test_few_bits.py), not on given addresses",
    "unpack.scale_block": "as scale_bits",
    "array.input_bits": "refused: programs of the mapper move elements of a byte",
    "array.accumulator_bits": "refused: four times the width, and what cannot hold a product",
    "array.rows": "refused alone: the array is square",
    "array.cols": "refused alone: the array is square",
    "array.output_delay_cycles": "when an accumulating step takes its bank: below 1 % of any product",
    "array.feed_to_idle_cycles": "seen by a fence behind a pair; what the mapper makes ends with a store",
    "scratchpad.row_bytes": "refused alone: as wide as the array",
    "accumulator.row_bytes": "refused alone: as wide as the array",
    "scratchpad.capacity_bytes": "decides which tiles fit; a tile that fits lies in the same banks",
    "accumulator.capacity_bytes": "decides which tiles fit",
    "accumulator.ports": "products measured on a single-ported build show none; the loop-nest mapspace counts it",
    "dma.handover_cycles": "two loads in flight are no closer to each other, even of one row",
    "dma.store_buffer_blocks": "ends a store a few cycles before its last row has left",
    "front_end.config_command_cycles": "only measuring programs issue configuration commands",
    "front_end.load_entries": "two instead of eight cost loops of few loads 1.5 % at most, the estimate nothing",
    "front_end.loop_config_cycles": "under the loads of the loop before; on the RTL 20 instead of 7 change nothing",
    "l2.mshr_release_cycles": "one of the fifty and more cycles for which a miss holds its entry",
    "vector.one_block_lead_cycles": "rows of a single block: the lanes of wider ones drain for longer",
    "vector.one_exponential_cycles": "rows of a single element",
    "vector.rescale_cycles": "of a unit with online softmax, which no shipped machine has",
}
"""Parameters that move neither fidelity by `MOVED`, and why."""

APART: dict[str, str] = {
    "dma.max_request_bytes": "lines longer than a request: no machine has them, and the estimate counts in lines",
    "l2.line_bytes": "the same",
    "llc.line_bytes": "the same",
    "l2.multi_beat_hit_cycles": "the patch of one machine's hits, which the estimate charges to all of a mixture",
    "dram.pages": "the estimate knows open pages by streams of equal commands, not by what lies between them",
}
"""Parameters, or sections, whose effect the estimate is known not to follow to the stated error, and why."""


def numeric_leaves(model: type[BaseModel] = HardwareSpec, path: str = "") -> Iterator[str]:
    """Dotted paths of the fields that hold numbers, mappings of numbers and tuples of them as a whole."""
    for name, field in model.model_fields.items():
        kinds = list(_kinds(field.annotation))
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is not None:
            yield from numeric_leaves(inner, f"{path}{name}.")
        elif any(kind in (int, float) for kind in kinds):
            yield f"{path}{name}"


def _kinds(annotation: Any) -> Iterator[Any]:
    """Types that a field may hold."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _kinds(arguments[0])
    elif origin in (Union, types.UnionType) or arguments:
        for argument in arguments:
            yield from _kinds(argument)
    else:
        yield annotation


def value_of(spec: HardwareSpec, path: str) -> Any:
    value: Any = spec
    for step in path.split("."):
        value = None if value is None else getattr(value, step)
    return value


def changed(spec: HardwareSpec, path: str, factor: float) -> HardwareSpec | None:
    """The machine with a value scaled; None if the value would not change or is refused."""
    value = value_of(spec, path)

    def scaled(number: float) -> float:
        return max(1, round(number * factor)) if isinstance(number, int) else number * factor

    if hasattr(value, "items"):
        new: Any = {key: scaled(number) for key, number in value.items()}
    else:
        new = [scaled(number) for number in value] if isinstance(value, tuple) else scaled(value)
    try:
        return None if new == value else hwconfigs.override(spec, {path: new})
    except SpecError:
        return None


@cache
def base(name: str) -> HardwareSpec:
    machine, changes = BASES[name]
    return hwconfigs.load(machine, changes)


@cache
def unchanged(machine: str, workload: Workload) -> Cycles:
    return workload.run(base(machine))


def cases(path: str) -> Iterator[tuple[str, Workload, float, HardwareSpec]]:
    """Machine, workload, factor and changed machine of each try; twice instead of four times where four is refused."""
    for name, workloads in EXERCISED[path.partition(".")[0]] if "." in path else EXERCISED["host"]:
        if not value_of(base(name), path):
            continue
        for factors in ((4.0, 2.0), (0.25, 0.5)):
            made = next(((spec, factor) for factor in factors if (spec := changed(base(name), path, factor))), None)
            if made is not None:
                yield from ((name, workload, made[1], made[0]) for workload in workloads)


def alike(path: str, machine: str, workload: Workload, factor: float, spec: HardwareSpec) -> tuple[float, float, str]:
    """Changes of the estimate and of the simulation [logarithms], and what is wrong with them if anything."""
    before, after = unchanged(machine, workload), workload.run(spec)
    estimated = math.log(after.estimated / before.estimated)
    simulated = math.log(after.simulated / before.simulated)
    text = f"{path} x {factor:g}, {workload.name} on {machine}: estimate {estimated:+.1%}, simulation {simulated:+.1%}"
    if abs(estimated - simulated) > ERROR + SHARE * abs(simulated):
        return estimated, simulated, text
    blind = abs(simulated) > MOVED and abs(estimated) < UNMOVED
    return estimated, simulated, f"{text} (blind)" if blind else ""


LEAVES = sorted(numeric_leaves())


def test_the_list_names_parameters_that_exist() -> None:
    assert set(NEITHER) <= set(LEAVES)
    assert all(any(path.startswith(name) for path in LEAVES) for name in APART)
    assert len(LEAVES) > 80


HELD = [path for path in LEAVES if path not in NEITHER and not path.startswith(tuple(APART))]


@pytest.mark.parametrize("path", HELD)
def test_a_parameter_moves_both_alike(path: str) -> None:
    """Both directions, on the workloads of its section up to the first that it moves: one that moves none is dead."""
    acts: set[float] = set()
    for machine, workload, factor, spec in cases(path):
        if factor not in acts:
            estimated, simulated, wrong = alike(path, machine, workload, factor, spec)
            assert not wrong, wrong
            if min(abs(estimated), abs(simulated)) >= UNMOVED:
                acts.add(factor)
    assert acts, f"{path} moves nothing: make it act, remove it, or list it with the reason"


@pytest.mark.parametrize("path", [path for path in LEAVES if path not in HELD])
def test_a_listed_parameter_is_what_the_list_says(path: str) -> None:
    """So that the list stays true: no effect on either fidelity, or one on the simulation."""
    tried = [] if "." not in path or NEITHER.get(path, "").startswith("refused") else list(cases(path))
    changes = [alike(path, *case)[:2] for case in tried[:3] + tried[-1:]]
    if path in NEITHER:
        assert all(max(abs(estimated), abs(simulated)) < MOVED for estimated, simulated in changes), changes


@pytest.mark.slow
@pytest.mark.parametrize("path", HELD)
def test_a_parameter_moves_every_workload_alike(path: str) -> None:
    """All workloads of its section, both directions."""
    wrong = [text for case in cases(path) if (text := alike(path, *case)[2])]
    assert not wrong, "\n".join(wrong)
