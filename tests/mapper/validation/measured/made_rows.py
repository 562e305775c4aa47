"""Small files of measured rows for the tests of ``tilewright validate``."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from mapper import validation
from mapper.validation.measured import programs

SHIPPED = Path(validation.__file__).parent / "data" / "gemmini_rtl.csv"
FIRESIM = Path(__file__).resolve().parents[5] / "shared" / "data" / "gemmini_firesim.csv"

Row = dict[str, str]


def rtl_row(**cells: str) -> Row:
    """A Verilator row: one mvin of a KiB that hits the L2, unless told otherwise."""
    row = dict.fromkeys((*programs.REQUIRED, "offset_bytes", "group", "part"), "")
    row |= {
        "gemmini_config": "default_16x16_sp256K_acc64K", "test": "mvin_spad", "n_ops": "1", "rows": "16", "cols": "64",
        "stride_bytes": "64", "state": "l2warm", "dram_latency": "40", "cycles": "95",
    }  # fmt: skip
    return row | cells


def product_row(**cells: str) -> Row:
    """A Verilator row: a library product."""
    shape = {"M": "64", "N": "64", "K": "64", "tile_i": "4", "tile_j": "4", "tile_k": "4"}
    nothing = {"rows": "", "cols": "", "n_ops": "", "stride_bytes": ""}
    return rtl_row(**(nothing | shape | {"test": "loop_ws_auto", "state": "repeat", "cycles": "2341"} | cells))


def firesim_row(**cells: str) -> Row:
    """A FireSim row: 128 x 128 x 32 in two tiles of the reduction."""
    row = {
        "row_id": "test:1", "source": "dosa_train", "variant": "tiled", "network": "", "kind": "matmul", "pe_dim": "16",
        "M": "128", "K": "128", "N": "32", "q_tiles": "", "exec_tile_P": "128", "exec_tile_C": "64",
        "exec_tile_Kout": "32", "exec_trips_outer_to_inner": "C2", "compute_cycles": "2048",
        "cache_state": "repeat_of_shape", "measured_cycles": "4000",
    }  # fmt: skip
    return row | cells


def write(path: Path, rows: Iterable[Row], without: str = "") -> Path:
    """A CSV file of ``rows``, less one column."""
    chosen = list(rows)
    columns = [column for column in chosen[0] if column != without]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(chosen)
    return path


def shipped_rows() -> list[Row]:
    """The Verilator rows of the package."""
    with SHIPPED.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def firesim_rows() -> list[Row]:
    """Rows of the file that is not committed."""
    with FIRESIM.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
