"""Points of a peer: its own mappings cost in our model what it says, and none is better than ours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mapper.errors import MappingError
from mapper.fused.loop_tree import Block, Hold, Loop, LoopTree, Step
from mapper.fused.rules import RELAXED, STRICT
from mapper.fused.tree_check import alive_words, require_form, violations
from mapper.fused.tree_costs import tree_costs
from mapper.validation.fused_peers import PRINTED, PeerPoint, compare, read_points

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "peers_fused.json"
POINTS = [point for point in read_points(REFERENCE) if point.skipped() is None]
AMBIGUOUS = {"attn_512_sp256_fused"}
"""Printed without the indentation that tells which operators share its second loop."""
OTHER_ROUNDING = {"ffn_2048_sp256_fused_wide_sums": 1}
"""Cycles that the peer's floating-point sum loses."""
GROUPS = [point for point in POINTS if point.group != "encoder block"]
MEMORIES = {"Scratchpad": "scratchpad", "Accumulator": "accumulator", "Register": "registers"}


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def parsed(lines: list[str], level: int) -> tuple[LoopTree, list[str]]:
    """The tree of the peer's notation; arrays and rows are implied in ours."""
    steps: list[Step] = []
    parts: list[Block] = []
    while lines and indent(lines[0]) >= level:
        text, lines = lines[0].strip(), lines[1:]
        if text == "then":
            part, lines = parsed(lines, level + 2)
            parts.append(part)
        elif held := re.fullmatch(r"\[(\w+) holds (.*)\]", text):
            if held[1] in MEMORIES:
                steps += [Hold(tensor, MEMORIES[held[1]]) for tensor in held[2].split(", ")]
        elif loop := re.fullmatch(r"for (\w+) step (\d+)", text):
            steps.append(Loop(loop[1], int(loop[2])))
        elif text.startswith("compute"):
            return Block(tuple(steps), text.split()[1]), lines
    return Block(tuple(steps), None, tuple(parts)), lines


def lifted(block: Block, tensors: tuple[str, ...]) -> Block:
    """A tensor that stays on the chip is printed in every branch that uses it; ours holds it once above them."""
    parts = [lifted(part, tensors) for part in block.parts]
    steps = block.steps
    for tensor in tensors:
        hold = Hold(tensor, "scratchpad")
        if sum(hold in part.steps for part in parts) > 1:
            steps = (*steps, hold)
            parts = [Block(tuple(s for s in part.steps if s != hold), part.operator, part.parts) for part in parts]
    return Block(steps, block.operator, tuple(parts))


@pytest.mark.parametrize("point", [p for p in GROUPS if p.id not in AMBIGUOUS], ids=lambda point: point.id)
def test_the_peers_own_mapping_costs_what_it_says(point: PeerPoint) -> None:
    tree = lifted(parsed(list(point.mapping), 0)[0], point.intermediates_never_in_dram)
    graph, machine = point.graph(), point.machine()
    heads = point.heads
    tree = without_heads(tree)
    costs = tree_costs(tree, graph, machine)
    assert costs.energy_pj * heads * 1e-6 == pytest.approx(point.energy_uJ, abs=20 * PRINTED)
    assert costs.cycles * heads - OTHER_ROUNDING.get(point.id, 0) == point.cycles
    assert costs.words("dram") * heads == point.dram_bytes
    leaves = require_form(tree, graph)
    used = max(alive_words(leaf, leaves, graph, "accumulator") for leaf in leaves) / machine.accumulator
    assert used == pytest.approx(point.capacity_used["Accumulator"], abs=PRINTED)
    assert violations(tree, graph, machine, RELAXED) == ()
    sums = [broken for broken in violations(tree, graph, machine, STRICT) if "visits" in broken.rule]
    assert bool(sums) == bool(point.int8_partial_sums)


def without_heads(block: Block) -> Block:
    """Our points are of one head."""
    steps = tuple(step for step in block.steps if not (isinstance(step, Loop) and step.dim == "h"))
    return Block(steps, block.operator, tuple(without_heads(part) for part in block.parts))


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.id)
def test_no_point_is_better_than_ours(point: PeerPoint) -> None:
    found = compare(point)
    assert found.proved
    assert not found.lost


def test_ragged_row_blocks_win_where_exact_factors_do_not_fuse() -> None:
    (point,) = (point for point in POINTS if point.id == "attn2_2048_sp256_1_wide_sums")
    found = compare(point)
    assert found.edp_ratio < 0.85
    assert Loop("m", 121) in found.cut.groups[0].tree.steps


def test_points_without_result_and_of_unknown_kinds_are_skipped() -> None:
    point = POINTS[0]
    assert point.model_copy(update={"error": "no mapping"}).skipped() == "the peer has no result: no mapping"
    odd = point.model_copy(update={"einsums": ("A[m]=max(B[m,k])",)})
    assert "einsum 'A[m]=max(B[m,k])' is neither" in str(odd.skipped())
    assert point.model_copy(update={"objective": "area"}).skipped() == "unknown objective 'area'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "points: missing"),
        ("{", "not valid JSON"),
        ('{"points": [{"id": "x"}]}', r"points\.0\.group"),
        (json.dumps({"points": [{**json.loads(POINTS[0].model_dump_json()), "scratchpad_KiB": 0}]}), "scratchpad_KiB"),
    ],
)
def test_files_of_another_form_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match=message):
        read_points(path)
    with pytest.raises(MappingError, match="cannot read"):
        read_points(tmp_path / "missing.json")
