"""Fused groups and blocks on the machine of the peers' measurements: ours beside AccelForge's optima.

    OMP_NUM_THREADS=1 python tests/benchmarks/peers_fused.py [FILE] [--time-peer PYTHON]

FILE has the form of tests/reference/peers_fused.json, which is the default. Points that the machine could run (rows
whole where they are normalised, no one-byte partial sums) are searched under its own rules and gated: exit code 1 if
one of them has a lower EDP than ours. The others are searched under the rules that their mappings need and printed
beside. Points with an error or of an unknown kind are skipped with the reason. CPU seconds are those of the search
without import: ours here, theirs from the file. The sums of AccelForge's groups for a whole block follow, and what our
front has within their cycles.

AccelForge is no dependency and is not run here: its seconds are those that the file records. It needs Python 3.12 and
``pip install accelforge==1.0.467``; with ``--time-peer`` the script looks for an interpreter that has it and says what
it found, so that the file's figures can be measured anew with the peer's own tools.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from mapper.errors import MappingError
from mapper.fused.cut import FusedCutSearch
from mapper.validation.fused_peers import PeerComparison, PeerPoint, compare, read_points

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "peers_fused.json"
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
    except MappingError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    lost = table(points)
    say("\nSums of AccelForge's groups for the block:\n")
    lost += table(sums)
    for point in sums:
        say(within_their_cycles(point))
    say(f"\ngated points lost: {', '.join(lost) or 'none'}")
    if options.time_peer:
        say(peer_found(options.time_peer))
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


def peer_found(python: str) -> str:
    """Say whether an interpreter can run the peer."""
    path = shutil.which(python)
    if path is None:
        return (
            f"--time-peer: no {python} on this machine; AccelForge needs Python 3.12, its seconds above are the file's"
        )
    asked = subprocess.run([path, "-c", "import accelforge"], capture_output=True, check=False)
    if asked.returncode:
        return f"--time-peer: {python} has no accelforge; in an environment: pip install accelforge==1.0.467"
    return f"--time-peer: {python} has accelforge; the seconds above are still those of the file"


if __name__ == "__main__":
    sys.exit(main())
