"""A cut of a block in loop nests, as text and as a dictionary: trees, what stays where, costs beside unfused ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mapper.fused.cut import Cut, CutGroup
from mapper.fused.loop_tree import Hold, Loop, LoopTree, Step
from mapper.fused.tree_file import tree_document
from mapper.reports.quantities import percent, quantity, size
from mapper.reports.text import columns

INDENT = "  "


def fused_text(cut: Cut, unfused: Cut, *, trees: bool = True) -> str:
    """Return the trees, then a table of groups with the unfused cut next to it."""
    lines: list[str] = []
    for number, group in enumerate(cut.groups, 1):
        if trees:
            lines += [f"group {number}: {', '.join(group.operators)}", *_stays(group), *tree_lines(group.tree), ""]
    return "\n".join([*lines, *_table(cut, unfused)])


def _stays(group: CutGroup) -> Iterator[str]:
    if group.kept:
        yield f"{INDENT}never in DRAM in between: {', '.join(group.kept)}"
    if group.held:
        yield f"{INDENT}shared in the scratchpad: {', '.join(group.held)}"


def tree_lines(tree: LoopTree, depth: int = 1) -> list[str]:
    """Return a tree, one step a line; places next to each other share one."""
    lines = []
    for held, step in _runs(tree.steps):
        if held:
            lines.append(f"{INDENT * depth}[{held}]")
        elif isinstance(step, Loop):
            lines.append(f"{INDENT * depth}for {step.dim} in steps of {step.step:,}")
            depth += 1
    if tree.operator is not None:
        lines.append(f"{INDENT * depth}{tree.operator}")
    for part in tree.parts:
        lines += tree_lines(part, depth)
    return lines


def _runs(steps: Sequence[Step]) -> Iterator[tuple[str, Step | None]]:
    """Places without a loop between them as one text, and loops."""
    held: dict[str, list[str]] = {}
    for step in (*steps, None):
        if isinstance(step, Hold):
            held.setdefault(step.memory, []).append(step.tensor)
            continue
        if held:
            yield "; ".join(f"{memory} holds {', '.join(tensors)}" for memory, tensors in held.items()), None
            held = {}
        if step is not None:
            yield "", step


def _table(cut: Cut, unfused: Cut) -> list[str]:
    alone = {group.operators[0]: group for group in unfused.groups}
    rows = [["group", "cycles", "energy", "DRAM", "unfused: cycles", "energy", "DRAM"]]
    for group in cut.groups:
        others = [alone[name] for name in group.operators]
        rows.append([", ".join(group.operators), *_figures([group]), *_figures(others)])
    rows.append(["total", *_figures(cut.groups), *_figures(unfused.groups)])
    edp = cut.edp / unfused.edp
    lines = columns(rows, rules=(1, len(rows) - 1), right=range(1, 7))
    return [
        *lines,
        "",
        f"DRAM traffic {percent(cut.dram_words, unfused.dram_words)} of unfused, EDP {100 * edp:.1f}% of unfused",
    ]


def _figures(groups: Sequence[CutGroup]) -> list[str]:
    cycles = sum(group.costs.cycles for group in groups)
    energy = sum(group.costs.energy_pj for group in groups)
    return [f"{cycles:,}", quantity(energy * 1e-12, "J"), size(sum(group.costs.words("dram") for group in groups))]


def fused_dict(cut: Cut) -> dict[str, object]:
    """Return a cut for JSON, units in the names."""
    return {
        "cycles": cut.cycles,
        "energy_pj": cut.energy_pj,
        "dram_bytes": cut.dram_words,
        "groups": [
            {
                "operators": list(group.operators),
                "never_in_dram": list(group.kept),
                "shared_in_scratchpad": list(group.held),
                "cycles": group.costs.cycles,
                "cycles_by_operator": group.costs.cycles_by_operator,
                "energy_pj": group.costs.energy_pj,
                "dram_bytes": group.costs.words("dram"),
                "tree": tree_document(group.tree),
            }
            for group in cut.groups
        ],
    }


def front_lines(cuts: Sequence[Cut]) -> list[str]:
    """Return a line per cut of a front, fewest cycles first."""
    rows = [["cycles", "energy", "DRAM", "groups"]]
    for cut in cuts:
        groups = " · ".join(" ".join(group.operators) for group in cut.groups)
        rows.append([*_figures(cut.groups), groups])
    return columns(rows, rules=(1,), right=range(3))
