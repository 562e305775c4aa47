"""What must hold between the values of a machine; each message shows the arithmetic.

Every check gets only sections that are valid on their own, so one bad section does not hide the problems of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydantic import BaseModel

from hwconfigs.parts import ArraySpec, CacheSpec, DmaSpec, DramSpec, FrontEndSpec, L2Spec, SramSpec
from hwconfigs.simd_unit import SimdSpec
from hwconfigs.unpack_unit import UnpackSpec
from hwconfigs.vector_unit import VectorSpec

Problem = tuple[str, str]
"""Dotted path and text."""

MOST_LINES = 2**24
"""Lines of a cache whose tags the simulator can hold and copy in seconds: 1 GiB of 64 bytes."""

MOST_WAYS = 255
"""Valid ways of a set that fit the outcome of a request: see ``simulator.memory.recurrences.MOST_WAYS``."""


def cross_problems(sections: Mapping[str, BaseModel | None]) -> list[Problem]:
    """Contradictions between the given sections (absent ones are not looked at)."""
    problems: list[Problem] = []
    for needs, check in _CHECKS:
        parts = [sections.get(name) for name in needs]
        if all(part is not None for part in parts):
            problems.extend(problem for problem in check(*parts) if problem not in problems)
    return problems


def _array(array: ArraySpec) -> Iterator[Problem]:
    if array.rows != array.cols:
        yield "array.rows", f"={array.rows} must equal array.cols={array.cols} (Gemmini is square); set array.size"
    if len(set(array.dataflows)) < len(array.dataflows):
        yield "array.dataflows", f"repeated: {', '.join(array.dataflows)}"
    for name in ("input_bits", "accumulator_bits"):
        bits: int = getattr(array, name)
        if bits % 8:
            yield f"array.{name}", f"={bits} must be a multiple of 8 (an element is a whole number of bytes)"
    if array.accumulator_bits < 2 * array.input_bits:
        needed = f"2 x {array.input_bits} = {2 * array.input_bits}"
        yield (
            "array.accumulator_bits",
            f"={array.accumulator_bits} cannot hold one product of two integers, array.input_bits={array.input_bits}, "
            f"which needs {needed} bits (arrays of floating point are not modelled)",
        )


def _capacity(name: str, sram: SramSpec) -> Iterator[Problem]:
    step = sram.banks * sram.row_bytes
    if sram.capacity_bytes % step:
        arithmetic = f"banks x row_bytes = {sram.banks} x {sram.row_bytes} = {step:,}"
        yield f"{name}.capacity_bytes", f"={sram.capacity_bytes:,} must be a multiple of {arithmetic}"


def _row(name: str, sram: SramSpec, array: ArraySpec, bits: int, meaning: str) -> Iterator[Problem]:
    needed = array.cols * bits // 8
    if sram.row_bytes != needed:
        arithmetic = f"array.cols x bits / 8 = {array.cols} x {bits} / 8 = {needed}"
        yield f"{name}.row_bytes", f"={sram.row_bytes} must equal {arithmetic} ({meaning}); leave it out to derive it"


def _scratchpad(scratchpad: SramSpec, array: ArraySpec) -> Iterator[Problem]:
    yield from _capacity("scratchpad", scratchpad)
    meaning = f"one {array.input_bits}-bit row feeds the array per cycle"
    yield from _row("scratchpad", scratchpad, array, array.input_bits, meaning)


def _accumulator(accumulator: SramSpec, array: ArraySpec) -> Iterator[Problem]:
    yield from _capacity("accumulator", accumulator)
    meaning = "one result row leaves the array per cycle"
    yield from _row("accumulator", accumulator, array, array.accumulator_bits, meaning)


def _smallest_tile(name: str, sram: SramSpec, rows: int, loops: int, contents: str) -> Iterator[Problem]:
    needed = loops * rows * sram.row_bytes
    if sram.capacity_bytes < needed:
        demand = f"{contents}, {rows} rows x {sram.row_bytes} B, for each of {loops} loops in flight"
        text = f"needs {needed:,} bytes ({demand}) > {sram.capacity_bytes:,}; enlarge it or shrink the array"
        yield f"{name}.capacity_bytes", text


def _tiles(scratchpad: SramSpec, accumulator: SramSpec, array: ArraySpec, front_end: FrontEndSpec) -> Iterator[Problem]:
    loops = front_end.loops_in_flight
    yield from _smallest_tile("scratchpad", scratchpad, 2 * array.rows, loops, "one A and one B block")
    yield from _smallest_tile("accumulator", accumulator, array.rows, loops, "one C block")


def _front_end(front_end: FrontEndSpec) -> Iterator[Problem]:
    if front_end.execute_entries < 4:
        yield (
            "front_end.execute_entries",
            f"={front_end.execute_entries} must be at least 4 (a pair in the array and the next one, 2 entries each)",
        )


def _power_of_two(
    path: str, value: int, reason: str = "requests and lines are aligned to their own size"
) -> Iterator[Problem]:
    if value & (value - 1):
        yield path, f"={value} must be a power of two ({reason})"


def _dma(dma: DmaSpec) -> Iterator[Problem]:
    for name in ("bus_bytes_per_cycle", "min_request_bytes", "max_request_bytes"):
        yield from _power_of_two(f"dma.{name}", getattr(dma, name))
    if dma.min_request_bytes > dma.max_request_bytes:
        yield (
            "dma.min_request_bytes",
            f"={dma.min_request_bytes} must not exceed max_request_bytes={dma.max_request_bytes}",
        )
    if dma.bus_bytes_per_cycle > dma.max_request_bytes:
        yield (
            "dma.bus_bytes_per_cycle",
            f"={dma.bus_bytes_per_cycle} must not exceed max_request_bytes={dma.max_request_bytes}"
            " (a beat carries one request)",
        )


def _cache(name: str, cache: CacheSpec) -> Iterator[Problem]:
    yield from _power_of_two(f"{name}.line_bytes", cache.line_bytes)
    step = cache.ways * cache.line_bytes
    arithmetic = f"ways x line_bytes = {cache.ways} x {cache.line_bytes} = {step:,}"
    if cache.ways > MOST_WAYS:
        yield f"{name}.ways", f"={cache.ways} must be at most {MOST_WAYS}, which is what the simulator can count"
    elif cache.capacity_bytes < step:
        yield f"{name}.capacity_bytes", f"={cache.capacity_bytes:,} holds no set, which takes {arithmetic} bytes"
    elif cache.capacity_bytes % step:
        yield f"{name}.capacity_bytes", f"={cache.capacity_bytes:,} must be a multiple of {arithmetic}"
    if cache.capacity_bytes > MOST_LINES * cache.line_bytes:
        yield (
            f"{name}.capacity_bytes",
            f"={cache.capacity_bytes:,} is more than {MOST_LINES:,} lines of {cache.line_bytes}",
        )


def _l2(l2: L2Spec, dma: DmaSpec) -> Iterator[Problem]:
    yield from _cache("l2", l2)
    if dma.max_request_bytes > l2.line_bytes:
        yield (
            "dma.max_request_bytes",
            f"={dma.max_request_bytes} must not exceed l2.line_bytes={l2.line_bytes} (a request lies in one line)",
        )


def _llc(llc: CacheSpec) -> Iterator[Problem]:
    yield from _cache("llc", llc)


def _two_caches(l2: L2Spec, llc: CacheSpec) -> Iterator[Problem]:
    if llc.line_bytes < l2.line_bytes:
        yield (
            "llc.line_bytes",
            f"={llc.line_bytes} must not be less than l2.line_bytes={l2.line_bytes} (lines move between them)",
        )


def _pages(dram: DramSpec) -> Iterator[Problem]:
    if dram.pages is None:
        return
    for name in ("channels", "ranks", "banks", "rows", "page_bytes", "burst_bytes"):
        reason = "bits of the address choose among them"
        yield from _power_of_two(f"dram.pages.{name}", getattr(dram.pages, name), reason)


def _page(dram: DramSpec, fetched: int) -> Iterator[Problem]:
    if dram.pages is not None and dram.pages.page_bytes < fetched:
        yield "dram.pages.page_bytes", f"={dram.pages.page_bytes} cannot hold the {fetched} bytes fetched at once"


def _page_of_requests(dram: DramSpec, dma: DmaSpec) -> Iterator[Problem]:
    yield from _page(dram, dma.max_request_bytes)


def _page_of_lines(dram: DramSpec, l2: L2Spec) -> Iterator[Problem]:
    yield from _page(dram, l2.line_bytes)


def _vector(vector: VectorSpec) -> Iterator[Problem]:
    if len(set(vector.kernels)) < len(vector.kernels):
        yield "vector.kernels", f"repeated: {', '.join(vector.kernels)}"


def _unpack(unpack: UnpackSpec, array: ArraySpec) -> Iterator[Problem]:
    if unpack.scale_block & (unpack.scale_block - 1):
        yield "unpack.scale_block", f"={unpack.scale_block} must be a power of two"
        return
    if unpack.scale_bits and unpack.scales == "at_readout":
        yield (
            "unpack.scales",
            "=at_readout cannot apply a scale per block, which must come before the sum; set it to at_load",
        )
    for bits in unpack.bits if unpack.scale_bits else ():
        stored = unpack.stored_bits(bits)
        told = f"={unpack.scale_bits}: with scale_block={unpack.scale_block} a number of {bits} bits takes {stored:g}"
        if stored >= 8:
            yield "unpack.scale_bits", f"{told}, which is no less than a byte"
        elif array.cols * stored % 8:
            filled = f"{array.cols} of them fill {array.cols * stored / 8:g} bytes"
            yield "unpack.scale_bits", f"{told}, and {filled}; blocks of the array begin with a byte"


def _simd(simd: SimdSpec, accumulator: SramSpec) -> Iterator[Problem]:
    if len(set(simd.kernels)) < len(simd.kernels):
        yield "simd.kernels", f"repeated: {', '.join(simd.kernels)}"
    if simd.reads_per_cycle > accumulator.banks:
        yield (
            "simd.reads_per_cycle",
            f"={simd.reads_per_cycle} must not exceed accumulator.banks={accumulator.banks}, each of which gives a row",
        )


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Problem]]], ...] = (
    (("array",), _array),
    (("scratchpad", "array"), _scratchpad),
    (("accumulator", "array"), _accumulator),
    (("scratchpad", "accumulator", "array", "front_end"), _tiles),
    (("front_end",), _front_end),
    (("dma",), _dma),
    (("l2", "dma"), _l2),
    (("llc",), _llc),
    (("l2", "llc"), _two_caches),
    (("dram",), _pages),
    (("dram", "dma"), _page_of_requests),
    (("dram", "l2"), _page_of_lines),
    (("vector",), _vector),
    (("simd", "accumulator"), _simd),
    (("unpack", "array"), _unpack),
)
