"""Who may take turns, in which order, and how high the blocks of rows are."""

from __future__ import annotations

import hwconfigs
import workloads
from mapper.graph.fusion_cuts import Cut, fusion_groups
from mapper.graph.interleaving import Interleaving, choices, paired
from tests.mapper.tiny import machine

IBERT = machine("gemmini_ibert")


def pairs(seq: int, *groups: list[str], model: str = "bert-base") -> list[tuple[str, ...]]:
    graph = workloads.build(model, seq=seq)
    named = {name for group in groups for name in group}
    cut: Cut = [*groups, *([op.name] for op in graph.operators if op.name not in named)]
    return [tuple(group.name for group in together) for together in paired(fusion_groups(graph, IBERT, cut), graph)]


def test_matmuls_that_pass_rows_on_may_take_turns() -> None:
    together = pairs(32, ["scores", "softmax"], ["ffn1", "ffn_activation"])
    assert [names for names in together if len(names) == 2] == [("scores", "context"), ("ffn1", "ffn2")]
    everyone = {op.name for op in workloads.build("bert-base", seq=32).operators} - {"softmax", "ffn_activation"}
    assert sorted(name for names in together for name in names) == sorted(everyone)


def test_operators_between_the_matmuls_keep_them_apart() -> None:
    """Apart, the softmax reads all scores; heads of the context stand side by side in the rows that out reads."""
    assert [names for names in pairs(32) if len(names) == 2] == []


def test_turns_go_through_heads_or_through_rows_first() -> None:
    heads = Interleaving("a", "b", 16)
    assert list(heads.turns(2, 40)) == [(0, 0), (0, 16), (0, 32), (1, 0), (1, 16), (1, 32)]
    rows = Interleaving("a", "b", 16, rows_outside=True)
    assert list(rows.turns(2, 40)) == [(0, 0), (1, 0), (0, 16), (1, 16), (0, 32), (1, 32)]


def test_blocks_are_whole_or_fill_half_of_the_l2() -> None:
    """Rows of 2,048 probabilities: 512 KiB hold 256 of them, half of that 128."""
    graph = workloads.build("bert-base", seq=2048)
    spec = hwconfigs.override(IBERT, {"accumulator.capacity": "256 KiB"})
    rest = [[op.name] for op in graph.operators if op.name not in ("scores", "softmax")]
    groups = {group.name: group for group in fusion_groups(graph, spec, [["scores", "softmax"], *rest])}
    ways = list(choices(groups["scores"], groups["context"], spec))
    assert [(how.rows, how.rows_outside) for how in ways] == [
        (2048, False), (128, False), (128, True), (64, False), (64, True),
    ]  # fmt: skip
    # Rows of 128 blocks: 1,024 of them are half of the scratchpad, room for 128 rows, then 64 and 32.
    path = hwconfigs.override(spec, {"vector.writes_scratchpad": True})
    kept = [how for how in choices(groups["scores"], groups["context"], path) if how not in ways]
    assert kept == [Interleaving("scores", "context", rows, in_scratchpad=True) for rows in (64, 32, 16)]
    without = hwconfigs.override(spec, {"l2": None})
    assert [how.rows for how in choices(groups["scores"], groups["context"], without)] == [2048]
