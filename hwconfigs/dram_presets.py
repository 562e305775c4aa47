"""Pages, banks and times of DRAM by speed bin: names that ``dram.pages`` of a machine may be set to.

A preset is a channel of 64 bits made of eight devices (DDR), or what one package of the kind has (LPDDR4, HBM2). The
values are recalled from the standards and from data sheets, not checked against their text; the source says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_INTERLEAVED = ["row", "rank", "bank", "column", "channel"]


class DramPreset(NamedTuple):
    """A ``dram.pages`` section and where it comes from."""

    values: Mapping[str, object]
    """Keys and values as a machine file has them; every field, so that nothing of another section stays behind."""
    source: str


def _pages(
    organisation: tuple[int, int, int, int], burst: tuple[int, str], cl: str, rcd: str, rp: str, ras: str, rc: str
) -> dict[str, object]:
    """Return a section: channels, banks, rows and bytes of a page; bytes and time of a burst; times."""
    channels, banks, rows, page = organisation
    return {
        "channels": channels, "ranks": 1, "banks": banks, "rows": rows, "page": page, "burst": burst[0],
        "t_burst": burst[1], "t_cl": cl, "t_rcd": rcd, "t_rp": rp, "t_ras": ras, "t_rc": rc, "window": 8,
        "mapping": _INTERLEAVED,
    }  # fmt: skip


PRESETS: Mapping[str, DramPreset] = {
    "DDR3-1600": DramPreset(
        _pages((1, 8, 65536, 8192), (64, "5 ns"), "13.75 ns", "13.75 ns", "13.75 ns", "35 ns", "48.75 ns"),
        "JESD79-3, speed bin DDR3-1600K (11-11-11), eight x8 devices of 4 Gbit; recalled",
    ),
    "DDR4-2400": DramPreset(
        _pages((1, 16, 32768, 8192), (64, "3.333 ns"), "13.32 ns", "13.32 ns", "13.32 ns", "32 ns", "45.32 ns"),
        "JESD79-4, speed bin DDR4-2400R (16-16-16), eight x8 devices of 4 Gbit, tCCD_S between all bursts; recalled",
    ),
    "LPDDR4-3200": DramPreset(
        _pages((2, 8, 32768, 2048), (32, "5 ns"), "17.5 ns", "18 ns", "18 ns", "42 ns", "60 ns"),
        "JESD209-4, 3200 MT/s, one die of two 16-bit channels of 4 Gbit, read latency of 28 clocks, tRPpb; recalled",
    ),
    "HBM2": DramPreset(
        _pages((16, 16, 16384, 1024), (32, "2 ns"), "14 ns", "14 ns", "14 ns", "33 ns", "47 ns"),
        "JESD235, a stack of 16 pseudo channels of 64 bits at 2 Gbit/s per pin, 4 GiB; the standard leaves the core's"
        " times to the vendor, these are common ones; recalled",
    ),
}
"""Presets by name."""
