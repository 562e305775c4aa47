#!/usr/bin/env bash
# SCALE-Sim writes more results to its SRAM than the product has, with the output-stationary dataflow only.
#
# Guess, written before the run: an output-stationary array keeps every sum in place and drains it once, so that
# "SRAM OFMAP Writes" of C[M, N] = A[M, K] B[K, N] is M N, whatever the shape of the array.
#
# Behaviour (scalesim 3.0.0): M N + (rows + columns of the array) for every fold, a fold being one array-sized block of
# C. On an 8x8 array C of 8x8 takes 80 writes (not 64), of 64x32 takes 2,560 (not 2,048); K makes no difference. "DRAM
# OFMAP Writes" of the same run is M N. With the weight-stationary dataflow both are M N for each fold of K, as guessed.
# What is computed from the SRAM column, energy for instance, is a quarter too high for whole blocks on this array, and a
# third for C of 12x8, whose second block is ragged.
#
# Python 3.11. NumPy 2.4 is left out since this version of the tool stops on it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet scalesim==3.0.0 numpy==1.26.4 numba==0.60.0 pandas==2.2.3 matplotlib==3.9.4

cat > accesses.py <<'PY'
"""Run one product on an 8x8 array; return the accesses that the detailed report states."""

import csv
import pathlib
import subprocess
import sys

MACHINE = """[general]
run_name = product
[architecture_presets]
ArrayHeight: 8
ArrayWidth: 8
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: 10
Dataflow: {dataflow}
ReadRequestBuffer: 64
WriteRequestBuffer: 64
[layout]
IfmapCustomLayout: False
FilterCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def accesses(dataflow, m, n, k):
    folder = pathlib.Path(f"{dataflow}-{m}-{n}-{k}")
    folder.mkdir()
    (folder / "machine.cfg").write_text(MACHINE.format(dataflow=dataflow))
    (folder / "product.csv").write_text(f"Layer, M, N, K,\nproduct,{m},{n},{k},\n")
    (folder / "layout.csv").write_text("")
    command = "-m scalesim.scale -c machine.cfg -t product.csv -l layout.csv -i gemm -p out"
    subprocess.run([sys.executable, *command.split()], cwd=folder, check=True, capture_output=True)
    with (folder / "out/product/DETAILED_ACCESS_REPORT.csv").open() as report:
        names, values = list(csv.reader(report))[:2]
    row = dict(zip((name.strip() for name in names), values))
    return int(row["SRAM OFMAP Writes"]), int(row["DRAM OFMAP Writes"])


print("dataflow  M  N  K   results  SRAM writes  DRAM writes")
for m, n, k in ((8, 8, 8), (8, 8, 64), (12, 8, 8), (64, 32, 16)):
    folds = -(-m // 8) * -(-n // 8)
    sram, dram = accesses("os", m, n, k)
    print(f"os  {m:6} {n:2} {k:2} {m * n:9} {sram:12} {dram:12}")
    assert (sram, dram) == (m * n + 16 * folds, m * n), "the behaviour has changed"
for m, n, k in ((12, 8, 8), (8, 8, 16)):
    written = m * n * -(-k // 8)
    sram, dram = accesses("ws", m, n, k)
    print(f"ws  {m:6} {n:2} {k:2} {m * n:9} {sram:12} {dram:12}")
    assert (sram, dram) == (written, written), "the behaviour has changed"
PY
env/bin/python accesses.py

# Seen with the versions above:
#   dataflow  M  N  K   results  SRAM writes  DRAM writes
#   os       8  8  8        64           80           64
#   os       8  8 64        64           80           64
#   os      12  8  8        96          128           96
#   os      64 32 16      2048         2560         2048
#   ws      12  8  8        96           96           96
#   ws       8  8 16        64          128          128
