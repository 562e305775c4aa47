"""Timed memory path behind the DMA: request slots, L2 hits and misses, MSHRs, DRAM bus.

    request ──► slot (16) ──► L2 tags ── hit ───────────────► beats on the 16-byte response bus
                                  └─ miss: MSHR (10) ─► DRAM latency ─► 8-byte beats ─► line

All requests of one command are handled in one call by recurrences over these resources
(``simulator.memory.recurrences``); no event per request. Whether a request hits was decided by
``simulator.memory.request_stream``. Mechanism and values: project notes on calibration, sections 1.2 and 1.7. Which
way a miss replaces is random in the RTL and not known here, so what an eviction costs is charged at its expectation:
by the valid ways of the set, and by the share of dirty lines.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwconfigs import DramSpec, HardwareSpec
from simulator.arrays import Ints
from simulator.memory import recurrences
from simulator.memory.compiled import is_compiled
from simulator.memory.ports import Constants, Limits, Pages, Ports, Shared, record_of
from simulator.memory.traffic import CommandTraffic

RowLog = Ints
"""When rows are written on chip, and how many (2 x writes), in time order."""


class Loaded(NamedTuple):
    """One mvin."""

    last: int
    """When its last beat arrives [cycles]."""
    busy: int
    """Data-bus cycles used."""
    queued: int
    """Cycles in which the DRAM bus is taken for its lines, beyond those in which their beats are passed on."""
    held_by_slots: int
    """Cycles by which its requests were held up by request slots and miss entries."""
    log: RowLog
    """The rows written, for bank conflicts."""


class Arguments:
    """The memory path of one run as its recurrences take it: what it is like, and its ports, all idle at first."""

    def __init__(self, spec: HardwareSpec) -> None:
        self.limits = limits_of(spec)
        self.ports = idle_ports(spec, self.limits)
        self.shared: Shared = (*self.ports,)
        self._plain, self._record = (self.limits,), record_of(self.limits)

    @property
    def constants(self) -> Constants:
        """The limits in the form that the recurrences need as they are now: they may be compiled in mid-run."""
        return self._record if is_compiled(recurrences.read) else self._plain


class MemoryPath:
    """Shared resources of the memory system and the times at which they are free again [cycles]."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._dma, self._dram = spec.dma, spec.dram
        self._arguments = Arguments(spec)
        transfer = spec.line_bytes / spec.dram.bytes_per_cycle
        self._bus_per_fetch = 1.0 + spec.dram.evict_cycles / transfer
        """DRAM bus cycles per cycle in which it brings lines, evictions of full sets included."""
        self._log = np.empty((2, 64), dtype=np.int64)
        self.acknowledged = 0
        """When the last write so far is acknowledged [cycles]."""

    def read(self, start: int, traffic: CommandTraffic, command: int, cycles_per_row: int) -> Loaded:
        """Handle all requests of one mvin.

        Parameters
        ----------
        start
            When the load controller starts the command [cycles].
        traffic, command
            Requests, and which command of them.
        cycles_per_row
            Write-port cycles per on-chip row; above 1 when the data are scaled.

        Returns
        -------
        When the last beat arrives, and what happened until then.
        """
        low, high = traffic.first[command], traffic.first[command + 1]
        start += self._dma.issue_cycles
        if low == high:
            return Loaded(start, 0, 0, 0, self._log[:, :0])
        if high - low > self._log.shape[1]:
            self._log = np.empty((2, 2 * (high - low)), dtype=np.int64)
        last, busy, fetched, by_slots = recurrences.read(
            self._arguments.constants,
            self._arguments.shared,
            traffic.table,
            low,
            high,
            start,
            cycles_per_row,
            traffic.hits_only[command],
            self._log,
        )
        queued = self._queued(int(busy), int(fetched)) if fetched else 0
        return Loaded(int(last), int(busy), queued, int(by_slots), self._log[:, : high - low])

    def _queued(self, busy: int, fetched: int) -> int:
        """Return the DRAM bus cycles of a command beyond the data beats under them."""
        passed_on = fetched * self._dram.bytes_per_cycle / self._dma.bus_bytes_per_cycle
        queued = fetched * self._bus_per_fetch - (passed_on if passed_on < busy else busy)
        return round(queued) if queued > 0 else 0

    def write(self, start: int, traffic: CommandTraffic, command: int, duration: int) -> int:
        """Handle all writes of one mvout whose data leave between ``start`` and ``start + duration``.

        A write that covers its line needs no fetch; its eviction takes DRAM bus time. A narrower one that misses
        fetches the line first.

        Returns
        -------
        When the last data left the DMA; ``acknowledged`` then covers these writes. [cycles]
        """
        low, high = traffic.first[command], traffic.first[command + 1]
        if low == high:
            self.acknowledged = max(self.acknowledged, start + duration)
            return start + duration
        now, acknowledged = recurrences.write(
            self._arguments.constants, self._arguments.shared, traffic.table, low, high, start, duration
        )
        self.acknowledged = max(self.acknowledged, int(acknowledged))
        return int(now)


