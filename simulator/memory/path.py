"""Timed memory path behind the DMA: request slots, L2 hits and misses, MSHRs, DRAM bus.

    request ──► slot (16) ──► L2 tags ── hit ───────────────► beats on the 16-byte response bus
                                  └─ miss: MSHR (10) ─► DRAM latency ─► 8-byte beats ─► line

All requests of one command are handled in one call by recurrences over these resources; no event per request.
Whether a request hits was decided
by ``simulator.memory.traffic``. Mechanism and values: project notes on calibration, sections 1.2 and 1.7.
"""

from __future__ import annotations

import math
from heapq import heapreplace

from hwconfigs import HardwareSpec
from simulator.memory.traffic import EVICT, FETCH, LLC_HIT, MISS, CommandTraffic

RowLog = list[tuple[int, int]]
"""(time, on-chip rows written) in time order."""


class MemoryPath:
    """Shared resources of the memory system and the times at which they are free again [cycles]."""

    def __init__(self, spec: HardwareSpec) -> None:
        dma, dram, l2 = spec.dma, spec.dram, spec.l2
        self._dma = dma
        self._hit = l2.hit_cycles if l2 is not None else 0
        self._burst = l2.multi_beat_hit_cycles if l2 is not None else 0
        self._line_bytes = l2.line_bytes if l2 is not None else dma.max_request_bytes
        self._sets = max(1, l2.capacity_bytes // (l2.line_bytes * l2.ways)) if l2 is not None else 0
        self._release = l2.mshr_release_cycles if l2 is not None else 0
        self._latency = dram.request_cycles + dram.latency_cycles
        self._llc_latency = dram.request_cycles + spec.llc.hit_cycles if spec.llc is not None else self._latency
        self._cycles_per_byte = 1.0 / dram.bytes_per_cycle
        self._evict = dram.evict_cycles
        self._write_miss = round(dram.write_miss_cycles * (l2.mshrs if l2 is not None else 1))
        self._idle = dma.idle_beat_cycles
        self._slots = [0] * dma.max_in_flight
        self._write_slots = [0] * dma.max_in_flight
        self._mshrs = [0] * (l2.mshrs if l2 is not None else dma.max_in_flight)
        self._pending: dict[int, int] = {}
        self._next_request = 0
        self._bus_free = 0
        self._scaler = 0
        self._dram_free = 0.0
        self.dram_busy = 0.0
        """DRAM bus cycles used so far."""
        self.held_by_bus = 0
        self.held_by_slots = 0
        """Cycles by which loads were held up by the DRAM bus, and by request slots and miss entries."""

    def read(
        self, start: int, traffic: CommandTraffic, command: int, cycles_per_row: int, log: RowLog | None
    ) -> tuple[int, int]:
        """Handle all requests of one mvin.

        Parameters
        ----------
        start
            When the load controller starts the command [cycles].
        traffic, command
            Requests, and which command of them.
        cycles_per_row
            Write-port cycles per on-chip row; above 1 when the data are scaled.
        log
            Receives the rows written, for bank conflicts; None when nobody looks.

        Returns
        -------
        When the last beat arrives and the data-bus cycles used. [cycles]
        """
        low, high = traffic.first[command], traffic.first[command + 1]
        if low == high:
            return start + self._dma.issue_cycles, 0
        request = max(self._next_request, start + self._dma.issue_cycles)
        if traffic.hits_only[command] and self._hit:
            return self._read_hits(request, traffic, low, high, cycles_per_row, log)
        found = self._read_mixed(request, traffic, low, high, cycles_per_row, log)
        if log is not None:
            log.sort()
        return found

    def _read_hits(
        self,
        request: int,
        traffic: CommandTraffic,
        low: int,
        high: int,
        per_row: int,
        log: RowLog | None,
    ) -> tuple[int, int]:
        """All hits: the response bus, or one slot per request, is the only limit."""
        slots = self._slots
        if self._pending:
            horizon = max(self._pending.values())
            if horizon > request:
                return self._read_mixed(request, traffic, low, high, per_row, log)
            self._pending.clear()
        bus, hit, total, burst, first, port = self._bus_free, self._hit, 0, self._burst, 0, 0
        sizes, ports = traffic.size_bytes[low:high], traffic.port[low:high]
        for size, port, rows in zip(sizes, ports, traffic.rows[low:high], strict=True):
            slot = slots[0]
            if slot > request:
                self.held_by_slots += slot - request
                request = slot
            port = max(port, rows * per_row)
            occupied = self._occupied(size, port)
            if burst and size > self._dma.bus_bytes_per_cycle:
                occupied += burst
            first = request + hit
            if bus > first:
                first = bus
            bus = first + occupied
            total += occupied
            heapreplace(slots, bus)
            request += 1
            if log is not None:
                log.append((bus, rows))
        self._bus_free, self._next_request = bus, request
        return (bus - 1 if burst else first + port - 1), total

    def _occupied(self, size: int, port: int) -> int:
        """Cycles of one read on the response bus: its beats, or the rows they are merged into if that takes longer.

        Beats that follow the last wanted one have to be thrown away first.
        """
        beats = max(1, size // self._dma.bus_bytes_per_cycle)
        return port if port >= beats else beats + self._idle

    def _read_mixed(
        self,
        request: int,
        traffic: CommandTraffic,
        low: int,
        high: int,
        per_row: int,
        log: RowLog | None,
    ) -> tuple[int, int]:
        self._forget(request)
        slots, mshrs, pending = self._slots, self._mshrs, self._pending
        bus, hit, latest, total = self._bus_free, self._hit, 0, 0
        for at in range(low, high):
            if slots[0] > request:
                self.held_by_slots += slots[0] - request
                request = slots[0]
            size, code = traffic.size_bytes[at], traffic.code[at]
            rows = traffic.rows[at]
            port = max(traffic.port[at], rows * per_row)
            occupied = self._occupied(size, port)
            key = traffic.line[at] % self._sets if self._sets else -1
            if code & MISS:
                if self._sets and pending.get(key, 0) > request:
                    request = pending[key]
                if mshrs[0] > request:
                    self.held_by_slots += mshrs[0] - request
                    request = mshrs[0]
                end = self._fetch(request, code, size)
                last = max(end - 1 - self._early(size), request + hit + occupied - 1)
                heapreplace(mshrs, end + self._release)
                if self._sets:
                    pending[key] = end
                if per_row > 1:
                    last = self._scaler = max(last, self._scaler + occupied)
                bus = max(bus, request) + max(occupied, self._wormhole(size)) if self._sets else bus
            else:
                if self._burst and size > self._dma.bus_bytes_per_cycle:
                    occupied += self._burst
                first = max(request + hit, pending.get(key, 0), bus)
                bus = first + occupied
                last = bus - 1
            heapreplace(slots, last + 1)
            latest = max(latest, last)
            total += occupied
            if log is not None:
                log.append((last + 1, rows))
            request += 1
        self._bus_free, self._next_request = bus, request
        return latest, total

    def _forget(self, now: int) -> None:
        """Drop fetches that have long been complete."""
        if len(self._pending) > 4 * len(self._mshrs):
            self._pending = {key: time for key, time in self._pending.items() if time > now}

    def _wormhole(self, size: int) -> int:
        """Bus cycles of a fetched line that is passed on while it arrives: its beats come at DRAM pace. [cycles]"""
        return int(size * self._cycles_per_byte) if size == self._line_bytes else 0

    def _early(self, size: int) -> int:
        """Cycles by which a short request is served before its whole line has arrived. [cycles]"""
        return int((self._line_bytes - size) * self._cycles_per_byte) if self._sets else 0

    def _fetch(self, request: int, code: int, size: int) -> int:
        """Bring one line (or, without an L2, one request) from DRAM; when its last beat reaches the requester."""
        latency = self._llc_latency if code & LLC_HIT else self._latency
        wanted = self._line_bytes if self._sets else size
        transfer = wanted * self._cycles_per_byte
        first = max(float(request + latency), self._dram_free)
        self.held_by_bus += int(first) - request - latency
        self._dram_free = first + transfer + (self._evict if code & EVICT else 0.0)
        self.dram_busy += transfer
        return math.ceil(first + transfer) + self._hit + (1 if self._sets else 0)

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
        slots, pace = self._write_slots, duration / (high - low)
        now, acknowledged = start, start
        self._bus_free = max(self._bus_free, start) + sum(traffic.beats[low:high])
        for index, at in enumerate(range(low, high)):
            now = max(math.ceil(start + (index + 1) * pace), now, slots[0])
            acknowledged = max(acknowledged, self._accept(now, traffic, at))
            heapreplace(slots, acknowledged)
        return now, acknowledged

    def _accept(self, now: int, traffic: CommandTraffic, at: int) -> int:
        """One write that leaves the DMA now; when it is acknowledged. [cycles]"""
        code, size = traffic.code[at], traffic.size_bytes[at]
        acknowledge = now + self._hit + self._dma.write_ack_cycles
        if not self._sets:
            if not code & MISS:
                return acknowledge
            first = max(float(now), self._dram_free)
            self._dram_free = first + size * self._cycles_per_byte
            self.dram_busy += size * self._cycles_per_byte
            return math.ceil(self._dram_free) + self._dma.write_ack_cycles
        key = traffic.line[at] % self._sets
        if not code & MISS:
            return max(acknowledge, self._pending.get(key, 0) + self._dma.write_ack_cycles)
        entry = max(now, self._mshrs[0])
        if code & FETCH:
            end = self._fetch(entry, code, size)
            heapreplace(self._mshrs, end + self._release)
            self._pending[key] = end
            return end - int(self._line_bytes * self._cycles_per_byte) - 1 + self._dma.write_ack_cycles
        heapreplace(self._mshrs, entry + self._write_miss)
        return max(entry + self._hit, acknowledge) + 2 * self._dma.write_ack_cycles - 4
