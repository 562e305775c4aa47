"""What fusion bought: each group beside the operators that it replaces, and the best of the other cuts."""

from __future__ import annotations

from collections.abc import Callable

from mapper.evaluation.turns import TurnsChoice
from mapper.graph.best_cut import PricedCut
from mapper.graph.fusion_group import FusionGroup
from mapper.reports.quantities import energy, size
from mapper.reports.text import columns, wrapped
from mapper.result import Fusion, RunResult
from mapper.search.settled_cut import GroupGain, Spent
from workloads import Tensor

_HEADINGS = (
    "fused",
    "on chip",
    "cycles",
    "unfused",
    "gain",
    "DRAM saved",
    "bus saved",
    "energy saved",
)


def fusion_lines(result: RunResult) -> list[str]:
    """Return the groups with what they saved, turns, and the next-best cut; the turns alone of a cut that was given."""
    fusion = result.fusion
    if fusion is None:
        told = [line for choice in result.turns for line in wrapped(_turns(result, choice))]
        return ["", *told] if told else []
    lines = [""]
    if fusion.gains:
        rows = [_row(result, gain) for gain in fusion.gains]
        lines += columns([_HEADINGS, *rows], rules=(1,), right=range(1, len(_HEADINGS)))
    lines += [line for choice in result.turns for line in wrapped(_turns(result, choice))]
    return lines + wrapped(_sentence(result, fusion))


def fusion_dict(result: RunResult) -> dict[str, object]:
    """Return the same as plain data, by the key ``"fusion"``; empty if no cut was searched."""
    fusion = result.fusion
    if fusion is None:
        return {}
    other = fusion.search.next_best
    return {
        "fusion": {
            "candidates": fusion.search.candidates,
            "without_mapping": fusion.search.without_mapping,
            "unfused_cycles": fusion.unfused.cycles,
            "unfused_energy_pj": fusion.unfused.energy_pj,
            "turns": [
                {
                    "producer": choice.how.producer,
                    "consumer": choice.how.consumer,
                    "rows": choice.how.rows,
                    "rows_outside": choice.how.rows_outside,
                    "in_scratchpad": choice.how.in_scratchpad,
                    **choice.spent._asdict(),
                    **_apart_dict(choice),
                }
                for choice in result.turns
            ],
            "groups": [
                {
                    "operators": list(gain.operators),
                    "internal_bytes": _internal_bytes(result, gain),
                    "fused": _spent_dict(result, gain.fused),
                    "unfused": _spent_dict(result, gain.unfused),
                }
                for gain in fusion.gains
            ],
            "best_by_estimate": _cut_dict(fusion.search.best),
            "next_best_by_estimate": None if other is None else _cut_dict(other),
        }
    }


def _apart_dict(choice: TurnsChoice) -> dict[str, object]:
    return {} if choice.apart is None else {f"apart_{name}": value for name, value in choice.apart._asdict().items()}


def _row(result: RunResult, gain: GroupGain) -> tuple[str, ...]:
    fused, unfused = gain.fused, gain.unfused
    bus = (unfused.beats - fused.beats) * result.spec.dma.bus_bytes_per_cycle
    group = result.group(gain.operators[0])
    return (
        " + ".join(gain.operators),
        size(sum(_bytes(group, tensor) for tensor in group.internal)),
        f"{fused.cycles:,}",
        f"{unfused.cycles:,}",
        f"{1.0 - fused.cycles / unfused.cycles:.1%}",
        _signed(size, unfused.dram_bytes - fused.dram_bytes),
        _signed(size, bus),
        _signed(energy, unfused.energy_pj - fused.energy_pj),
    )


def _turns(result: RunResult, choice: TurnsChoice) -> str:
    how, between = choice.how, result.group(choice.how.producer).result
    op = result.graph.operator(how.producer)
    rows = min(how.rows, op.dims["m"])
    order = "all instances of a block of rows first" if how.rows_outside else "one instance after the other"
    held = size(rows * op.dims["n"])
    text = (
        f"{how.producer} and {how.consumer} in turns, blocks of {rows:,} rows, {order}: {held} of {between.name} at a "
        f"time between them{', in the scratchpad' if how.in_scratchpad else ''}"
    )
    spent, apart = choice.spent, choice.apart
    if apart is None:
        return f"{text}; {spent.cycles:,} cycles, {energy(spent.energy_pj)}, {size(spent.dram_bytes)} of DRAM"
    pj = _signed(energy, apart.energy_pj - spent.energy_pj)
    dram = _signed(size, apart.dram_bytes - spent.dram_bytes)
    return f"{text}; {spent.cycles / apart.cycles - 1.0:+.1%} cycles, {pj} and {dram} of DRAM saved"


def _signed(text: Callable[[float], str], number: float) -> str:
    return f"-{text(-number)}" if number < 0 else text(number)


def _sentence(result: RunResult, fusion: Fusion) -> str:
    whole, unfused, search = result.simulation, fusion.unfused, fusion.search
    if fusion.gains:
        cycles, pj = 1.0 - whole.cycles / unfused.cycles, 1.0 - whole.energy_pj / unfused.energy_pj
        bought = f"fusion: {cycles:.1%} of the cycles and {pj:.1%} of the energy of the cut without it"
    else:
        bought = "fusion: no group beyond element-wise activations is better on the machine"
    text = f"{bought}; the best of all cuts of {search.candidates} groups by the estimate, settled by simulation"
    if search.next_best is None:
        return text
    best, other = search.best, search.next_best
    changed = [" + ".join(names) for names in other.names if names not in best.names]
    more = other.cycles / best.cycles - 1.0, other.energy_pj / best.energy_pj - 1.0
    return (
        f"{text}; the next best has {', '.join(changed)}: {more[0]:+.2%} cycles, {more[1]:+.2%} energy by the estimate"
    )


def _bytes(group: FusionGroup, tensor: Tensor) -> int:
    """Bytes that a tensor between operators would take in the accumulator, all of it at once."""
    return tensor.elements * (4 if group.unit in ("array", "accumulator") else 1)


def _internal_bytes(result: RunResult, gain: GroupGain) -> dict[str, int]:
    group = result.group(gain.operators[0])
    return {tensor.name: _bytes(group, tensor) for tensor in group.internal}


def _spent_dict(result: RunResult, spent: Spent) -> dict[str, object]:
    return {
        "cycles": spent.cycles,
        "energy_pj": spent.energy_pj,
        "dram_bytes": spent.dram_bytes,
        "bus_bytes": spent.beats * result.spec.dma.bus_bytes_per_cycle,
    }


def _cut_dict(cut: PricedCut) -> dict[str, object]:
    groups = [list(names) for names in cut.names if len(names) > 1]
    return {"groups": groups, "block_cycles": cut.cycles, "block_energy_pj": cut.energy_pj}
