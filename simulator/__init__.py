"""The machine: programs, units, memories, and the reports of what they did."""

from __future__ import annotations
