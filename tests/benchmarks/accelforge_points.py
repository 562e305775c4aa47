"""Search points with AccelForge; run by an interpreter that has it (`peers_fused.py --time-peer`), never imported.

    echo '[POINT, ...]' | PYTHON tests/benchmarks/accelforge_points.py

Reads points of the form of tests/reference/peers_fused.json and writes a line of JSON for each as soon as it is found:
its id, EDP [J s] and CPU seconds of the search. The machine is that of the reference's ``_about``, in the peer's own
words: bits, joules and seconds at a clock of 1 ns. One thread; a tiny search comes first, so that what is compiled at
the first call is not counted, nor is the import. The EDP is that by which its search ranks: the detailed evaluation of
the winner, which comes after it and needs Graphviz, is left out. The two differ where one row is decoded, as there its
search does not see the time of the DRAM: 256 cycles for the 4,168 of its detailed model.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import accelforge
from accelforge.frontend.mapper.metrics import Metrics

BITS_PER_KIB = 8192

WARM_UP = {
    "id": "warm-up",
    "einsums": ["QK[m,p]=Q[m,e]*K[p,e]", "S[m,p]=f(QK[m,p])", "AV[m,f]=S[m,p]*V[p,f]"],
    "dims": {"M": 16, "P": 16, "E": 16, "F": 16},
    "scratchpad_KiB": 64,
}

MEMORY = """\
  - !Memory
    name: {name}
    size: {size}
    leak_power: 0
    area: 0
    bits_per_value: {{All: {bits}}}
    tensors: {{{tensors}}}
    actions:
    - {{name: read, energy: {pj}e-12, bits_per_action: {bits}, throughput: {reads}}}
    - {{name: write, energy: {pj}e-12, bits_per_action: {bits}, throughput: {writes}}}
"""
UNIT = """\
  - !Compute
    name: {name}
    enabled: len(All) == {tensors}
    leak_power: 0
    area: 0
    actions: [{{name: compute, energy: 0.2e-12, throughput: {rate}}}]
"""
ARRAY = """\
  - !Container
    name: Array
    spatial:
    - {name: rows, fanout: 16, reuse: output}
    - {name: columns, fanout: 16, reuse: input}
"""


def architecture(point: Mapping[str, Any]) -> str:
    """Return the machine of a point with what its search may do."""
    fuses = not point.get("fusion", "").startswith("none")
    once = point.get("partial_sums_outside_accumulator", "").startswith("forbidden")
    scratchpad, accumulator = (int(point.get(key, 64) * BITS_PER_KIB) for key in ("scratchpad_KiB", "accumulator_KiB"))
    outside = f"keep: {'~Intermediates' if fuses else 'All'}, may_keep: All"
    sums = f"keep: output{', no_refetch_from_above: output' if once else ''}"
    vector = "\n".join(f"  {line}" for line in UNIT.format(name="Vector", tensors=2, rate="16e9").splitlines())
    parts = [
        MEMORY.format(name="DRAM", size="inf", bits=8, pj=64, reads="16e9", writes="16e9", tensors=outside),
        MEMORY.format(
            name="Scratchpad", size=scratchpad, bits=8, pj=2, reads="32e9", writes="inf",
            tensors="keep: input | weight, may_keep: All",
        ),
        MEMORY.format(name="Accumulator", size=accumulator, bits=32, pj=4, reads="32e9", writes="32e9", tensors=sums),
        f"  - !Fork\n    nodes:\n{vector}\n",
        ARRAY,
        MEMORY.format(name="Register", size=8, bits=8, pj=0.05, reads="inf", writes="inf", tensors="keep: weight"),
        UNIT.format(name="MAC", tensors=3, rate="1e9"),
    ]  # fmt: skip
    return f"arch:\n  nodes:\n{''.join(parts)}"


def einsum(text: str) -> dict[str, Any]:
    """Return an operator in the peer's form, with what its operands are to the machine."""
    output, right = (side.strip() for side in text.split("="))
    names = re.findall(r"(\w+)\[", right)
    own = re.match(r"\w+", output)
    assert own is not None
    if right.startswith("f("):
        inner = right[2:-1]
        return {"einsum": f"{output} = {inner}", "renames": _renames(re.findall(r"(\w+)\[", inner)[0], "Nothing", own)}
    return {"einsum": f"{output} = {right}", "renames": _renames(names[0], names[1], own)}


def _renames(moving: str, stationary: str, output: re.Match[str]) -> dict[str, str]:
    return {"input": moving, "weight": stationary, "output": output.group()}


def search(point: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the EDP of the optimum and the CPU seconds that it took to find."""
    workload = {
        "einsums": [einsum(text) for text in point["einsums"]],
        "rank_sizes": point["dims"],
        "bits_per_value": {"All": 8},
    }
    (folder / "arch.yaml").write_text(architecture(point), encoding="utf-8")
    # JSON is YAML.
    (folder / "workload.yaml").write_text(json.dumps({"workload": workload}), encoding="utf-8")
    spec = accelforge.Spec.from_yaml(str(folder / "arch.yaml"), str(folder / "workload.yaml"))
    spec.mapper.metrics = Metrics.ENERGY_DELAY_PRODUCT
    if "at most 1 shared" in point.get("fusion", ""):
        spec.mapper.max_fused_loops = 1
    start = time.process_time()
    found = accelforge.mapper.FFM.map_workload_to_arch(spec, print_progress=False, eval_in_detail=False)
    seconds = time.process_time() - start
    (total,) = (name for name in found.data.columns if name.endswith("energy_delay_product"))
    return {"id": point["id"], "edp": float(found.data[total].min()), "cpu_s": seconds}


def main() -> None:
    warnings.simplefilter("ignore")
    accelforge.set_n_parallel_jobs(1)
    points = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as name:
        search(WARM_UP, Path(name))
        for point in points:
            sys.stdout.write(f"{json.dumps(search(point, Path(name)))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
