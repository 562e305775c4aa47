"""A matmul that is tried in the caches as they are: what its simulation says, and the rest when somebody asks.

A simulation that another run made needs no program. Of the many that a contest tries one runs in the end; only that one
has to put its requests through the caches then.
"""

from __future__ import annotations

from hwconfigs import HardwareSpec
from mapper.lowering.repeated_program import MatmulInstance
from simulator.fast_forward.memory_times import KnownTimes, WorkTimes
from simulator.machine import PreparedProgram, prepare
from simulator.memory.request_stream import MemoryState
from simulator.report import Counts, Report


class MatmulTrial:
    """A program beside the caches that it would find.

    Parameters
    ----------
    before
        The caches; they stay as they are, and must not change as long as this is in use.
    """

    def __init__(self, instance: MatmulInstance, spec: HardwareSpec, before: MemoryState) -> None:
        self._instance: MatmulInstance | None = instance
        self._spec, self._before = spec, before
        self._prepared: tuple[MemoryState, PreparedProgram] | None = None
        self._ended: tuple[MemoryState, WorkTimes] | None = None
        self._report: Report | None = None
        self.is_confirmed = False
        """The report is that of the default simulation."""

    def prepared(self) -> PreparedProgram:
        """Return the program with its requests put through a copy of the caches."""
        if self._prepared is None:
            assert self._instance is not None, "a trial that has ended forgets its program"
            after = self._before.copy()
            self._prepared = after, prepare(self._instance.program, self._spec, after, timed=True)
        return self._prepared[1]

    def simulated(self) -> Report:
        """Return the default simulation."""
        return self.prepared().simulate()

    def tell(self, report: Report, *, is_confirmed: bool) -> None:
        """Hear what the simulation says; with the last word on it the program, which may be long, is forgotten."""
        self._report, self.is_confirmed = report, is_confirmed
        if is_confirmed:
            self.forget_program()

    @property
    def has_program(self) -> bool:
        """Whether the program was put through the caches and is still there to be simulated again."""
        return self._prepared is not None

    def forget_program(self) -> None:
        """Keep of the program what is left to ask for: its memory times, and the caches behind it."""
        if self._prepared is not None:
            self._end()

    def _end(self) -> tuple[MemoryState, WorkTimes]:
        if self._ended is None:
            prepared = self.prepared()
            assert self._prepared is not None
            self._ended = self._prepared[0], times_of(prepared)
            self._prepared = self._instance = None
        return self._ended

    @property
    def report(self) -> Report:
        """What the simulation says."""
        assert self._report is not None
        return self._report

    @property
    def counts(self) -> Counts:
        """Actions of the program."""
        return self.report.counts

    @property
    def after(self) -> MemoryState:
        """The caches after the program."""
        return self._end()[0]

    @property
    def memory_times(self) -> WorkTimes:
        """Memory times of its works."""
        return self._end()[1]


def times_of(prepared: PreparedProgram) -> WorkTimes:
    """Return the memory times of a program; only of short ones they are left to be found when asked."""
    return prepared.memory_times if prepared.traffic.is_short else KnownTimes(prepared.memory_times.all())
