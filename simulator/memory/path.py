"""Timed memory path behind the DMA: request slots, L2 hits and misses, MSHRs, DRAM bus.

    request ──► slot (16) ──► L2 tags ── hit ───────────────► beats on the 16-byte response bus
                                  └─ miss: MSHR (10) ─► DRAM latency ─► 8-byte beats ─► line

All requests of one command are handled in one call by recurrences over these resources
(``simulator.memory.recurrences``); no event per request. Whether a request hits was decided by
``simulator.memory.traffic``. Mechanism and values: project notes on calibration, sections 1.2 and 1.7. Which way a miss
replaces is random in the RTL and not known here, so what an eviction costs is charged at its expectation: by the valid
ways of the set, and by the share of dirty lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwconfigs import HardwareSpec
from simulator.memory import recurrences
from simulator.memory.recurrences import HELD_BY_BUS, HELD_BY_SLOTS, NEXT_REQUEST, Limits, Ports
from simulator.memory.traffic import CommandTraffic

RowLog = NDArray[np.int64]
"""When rows are written on chip, and how many (2 x writes), in time order."""


class MemoryPath:
    """Shared resources of the memory system and the times at which they are free again [cycles]."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._dma = spec.dma
        self._limits = limits_of(spec)
        self._ports = idle_ports(spec, self._limits)
        self._log = np.empty((2, 64), dtype=np.int64)

    @property
    def held_by_bus(self) -> int:
        """Cycles by which loads were held up by the DRAM bus."""
        return int(self._ports.cycles[HELD_BY_BUS])

    @property
    def held_by_slots(self) -> int:
        """Cycles by which loads were held up by request slots and miss entries."""
        return int(self._ports.cycles[HELD_BY_SLOTS])

    def read(self, start: int, traffic: CommandTraffic, command: int, cycles_per_row: int) -> tuple[int, int, RowLog]:
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
        When the last beat arrives, the data-bus cycles used [cycles], and the rows written, for bank conflicts.
        """
        low, high = traffic.first[command], traffic.first[command + 1]
        start += self._dma.issue_cycles
        if low == high:
            return start, 0, self._log[:, :0]
        if high - low > self._log.shape[1]:
            self._log = np.empty((2, 2 * (high - low)), dtype=np.int64)
        request = max(int(self._ports.cycles[NEXT_REQUEST]), start)
        last, busy = recurrences.read(
            self._limits,
            self._ports,
            traffic.table,
            low,
            high,
            request,
            cycles_per_row,
            traffic.hits_only[command],
            self._log,
        )
        return int(last), int(busy), self._log[:, : high - low]

    def write(self, start: int, traffic: CommandTraffic, command: int, duration: int) -> tuple[int, int]:
        """Handle all writes of one mvout whose data leave between ``start`` and ``start + duration``.

        A write that covers its line needs no fetch; its eviction takes DRAM bus time. A narrower one that misses
        fetches the line first.

        Returns
        -------
        When the last data left the DMA and when the last write is acknowledged. [cycles]
        """
        low, high = traffic.first[command], traffic.first[command + 1]
        if low == high:
            return start + duration, start + duration
        now, acknowledged = recurrences.write(self._limits, self._ports, traffic.table, low, high, start, duration)
        return int(now), int(acknowledged)


def limits_of(spec: HardwareSpec) -> Limits:
    """The memory path of a machine in numbers; without an L2 every request goes to DRAM."""
    dma, dram, l2 = spec.dma, spec.dram, spec.l2
    latency = dram.request_cycles + dram.latency_cycles
    return Limits(
        sets=max(1, l2.capacity_bytes // (l2.line_bytes * l2.ways)) if l2 is not None else 0,
        line_bytes=l2.line_bytes if l2 is not None else dma.max_request_bytes,
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
    )


def idle_ports(spec: HardwareSpec, limits: Limits) -> Ports:
    """Everything free."""
    slots, mshrs = spec.dma.max_in_flight, spec.l2.mshrs if spec.l2 is not None else spec.dma.max_in_flight
    lengths = (slots, slots, mshrs, max(1, limits.sets), max(1, limits.sets), len(recurrences.CYCLES))
    read, write, misses, sets, keys, cycles = (np.zeros(length, dtype=np.int64) for length in lengths)
    return Ports(read, write, misses, sets, keys, cycles, np.zeros(3))