def limits_of(spec: HardwareSpec) -> Limits:
    """The memory path of a machine in numbers; without an L2 every request goes to DRAM."""
    dma, dram, l2 = spec.dma, spec.dram, spec.l2
    latency = dram.request_cycles + dram.latency_cycles
    return Limits(
        sets=max(1, l2.capacity_bytes // (l2.line_bytes * l2.ways)) if l2 is not None else 0,
        line_bytes=spec.line_bytes,
        hit=l2.hit_cycles if l2 is not None else 0,
        burst=l2.multi_beat_hit_cycles if l2 is not None else 0,
        release=l2.mshr_release_cycles if l2 is not None else 0,
        latency=latency,
        llc_latency=dram.request_cycles + spec.llc.hit_cycles if spec.llc is not None else latency,
        cycles_per_byte=1.0 / dram.bytes_per_cycle,
        evict=dram.evict_cycles / (l2.ways if l2 is not None else 1),
        write_miss=round(dram.write_miss_cycles * (l2.mshrs if l2 is not None else 1)),
        idle=dma.idle_beat_cycles,
        bus_bytes=dma.bus_bytes_per_cycle,
        write_ack=dma.write_ack_cycles,
        slot_turn=dma.slot_turn_cycles,
        write_back=float(dram.write_back_cycles),
        write_back_hold=float(dram.write_back_hold_cycles),
        ways=l2.ways if l2 is not None else 1,
        release_ack=l2.release_ack_cycles if l2 is not None else 0,
        pages=_pages_of(dram),
    )


def _pages_of(dram: DramSpec) -> Pages:
    """The banks of the DRAM in numbers."""
    pages = dram.pages
    if pages is None:
        return Pages(0, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1)
    return Pages(
        banks=pages.ranks * pages.banks,
        burst_bytes=pages.burst_bytes,
        burst=pages.t_burst_cycles,
        cl=pages.t_cl_cycles,
        rcd=pages.t_rcd_cycles,
        rp=pages.t_rp_cycles,
        ras=pages.t_ras_cycles,
        rc=pages.t_rc_cycles,
        window=pages.window,
    )


def first_data_cycles(spec: HardwareSpec) -> int:
    """From a request that misses until its first data are there, when nothing else is under way. [cycles]"""
    limits = limits_of(spec)
    return limits.latency + limits.hit


def idle_ports(spec: HardwareSpec, limits: Limits) -> Ports:
    """Everything free."""
    slots, mshrs = spec.dma.max_in_flight, spec.l2.mshrs if spec.l2 is not None else spec.dma.max_in_flight
    lengths = (slots, slots, mshrs, max(1, limits.sets), max(1, limits.sets), len(recurrences.CYCLES))
    read, write, misses, sets, keys, cycles = (np.zeros(length, dtype=np.int64) for length in lengths)
    # Half an eviction ahead: after n lines that evict with chance p, the nearest whole number to n p has been charged.
    pages = spec.dram.pages
    banks = np.full((2, pages.all_banks if pages is not None else 0), -math.inf)
    columns = np.zeros((pages.channels if pages is not None else 0, limits.pages.window + 2))
    return Ports(read, write, misses, sets, keys, cycles, np.array([0.0, 0.0, 0.0, 0.5]), banks, columns)
