"""The least time of a generation against NVIDIA's tables of FasterTransformer, which no bound may exceed."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from workloads.analysis.serving import compute_use, generation_bound
from workloads.errors import GraphError

SEED = Path(__file__).resolve().parents[3] / "shared" / "data" / "seed_tables.json"
FLOPS, BYTES_PER_S = 312e12, 2039e9
"""Of one A100 of 80 GB, by its data sheet."""

SIZES = {
    "530b": ("megatron_530b", None),
    "175b": ("gpt_175b", 8),
    "20b": ("gpt_20b", None),
    "6.7b": ("gpt_6_7b", 1),
    "1.3b": ("gpt_1_3b", 1),
    "350m": ("gpt_350m", 1),
}
GPUS = {"tp1_ms": 1, "tp2_ms": 2, "tp8_ms": 8, "tp16_ms": 16, "tp32_ms_partial": 32, "tp8pp3_ms": 24}


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    """Measurements of another project, which are not shipped with this one."""
    if not SEED.is_file():
        pytest.skip(f"NVIDIA's tables are read from {SEED.name}, which is not here")
    return dict(json.loads(SEED.read_text(encoding="utf-8"))["tensor_parallel_fastertransformer"])


def ratios(table: dict[str, Any], column: str, gpus: int) -> list[float]:
    """Measured over bound, row by row."""
    width, at = table["heads"] * table["head_dim"], table["columns"].index(column)
    matrices = 12 * table["layers"] * width**2
    found = []
    for row in table["rows"]:
        if row[at] is not None:
            bound = generation_bound(
                matrices,
                2 * (matrices + 51200 * width),
                4 * table["layers"] * width,
                batch=row[0],
                prompt=row[1],
                tokens=row[2],
                peak_per_s=gpus * FLOPS,
                bytes_per_s=gpus * BYTES_PER_S,
            )
            found.append(row[at] / 1e3 / bound)
    return found


def test_no_measured_run_is_faster(tables: dict[str, Any]) -> None:
    """266 runs; their least and largest distance from the bound are those recorded beside them."""
    runs = 0
    for network, column, number, least, most in tables["derived"]["measured_over_bound"]["rows"]:
        name, gpus = SIZES[network]
        found = ratios(tables[name], column, gpus or GPUS[column])
        assert len(found) == number
        assert (round(min(found), 2), round(max(found), 2)) == (least, most), (network, column)
        assert min(found) > 1.0
        runs += number
    assert runs == 266


def test_the_best_use_of_the_machine(tables: dict[str, Any]) -> None:
    table = tables["megatron_530b"]
    best = {"tp16_ms": 0.462, "tp32_ms_partial": 0.329, "tp8pp3_ms": 0.513}
    for column, published in best.items():
        at = table["columns"].index(column)
        used = [
            compute_use(530e9, row[0] * (row[1] + row[2]), row[at] / 1e3, GPUS[column] * FLOPS)
            for row in table["rows"]
            if row[at] is not None
        ]
        assert round(max(used), 3) == published


def test_more_tokens_take_longer_and_one_takes_the_prompt() -> None:
    def bound(tokens: int) -> float:
        return generation_bound(1e9, 1e9, 1e5, batch=2, prompt=100, tokens=tokens, peak_per_s=1e12, bytes_per_s=1e11)

    assert bound(1) == pytest.approx(2 * 1e9 * 2 * 100 / 1e12)
    assert [later - earlier for earlier, later in pairwise(map(bound, (1, 2, 3)))] == pytest.approx(
        [(1e9 + 2 * 101e5) / 1e11, (1e9 + 2 * 102e5) / 1e11]
    )


def test_nothing_is_done_by_no_machine() -> None:
    with pytest.raises(GraphError, match="bytes_per_s"):
        generation_bound(1, 1, 1, batch=1, prompt=1, tokens=1, peak_per_s=1, bytes_per_s=0)
