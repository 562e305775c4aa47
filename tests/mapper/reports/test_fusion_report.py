"""What fusion bought, as lines and as plain data."""

from __future__ import annotations

import json

from mapper import pipeline
from mapper.reports.fusion_report import fusion_dict, fusion_lines
from mapper.reports.run_json import run_dict


def test_each_group_stands_beside_what_it_replaces() -> None:
    result = pipeline.run("bert-base", "gemmini_ibert", seq=40, fusion="auto", search="gemmini_auto")
    assert result.fusion is not None
    lines = fusion_lines(result)
    assert all(len(line) <= 120 for line in lines)
    (row,) = (line for line in lines if line.startswith("scores + softmax"))
    # 12 heads of 40 x 40 sums of four bytes stay in the accumulator.
    assert "75.0 KiB" in row
    gain = next(gain for gain in result.fusion.gains if gain.operators == ("scores", "softmax"))
    assert gain.unfused.dram_bytes >= gain.fused.dram_bytes
    assert gain.unfused.beats > gain.fused.beats
    document = json.loads(json.dumps(run_dict(result)))["fusion"]
    assert document["unfused_cycles"] == result.fusion.unfused.cycles
    rows = {tuple(group["operators"]): group for group in document["groups"]}
    assert rows["scores", "softmax"]["fused"]["cycles"] == gain.fused.cycles
    assert rows["scores", "softmax"]["internal_bytes"] == {"scores": 4 * 12 * 40 * 40}
    saved = sum(group["unfused"]["cycles"] - group["fused"]["cycles"] for group in rows.values())
    # What else differs are operators that find other lines in the caches.
    pairs = zip(result.fusion.unfused.by_op, result.simulation.by_op, strict=True)
    others = [before.cycles - after.cycles for before, after in pairs if not any(before.name in row for row in rows)]
    assert result.fusion.unfused.cycles - result.simulation.cycles == result.graph.repeat * (saved + sum(others))
    assert any("the next best has" in line for line in lines)


def test_a_run_whose_cut_was_not_searched_says_nothing() -> None:
    result = pipeline.map_matmul(32, 32, 32, "gemmini")
    assert fusion_lines(result) == []
    assert fusion_dict(result) == {}
