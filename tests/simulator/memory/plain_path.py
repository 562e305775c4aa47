"""The memory path one request at a time, with dictionaries and heaps: what the recurrences must compute."""

from __future__ import annotations

import math
from heapq import heapreplace

from simulator.memory.ports import Limits
from simulator.memory.recurrences import (
    CONFLICT,
    DIRTY,
    FETCH,
    LLC_HIT,
    MISS,
    MOST_WAYS,
    ROW_HIT,
    ROW_STATES,
    SHARES,
    VALID_WAY,
)

Request = tuple[int, int, int, int, int, int, int]
"""Line, beats, bytes, outcome bits, on-chip rows, cycles until the last of them is written, place in the DRAM."""


class PlainPath:
    """Shared resources of the memory system and the times at which they are free again [cycles]."""

    def __init__(self, limits: Limits, in_flight: int, mshrs: int) -> None:
        self.limits = limits
        self.slots = [0] * in_flight
        self.write_slots = [0] * in_flight
        self.mshrs = [0] * mshrs
        self.pending: dict[int, int] = {}
        self.next_request = self.bus_free = self.scaler = self.held_by_bus = self.held_by_slots = 0
        self.dram_free = self.dram_busy = self.written_back = 0.0
        self.evictions = 0.5
        self.activated: dict[int, float] = {}
        self.accessed: dict[int, float] = {}
        self.columns: dict[int, list[float]] = {}

    def read(self, request: int, requests: list[Request], per_row: int) -> tuple[int, int, list[tuple[int, int]]]:
        """One mvin: last beat, bus cycles, and the rows written in time order."""
        request = max(request, self.next_request)
        log: list[tuple[int, int]] = []
        hits_only = not any(request[3] for request in requests)
        if hits_only and self.limits.hit and max(self.pending.values(), default=0) <= request:
            self.pending.clear()
            last, total = self._read_hits(request, requests, per_row, log)
        else:
            last, total = self._read_mixed(request, requests, per_row, log)
        return last, total, sorted(log)

    def _read_hits(
        self, request: int, requests: list[Request], per_row: int, log: list[tuple[int, int]]
    ) -> tuple[int, int]:
        limits, total, end = self.limits, 0, 0
        for _, _, size, _, rows, port, _ in requests:
            self.held_by_slots += max(0, self.slots[0] - request)
            request = max(request, self.slots[0])
            occupied = self._occupied(size, max(port, rows * per_row)) + limits.burst * (size > limits.bus_bytes)
            first = max(self.bus_free, request + limits.hit)
            self.bus_free = first + occupied
            end = self.bus_free if limits.burst else first + max(port, rows * per_row)
            total += occupied
            heapreplace(self.slots, self.bus_free + limits.slot_turn)
            request += 1
            log.append((self.bus_free, rows))
        self.next_request = request
        return end - 1, total

    def _occupied(self, size: int, port: int) -> int:
        beats = max(1, size // self.limits.bus_bytes)
        return port if port >= beats else beats + self.limits.idle

    def _read_mixed(
        self, request: int, requests: list[Request], per_row: int, log: list[tuple[int, int]]
    ) -> tuple[int, int]:
        if len(self.pending) > 4 * len(self.mshrs):
            self.pending = {key: time for key, time in self.pending.items() if time > request}
        limits, latest, total = self.limits, 0, 0
        for line, _, size, code, rows, port, place in requests:
            self.held_by_slots += max(0, self.slots[0] - request)
            request = max(request, self.slots[0])
            port = max(port, rows * per_row)
            occupied, unwanted = self._occupied(size, port), 0
            key = line % limits.sets if limits.sets else -1
            if code & MISS:
                request = max(request, self.pending.get(key, 0))
                self.held_by_slots += max(0, self.mshrs[0] - request)
                request = max(request, self.mshrs[0])
                held = self.held_by_bus
                end = self._fetch(request, code, size, place)
                late = self._acknowledged_late(code) if self.held_by_bus > held else 0
                spare = max(0, size // limits.bus_bytes - port) if per_row == 1 else 0
                unwanted = int(spare * limits.bus_bytes * limits.cycles_per_byte)
                early = int((limits.line_bytes - size) * limits.cycles_per_byte) if limits.sets else 0
                last = max(end - 1 - early, request + limits.hit + occupied - 1)
                heapreplace(self.mshrs, end + limits.release)
                if limits.sets:
                    self.pending[key] = end + late
                    paced = int(size * limits.cycles_per_byte) if size == limits.line_bytes else 0
                    self.bus_free = max(self.bus_free, request) + max(occupied, paced)
                if per_row > 1:
                    last = self.scaler = max(last, self.scaler + occupied)
                if not limits.sets:
                    self.bus_free = max(self.bus_free, last + 1 - occupied) + occupied
                    last = self.bus_free - 1
            else:
                occupied += limits.burst * (size > limits.bus_bytes)
                self.bus_free = max(request + limits.hit, self.pending.get(key, 0), self.bus_free) + occupied
                last, unwanted = self.bus_free - 1, 0 if limits.burst else occupied - port
            heapreplace(self.slots, last + 1 + limits.slot_turn)
            latest = max(latest, last - unwanted)
            total += occupied
            log.append((last + 1 - unwanted * bool(code & MISS), rows))
            request += 1
        self.next_request = request
        return latest, total

    def _fetch(self, request: int, code: int, size: int, place: int) -> int:
        limits = self.limits
        wanted = limits.line_bytes if limits.sets else size
        transfer = wanted * limits.cycles_per_byte
        ready = float(request + limits.llc_latency)
        if not code & LLC_HIT:
            ready = self._first_data(request + limits.latency, wanted, place)
        first = max(ready, self.dram_free)
        self.held_by_bus += int(first - ready)
        self.dram_free = first + transfer + limits.evict * (code // VALID_WAY % MOST_WAYS)
        self.dram_busy += transfer
        return math.ceil(first + transfer) + limits.hit + bool(limits.sets)

    def _first_data(self, arrival: float, size: int, place: int) -> float:
        """When the device delivers: an activation, if the row is not open, then a column access in turn."""
        pages = self.limits.pages
        if not pages.banks:
            return arrival
        bank, state = divmod(place, ROW_STATES)
        ends = self.columns.setdefault(bank // pages.banks, [])
        seen = max(arrival, ends[-2 * pages.window] if len(ends) >= 2 * pages.window else 0.0)
        last_row = self.activated.get(bank, -math.inf)
        if state == CONFLICT:
            seen = max(seen, last_row + pages.ras, self.accessed.get(bank, -math.inf)) + pages.rp
        if state != ROW_HIT:
            self.activated[bank] = max(seen, last_row + pages.rc)
            seen = self.activated[bank] + pages.rcd
        column = max(seen, ends[-1] if ends else 0.0)
        self.accessed[bank] = column + pages.burst * max(1, size // pages.burst_bytes)
        # The beginning and the end of every column access of the channel.
        ends += [column, self.accessed[bank]]
        return column + pages.cl

    def _acknowledged_late(self, code: int) -> int:
        if not self.limits.release_ack:
            return 0
        self.evictions += (code // VALID_WAY % MOST_WAYS) / self.limits.ways
        if self.evictions < 1.0:
            return 0
        self.evictions -= 1.0
        return self.limits.release_ack

    def write(self, start: int, requests: list[Request], duration: int) -> tuple[int, int]:
        """One mvout: when the last data left, and when the last write is acknowledged."""
        pace, now, acknowledged = duration / len(requests), start, start
        self.bus_free = max(self.bus_free, start) + sum(request[1] for request in requests)
        for index, (line, _, size, code, _, _, place) in enumerate(requests):
            now = max(math.ceil(start + (index + 1) * pace), now, self.write_slots[0])
            acknowledged = max(acknowledged, self._accept(now, line, size, code, place))
            heapreplace(self.write_slots, acknowledged)
        codes = [request[3] for request in requests if request[3] & MISS]
        if self.limits.sets and codes:
            again = (
                (self.limits.latency + self.limits.pages.cl) * sum(bool(code & FETCH) for code in codes) / len(codes)
            )
            dirty = min(1.0, sum(code // DIRTY / SHARES for code in codes))
            acknowledged += math.floor(dirty * (self.limits.write_back + again) + 0.5) if self.limits.write_back else 0
        return now, acknowledged

    def _accept(self, now: int, line: int, size: int, code: int, place: int) -> int:
        limits = self.limits
        acknowledge = now + limits.hit + limits.write_ack
        if not limits.sets:
            if not code & MISS:
                return acknowledge
            self.dram_free = max(self._first_data(now, size, place), self.dram_free) + size * limits.cycles_per_byte
            self.dram_busy += size * limits.cycles_per_byte
            return math.ceil(self.dram_free) + limits.write_ack
        key = line % limits.sets
        if not code & MISS:
            return max(acknowledge, self.pending.get(key, 0) + limits.write_ack)
        entry = max(now, self.mshrs[0])
        if code & FETCH:
            end = self._fetch(entry, code, size, place)
            heapreplace(self.mshrs, end + limits.release)
            self.pending[key] = end
            return end - int(limits.line_bytes * limits.cycles_per_byte) - 1 + limits.write_ack
        dirty = code // DIRTY / SHARES
        heapreplace(self.mshrs, entry + limits.write_miss + math.floor(limits.write_back_hold * dirty + 0.5))
        self.written_back = max(float(entry), self.written_back) + limits.write_back * dirty
        if dirty:
            entry = math.ceil(self.written_back)
        return max(entry + limits.hit, acknowledge) + 2 * limits.write_ack - 3
