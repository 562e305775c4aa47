"""The one clock: SimPy's environment with time in whole accelerator cycles."""

from __future__ import annotations

import simpy


class Clock(simpy.Environment):
    """SimPy environment whose time is an integer number of cycles."""

    @property
    def now(self) -> int:
        """Current cycle."""
        return self._now  # type: ignore[return-value]
