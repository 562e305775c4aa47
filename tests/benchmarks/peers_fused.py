"""Fused groups and blocks on the machine of the peers' measurements: ours beside AccelForge's optima.

    OMP_NUM_THREADS=1 python tests/benchmarks/peers_fused.py [FILE] [--time-peer PYTHON]

FILE has the form of tests/reference/peers_fused.json, which is the default. Points that the machine could run (rows
whole where they are normalised, no one-byte partial sums) are searched under its own rules and gated: exit code 1 if
one of them has a lower EDP than ours. The others are searched under the rules that their mappings need and printed
beside. Points with an error or of an unknown kind are skipped with the reason. CPU seconds are those of the search
without import: ours here, theirs from the file. The sums of AccelForge's groups for a whole block follow, and what our
front has within their cycles.

AccelForge is no dependency; unless asked, it is not run, and its seconds are those that the file records. It needs
Python 3.12 and an environment of its own: ``python3.12 -m venv AF``, ``AF/bin/pip install accelforge==1.0.467``. With
``--time-peer AF/bin/python`` the gated attention cores and feed-forward pairs are searched by both on this computer,
one after the other: exit code 1 if ours needs more than a quarter of its CPU seconds for one of them, or more than
five for the cut of a block.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from mapper.errors import MappingError
from mapper.fused.cut import FusedCutSearch
from mapper.validation.fused_peers import PeerComparison, PeerPoint, compare, read_points

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "peers_fused.json"
PEER = Path(__file__).with_name("accelforge_points.py")

MOST_OF_PEER = 0.25
"""Of the peer's CPU seconds."""
MOST_FOR_BLOCK = 5.0
"""CPU seconds of the cut of a block."""

TIMED_HEADER = """
| point | AccelForge, here: EDP [J s] | CPU s | tilewright, proved: EDP [J s] | CPU s | CPU |
|---|--:|--:|--:|--:|--:|"""
HEADER = (
    "| point | rules | AccelForge 1.0.467: uJ, cycles, s | tilewright, proved: uJ, cycles, s | EDP | CPU | groups |\n"
    "|---|---|---|---|--:|--:|---|"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=REFERENCE, metavar="FILE")
    parser.add_argument("--time-peer", nargs="?", const="python3.12", metavar="PYTHON")
    options = parser.parse_args()
    try:
        points, sums = read_points(options.file), block_sums()
        if options.time_peer:
            return time_peer(points, sums, options.time_peer)
    except MappingError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    lost = table(points)
    say("\nSums of AccelForge's groups for the block:\n")
    lost += table(sums)
    for point in sums:
        say(within_their_cycles(point))
    say(f"\ngated points lost: {', '.join(lost) or 'none'}")
    return 1 if lost else 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def within_their_cycles(point: PeerPoint) -> str:
    """The least energy of our front in no more cycles than theirs."""
    assert point.cycles is not None
    front = FusedCutSearch(point.graph(), point.machine(), point.rules).run("pareto", point.largest_group).cuts
    energy = [cut.energy_pj * 1e-6 for cut in front if cut.cycles <= point.cycles]
    best = f"{min(energy):,.1f} uJ" if energy else "nothing"
    return (
        f"{point.id}: front of {len(front)}; in at most {point.cycles:,} cycles {best}, theirs {point.energy_uJ:,.1f}"
    )


def block_sums() -> list[PeerPoint]:
    document = json.loads(REFERENCE.read_text("utf-8"))
    return [PeerPoint.model_validate(entry) for entry in document["block_sums"]]


def table(points: list[PeerPoint]) -> list[str]:
    """Print all points; return the gated ones that are lost."""
    say(HEADER)
    lost, skipped = [], []
    for point in points:
        reason = point.skipped()
        if reason is not None:
            skipped.append(f"skipped: {point.id}: {reason}")
            continue
        found = compare(point)
        say(row(found))
        if found.lost and point.gated:
            lost.append(point.id)
    for line in skipped:
        say(line)
    return lost


def row(found: PeerComparison) -> str:
    point = found.point
    assert point.energy_uJ is not None
    assert point.cycles is not None
    verdict = " LOST" if found.lost else ""
    theirs = f"{point.energy_uJ:,.4f}, {point.cycles:,}, {'-' if point.cpu_s is None else f'{point.cpu_s:.1f}'}"
    ours = f"{found.energy_uj:,.4f}, {found.cycles:,}, {found.cpu_s:.2f}{'' if found.proved else ' (not proved)'}"
    ratio = "-" if not point.cpu_s else f"{found.cpu_s / point.cpu_s:.3f}"
    groups = " · ".join(" ".join(group.operators) for group in found.cut.groups)
    kind = "gate" if point.gated else "relaxed"
    return f"| {point.id} | {kind}{verdict} | {theirs} | {ours} | {found.edp_ratio:.4f} | {ratio} | {groups} |"


def time_peer(points: list[PeerPoint], sums: list[PeerPoint], python: str) -> int:
    """Search gated groups with the peer and with ours, and print both times; return 1 if ours takes too long.

    Raises
    ------
    MappingError
        When the interpreter is none, or has no peer.
    """
    chosen = {point.id: point for point in points if is_timed(point)}
    say(TIMED_HEADER)
    slow = []
    for theirs in searched_by_peer(list(chosen.values()), python):
        ours = compare(chosen[theirs["id"]])
        edp, share = ours.energy_uj * 1e-6 * ours.cycles * 1e-9, ours.cpu_s / theirs["cpu_s"]
        cells = f"{theirs['edp']:.6g} | {theirs['cpu_s']:.2f} | {edp:.6g} | {ours.cpu_s:.3f} | {share:.4f}"
        say(f"| {theirs['id']} | {cells} |")
        if share > MOST_OF_PEER or not ours.proved:
            slow.append(theirs["id"])
    for point in sums:
        ours = compare(point)
        say(f"| {point.id} | - | - | {ours.energy_uj * ours.cycles * 1e-15:.6g} | {ours.cpu_s:.2f} | - |")
        if ours.cpu_s > MOST_FOR_BLOCK:
            slow.append(point.id)
    say(f"\nmore than {MOST_OF_PEER} of the peer's seconds, or {MOST_FOR_BLOCK} s: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


def searched_by_peer(points: list[PeerPoint], python: str) -> list[dict[str, Any]]:
    """Return what the peer finds for each point, and in how many CPU seconds, as accelforge_points.py prints it."""
    path = shutil.which(python)
    if path is None:
        raise MappingError(f"--time-peer: there is no {python}; AccelForge needs Python 3.12")
    if subprocess.run([path, "-c", "import accelforge"], capture_output=True, check=False).returncode:
        raise MappingError(f"--time-peer: {python} has no accelforge; there: pip install accelforge==1.0.467")
    asked = json.dumps([point.model_dump(mode="json") for point in points])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    command = [path, str(PEER)]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_timed(point: PeerPoint) -> bool:
    """Whether both search it against the clock: a gated attention core or feed-forward pair that may run fused."""
    is_group = point.group.startswith(("attention core", "feed-forward pair"))
    return point.skipped() is None and point.gated and is_group and point.largest_group > 1


if __name__ == "__main__":
    sys.exit(main())
