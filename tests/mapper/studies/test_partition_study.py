"""The partition calculator: its forms against a ring that is walked and against search, and the published tables."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mapper import cli
from mapper.studies import partition
from mapper.studies.partition import PALM, Partitions


@pytest.fixture(scope="module")
def found() -> Partitions:
    computed = Partitions((4, 4, 4))
    assert list(partition.run(computed)) == ["published values", "layouts"]
    return computed


def ring_bytes(shard: int, chips: int) -> list[int]:
    """Bytes that each chip sends until all have every shard, handing on what came last."""
    have = [{chip} for chip in range(chips)]
    last, sent = list(range(chips)), [0] * chips
    while any(len(one) < chips for one in have):
        last = [last[chip - 1] for chip in range(chips)]
        for chip in range(chips):
            have[chip].add(last[chip])
            sent[chip] += shard
    return sent


@pytest.mark.parametrize("seed", range(10))
def test_a_gather_is_what_a_ring_does(seed: int) -> None:
    draw = random.Random(seed)
    chips, shard = draw.randint(2, 12), draw.randint(1, 1000)
    (each,) = set(ring_bytes(shard, chips))
    assert partition.gather_seconds(shard * chips, chips, 1.0) == pytest.approx(each)


@pytest.mark.parametrize(("side", "tokens"), [(4, 1 << 14), (8, 1 << 16), (16, 1 << 12)])
def test_closed_optima_are_found_by_search(side: int, tokens: int) -> None:
    chips, width = side * side, 1 << 14
    hidden = 4 * width
    cuts = [x for x in range(1, chips + 1) if chips % x == 0]
    best = min(cuts, key=lambda x: partition.elements_2d(tokens, width, hidden, x, chips // x))
    assert best == partition.best_x(chips)
    over = partition.best_over(tokens, hidden, chips)
    at = [2.0 * width * hidden * one / chips + 2.0 * tokens * width / one for one in (over * 0.9, over, over * 1.1)]
    assert min(at) == at[1]


def test_crossovers_are_where_the_volumes_meet() -> None:
    big = PALM[2]
    first, second, third = partition.crossovers(big.width, big.hidden, 4, 4, 4)
    assert (first, second, third) == pytest.approx((18_432, 73_728, 1_179_648))
    two = partition.elements_2d(int(first), big.width, big.hidden, 4, 16)
    assert two == pytest.approx(partition.elements_gathered(int(first), big.width, big.hidden, 64, 4))
    assert partition.crossovers(16_384, 65_536, 4, 4, 4) == pytest.approx((16_384, 65_536, 1_048_576))


def test_published_tables(found: Partitions) -> None:
    bounds = {"10^9 weights": 1e-3, "context": 0.03, "ms per step": 0.03, "crossover, tokens": 1e-9}
    for one in found.values:
        if one.table == "MFU":
            assert abs(one.ours - one.published) <= 0.01, one
        else:
            assert abs(one.error) <= bounds[one.table], one
    assert len(found.values) == 4 + 8 + 6 + 3 + 3


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "partition", "--chips", "8,2,4", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "closed forms, no simulation" in out and "8 x 2 x 4 chips" in out
    assert all(len(line) <= 120 for line in out.splitlines())
    assert (tmp_path / "partition_volumes.csv").read_text(encoding="utf-8").startswith("tokens,1-D,2-D,X,XY,XYZ\n64,")
    assert cli.main(["study", "partition", "--chips", "4,4"]) == 2
    assert "--chips 4,4: must be X,Y,Z" in capsys.readouterr().err
