"""Estimate against the default simulation where estimates went astray, each case as the command line is asked for it.

    python tests/benchmarks/estimate_cases.py [--only TEXT]

Row strides that put the rows of a load into few sets of the L2, products that are small, narrow or ragged, residual
additions of small models, an array of 8 x 8, and a machine whose loops wait for a distant memory. Of a model each
operator is a case, and so is its total. The exit code tells whether all are within ``MOST``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mapper.cli import main as command_line

MOST = 0.10

DISTANT = (
    "--hw gemmini_lean --set array.size=4 --set scratchpad.capacity='1 KiB' --set accumulator.capacity='512 B' "
    "--set l2=null --set llc=null --set dram.latency=300 --set dram.bandwidth='64 B/cycle'"
)

SMALL = {
    "bert-tiny": {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512, "num_hidden_layers": 2},
    "bert-mini": {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024, "num_hidden_layers": 4},
}
"""Configurations of models that are not shipped."""

CASES = (
    "map 1x128x65536",
    "map 1x128x65600",
    "map 16x65536x16",
    "map 1x4096x32768",
    "map 1x65536x1",
    "map 100x100x100",
    "map 1x1x1",
    "map 4x4x4 --set array.size=2",
    f"map 37x91x53 {DISTANT}",
    f"map 29x333x71 {DISTANT}",
    f"map 5x700x129 {DISTANT}",
    "run bert-tiny --hw gemmini_ibert --seq 32",
    "run bert-mini --hw gemmini_ibert --seq 64",
    "run bert-base --hw gemmini_ibert --seq 512 --set array.size=8",
)


def rows_of(case: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, estimated and simulated cycles of what a command prints."""
    with tempfile.TemporaryDirectory() as folder:
        words, path = shlex.split(case), Path(folder) / "report.json"
        if words[1] in SMALL:
            model = Path(folder) / f"{words[1]}.json"
            shape = {"model_type": "bert", "vocab_size": 30_522, "max_position_embeddings": 512} | SMALL[words[1]]
            model.write_text(json.dumps(shape), "utf-8")
            words[1] = str(model)
        if command_line([*words, "--quiet", "--json", str(path)]):
            raise SystemExit(f"failed: {case}")
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    estimate, simulation = report["estimate"], report["simulation"]
    for expected, found in zip(estimate["operators"], simulation["operators"], strict=True):
        yield found["name"], expected["cycles"], found["cycles"]
    if len(simulation["operators"]) > 1:
        yield "total", estimate["cycles"], simulation["cycles"]


def main() -> int:
    """Print each case; 1 if one is off by more than ``MOST``."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default="", metavar="TEXT", help="cases that hold this text")
    only, off, rows = options.parse_args().only, 0, 0
    for case in (case for case in CASES if only in case):
        sys.stdout.write(f"{case}\n")
        for name, estimated, simulated in rows_of(case):
            error = estimated / simulated - 1.0 if simulated else 0.0
            off, rows = off + (abs(error) > MOST), rows + 1
            mark = "  OFF" * (abs(error) > MOST)
            sys.stdout.write(f"    {name:<20} {estimated:>13,} against {simulated:>13,}  {100 * error:+6.1f} %{mark}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{off} of {rows} rows more than {100 * MOST:.0f} % off\n")
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
