"""The memory stream of a program: requests in program order, replayed through the caches.

Which request hits depends only on this order (loads of a loop come before the stores of the loop ahead of it, as the
double buffering
issues them), so the estimate and the simulation of one mapping count the same DRAM traffic; only its timing is
simulated.
A line that turns dirty is charged one write-back, whenever it leaves the cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwconfigs import HardwareSpec
from simulator.compiled import use
from simulator.memory import recurrences
from simulator.memory.cache import CacheState
from simulator.memory.recurrences import EVICT, FETCH, LLC_HIT, MISS
from simulator.program import HostTask, Region
from simulator.units.requests import Requests, row_writes, split_rows
from simulator.units.unroller import row_segments
from simulator.units.work import Loads, Stores, Work

Ints = NDArray[np.int64]


class MemoryState:
    """Contents of the caches between programs; cold when new: full of other programs' lines, or empty as after
    reset."""

    def __init__(self, spec: HardwareSpec, *, empty: bool = False, foreign: float = 1.0) -> None:
        self.l2 = CacheState(spec.l2, empty=empty, foreign=foreign) if spec.l2 is not None else None
        self.llc = CacheState(spec.llc, empty=empty, foreign=foreign) if spec.llc is not None else None

    def copy(self) -> MemoryState:
        """An independent state with the same contents."""
        other = MemoryState.__new__(MemoryState)
        other.l2 = None if self.l2 is None else self.l2.copy()
        other.llc = None if self.llc is None else self.llc.copy()
        return other


@dataclass(frozen=True, eq=False)
class CommandTraffic:
    """Requests of the loads (or stores) of one work: ``first[c]:first[c + 1]`` belong to command ``c``.

    The lists that the units walk through are made when a unit first asks for them, which it never does for works that
    are passed over.
    """

    columns: NDArray[np.int64]
    """A request table: rows as named in ``simulator.memory.recurrences``."""
    starts: Ints
    misses: int
    """Requests that miss the L2."""

    @cached_property
    def first(self) -> list[int]:
        """Where each command's requests start, and the end."""
        return self.starts.tolist()  # type: ignore[no-any-return]

    @cached_property
    def beats(self) -> list[int]:
        """Bus beats of each request [cycles]."""
        return self.columns[1].tolist()  # type: ignore[no-any-return]

    @cached_property
    def hits_only(self) -> list[bool]:
        """Per command: every request hits."""
        missed = np.concatenate(([0], np.cumsum(self.columns[3] != 0)))
        return (missed[self.starts[1:]] == missed[self.starts[:-1]]).tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Everything a program moves over the memory port."""

    loads: list[CommandTraffic]
    stores: list[CommandTraffic]
    counts: dict[tuple[str, str], int]


@dataclass(slots=True)
class _Piece:
    requests: Requests
    commands: int
    write: bool
    dma: bool
    whole: NDArray[np.bool_]
    rows: Ints
    port: Ints


def trace(steps: Iterable[Work | HostTask | None], spec: HardwareSpec, memory: MemoryState) -> Traffic:
    """List all requests of a program and replay them through the caches of ``memory``, which is advanced.

    Parameters
    ----------
    steps
        Works and host tasks in program order; None is a fence.
    """
    pieces: list[_Piece] = []
    waiting: _Piece | None = None
    for step in steps:
        if isinstance(step, Work):
            pieces.append(_command_piece(step.loads, spec, write=False))
            if waiting is not None:
                pieces.append(waiting)
            waiting = _command_piece(step.stores, spec, write=True)
            continue
        if waiting is not None:
            pieces.append(waiting)
            waiting = None
        if step is not None:
            pieces.extend(_host_piece(region, spec, write=False) for region in step.reads)
            pieces.extend(_host_piece(region, spec, write=True) for region in step.writes)
    if waiting is not None:
        pieces.append(waiting)
    return _replay(pieces, spec, memory)


def _command_piece(commands: Loads | Stores, spec: HardwareSpec, *, write: bool) -> _Piece:
    segments = row_segments(commands.base, commands.rows, commands.size_bytes, commands.stride)
    requests = split_rows(segments.address, segments.size_bytes, spec.dma)
    owner = Requests(segments.command[requests.row], requests.address, requests.size_bytes, requests.beats)
    line = spec.dma.max_request_bytes
    aligned = (segments.address % line == 0) & (segments.size_bytes % line == 0)
    row_bytes = _row_bytes(commands, spec) if isinstance(commands, Loads) else np.full(len(commands.base), line)
    rows, port = row_writes(
        requests,
        segments.address[requests.row],
        segments.size_bytes[requests.row],
        row_bytes[owner.row],
        spec.dma.bus_bytes_per_cycle,
    )
    return _Piece(owner, len(commands.base), write, True, aligned[requests.row], rows, port)


def _row_bytes(loads: Loads, spec: HardwareSpec) -> Ints:
    """Bytes of the on-chip rows that each load writes; int8 data in the accumulator come in blocks of the array."""
    narrow, wide = spec.scratchpad.row_bytes, spec.accumulator.row_bytes
    blocks = np.array(loads.local_rows, dtype=np.int64) // spec.array.rows
    full = np.array(loads.to_accumulator, dtype=bool) & (loads.size_bytes >= blocks * wide)
    return np.where(full, wide, narrow)


def _host_piece(region: Region, spec: HardwareSpec, *, write: bool) -> _Piece:
    """Lines of a range that the host core touches once each."""
    line = spec.dma.max_request_bytes
    first, last = region.address // line, -(-(region.address + region.size_bytes) // line)
    address = np.arange(first, last, dtype=np.int64) * line
    zeros = np.zeros(len(address), dtype=np.int64)
    size = np.full(len(address), line, dtype=np.int64)
    requests = Requests(zeros, address, size, size // spec.dma.bus_bytes_per_cycle)
    ones = np.ones(len(address), dtype=bool)
    return _Piece(requests, 0, write, False, ones, zeros, zeros)


def _replay(pieces: list[_Piece], spec: HardwareSpec, memory: MemoryState) -> Traffic:
    """Outcome of every request and the totals."""
    bounds = np.cumsum([0] + [len(piece.requests) for piece in pieces])
    use(int(bounds[-1]), recurrences)
    address = _join([piece.requests.address for piece in pieces])
    size = _join([piece.requests.size_bytes for piece in pieces])
    writes = np.repeat(np.array([piece.write for piece in pieces], dtype=bool), np.diff(bounds))
    whole = np.concatenate([piece.whole for piece in pieces]) if pieces else np.zeros(0, dtype=bool)
    code, counts = _outcomes(address, size, writes, whole, spec, memory)
    loads: list[CommandTraffic] = []
    stores: list[CommandTraffic] = []
    for piece, start, end in zip(pieces, bounds[:-1], bounds[1:], strict=True):
        if piece.dma:
            target = stores if piece.write else loads
            target.append(_command_traffic(piece, code[start:end], spec))
            action = "write" if piece.write else "read"
            _add(counts, "dma", f"{action}_request", int(end - start))
            _add(counts, "dma", f"{action}_beat", int(piece.requests.beats.sum()))
    return Traffic(loads, stores, counts)


def _outcomes(
    address: Ints,
    size: Ints,
    writes: NDArray[np.bool_],
    whole: NDArray[np.bool_],
    spec: HardwareSpec,
    memory: MemoryState,
) -> tuple[Ints, dict[tuple[str, str], int]]:
    counts: dict[tuple[str, str], int] = {}
    if memory.l2 is None:
        _add(counts, "dram", "read_byte", int(size[~writes].sum()))
        _add(counts, "dram", "write_byte", int(size[writes].sum()))
        return np.where(writes, MISS, MISS | FETCH), counts
    line_bytes = memory.l2.spec.line_bytes
    lines = address // line_bytes
    outcome = memory.l2.replay(lines, writes, whole)
    code = (~outcome.hit) * MISS + outcome.evicted * EVICT + outcome.fetched * FETCH
    _add(counts, "l2", "read", int((~writes).sum()))
    _add(counts, "l2", "write", int(writes.sum()))
    _add(counts, "l2", "fill", int(outcome.fetched.sum()))
    fetched = int(outcome.fetched.sum())
    if memory.llc is not None:
        missed = np.flatnonzero(outcome.fetched)
        plain = np.zeros(len(missed), dtype=bool)
        second = memory.llc.replay(lines[missed], plain, plain)
        code[missed[second.hit]] += LLC_HIT
        _add(counts, "llc", "read", len(missed))
        _add(counts, "llc", "fill", int(second.fetched.sum()))
        fetched = int(second.fetched.sum())
    _add(counts, "dram", "read_byte", line_bytes * fetched)
    _add(counts, "dram", "write_byte", line_bytes * int(outcome.dirtied.sum()))
    return code.astype(np.int64), counts


def _command_traffic(piece: _Piece, code: Ints, spec: HardwareSpec) -> CommandTraffic:
    requests = piece.requests
    line = spec.l2.line_bytes if spec.l2 is not None else spec.dma.max_request_bytes
    columns = np.stack([requests.address // line, requests.beats, requests.size_bytes, code, piece.rows, piece.port])
    starts = np.searchsorted(requests.row, np.arange(piece.commands + 1))
    return CommandTraffic(columns, starts, int(np.count_nonzero(code & MISS)))


def _join(columns: list[Ints]) -> Ints:
    return np.concatenate(columns) if columns else np.zeros(0, dtype=np.int64)


def _add(counts: dict[tuple[str, str], int], unit: str, action: str, number: int) -> None:
    counts[unit, action] = counts.get((unit, action), 0) + number
