"""The one clock: SimPy's environment with time in whole accelerator cycles."""

from __future__ import annotations

import simpy


class Clock(simpy.Environment):
    """SimPy environment whose time is an integer number of cycles."""

    @property
    def now(self) -> int:
        """Current cycle."""
        return self._now  # type: ignore[return-value]

    def passes(self, cycles: int) -> bool:
        """Let time pass at once if nothing is due until then, else change nothing: the caller has to wait for it.

        It saves the event of a process that would be the next to go on anyway.
        """
        end = self._now + cycles
        if self._queue and self._queue[0][0] <= end:
            return False
        self._now = end
        return True
