"""Programs on numbers: what the mapper lowers passes, and bugs planted in the lowering are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest

import hwconfigs
import workloads
from mapper import pipeline
from mapper.compiler import Compiler
from mapper.errors import MappingError
from mapper.evaluation.number_reports import NumbersCheck
from mapper.evaluation.numbers import NumbersRun, apart
from mapper.evaluation.turns import TurnsChoice, TurnsCost
from mapper.graph.dram_layout import DramLayout, lay_out
from mapper.graph.fusion_plan import FusionPlan
from mapper.graph.interleaving import Interleaving
from mapper.lowering.repeated_program import CommandInstance, MatmulInstance, RepeatedProgram
from mapper.result import RunResult
from mapper.search.budget import Budget
from mapper.search.strategies import library_tile
from simulator.program import Item, MatmulLoop, Mvout, Program

LIBRARY = {"search": "gemmini_auto"}


@pytest.fixture(scope="module")
def fused() -> RunResult:
    """Tiles of a small accumulator: every matmul of the block has several along m, k and n."""
    changes = {"accumulator.capacity": "64 KiB", "scratchpad.capacity": "64 KiB"}
    return pipeline.run(
        "bert-base", "gemmini_ibert", seq=40, overrides=changes, fusion="gemmini", search="gemmini_auto"
    )


def checked(
    result: RunResult,
    change: Callable[[Program], Program] = lambda program: program,
    layout: DramLayout | None = None,
) -> NumbersCheck:
    """Check a run whose programs, or whose layout, were changed."""
    layout = layout or lay_out(result.groups)
    compiler = Compiler(result.spec, None, layout, library_tile, result.searches)  # type: ignore[arg-type]

    def changed(programs: Iterable[RepeatedProgram]) -> Iterable[RepeatedProgram]:
        for repeated in programs:
            yield RepeatedProgram(
                repeated.count, lambda number, of=repeated: CommandInstance(change(of.instance(number).program))
            )

    run = NumbersRun(result.spec, layout, np.random.default_rng(0))
    return run.run(apart(result.groups, lambda group: changed(compiler.lower(group))))


DECODE = ("gpt2", "gemmini_ibert", {"phase": "decode", "context": 30})


@pytest.mark.parametrize(
    ("model", "hw", "options", "fusion"),
    [
        ("bert-base", "gemmini_ibert", {"seq": 24}, "auto"),
        (*DECODE, "none"),
        ("bert-base", "gemmini", {"seq": 16}, "auto"),
        pytest.param(*DECODE, "auto", marks=pytest.mark.slow),
        pytest.param("bert-base", "gemmini_ibert", {"seq": 24}, "none", marks=pytest.mark.slow),
        pytest.param("bert-base", "gemmini", {"seq": 16}, "none", marks=pytest.mark.slow),
        pytest.param("gpt2", "paper_codesign", {"seq": 17}, "auto", marks=pytest.mark.slow),
        pytest.param("gpt2", "paper_codesign", {"seq": 17}, "none", marks=pytest.mark.slow),
    ],
)
def test_lowered_blocks_compute_what_their_operators_mean(
    model: str, hw: str, options: dict[str, object], fusion: str
) -> None:
    result = pipeline.run(model, hw, fusion=fusion, finalists=0, **options)  # type: ignore[arg-type]
    check = pipeline.check_numbers(result)
    assert check.wrong == []
    assert check.passed
    assert check.programs >= len(result.groups) - len(check.on_host)
    kernels = {numbers.kernel for numbers in check.kernels}
    assert kernels == (set() if hw == "gemmini" else {"softmax", "layernorm", "gelu"})
    assert check.elements == sum(group.result.elements for group in result.groups if group.name not in check.on_host)


RESIDUAL = (
    ["out", "attention_add", "attention_norm"],
    ["ffn2", "ffn_add"],
    ["scores", "softmax"],
    ["ffn1", "ffn_activation"],
)


def test_residuals_are_added_to_the_sums_of_a_matmul() -> None:
    """Small memories: several tiles along every dimension of both matmuls, so that partial sums come back, too."""
    spec = hwconfigs.load("gemmini_ibert", {"accumulator.capacity": "64 KiB", "scratchpad.capacity": "32 KiB"})
    graph = workloads.build("bert-base", seq=40)
    named = {name for group in RESIDUAL for name in group}
    cut = [*RESIDUAL, *([op.name] for op in graph.operators if op.name not in named)]
    result = pipeline.run_graph(graph, spec, cut=cut, search="random", budget=Budget(evaluations=20), seed=3)
    check = pipeline.check_numbers(result)
    assert check.wrong == []
    assert check.passed
    for expected, measured in zip(result.estimate.by_op, result.simulation.by_op, strict=True):
        assert expected.counts == measured.counts


@pytest.mark.parametrize("rows_outside", [pytest.param(False, marks=pytest.mark.slow), True])
def test_blocks_of_rows_in_turns_compute_the_same(fused: RunResult, rows_outside: bool) -> None:
    """40 rows in blocks of 16: the last one has 8. Blocks of a head come first, or those of all heads."""
    turns = TurnsChoice(Interleaving("scores", "context", 16, rows_outside), TurnsCost(0, 0.0, 0))
    check = pipeline.check_numbers(replace(fused, turns=(turns,)))
    assert check.passed
    assert check.programs == pipeline.check_numbers(fused).programs + 2 * 12 * 2
    assert next(numbers.group for numbers in check.kernels) == "scores"


@pytest.mark.parametrize("rows", [16, pytest.param(40, marks=pytest.mark.slow)])
def test_blocks_that_stay_in_the_scratchpad_compute_the_same(rows: int) -> None:
    """Ragged blocks of 40 rows; what lies between the matmuls is no traffic, at both fidelities."""
    spec = hwconfigs.load("gemmini_ibert", {"vector.writes_scratchpad": True, "accumulator.capacity": "32 KiB"})
    config = {"name": "bert", "family": "bert", "layers": 1, "d_model": 40, "heads": 1, "d_ffn": 72}
    graph = workloads.build(config, seq=40)
    cut = [("scores", "softmax"), ("ffn1", "ffn_activation")]
    turns = tuple(Interleaving(*names, rows, in_scratchpad=True) for names in (("scores", "context"), ("ffn1", "ffn2")))
    memory = tuple(replace(how, in_scratchpad=False) for how in turns)
    named = {name for group in cut for name in group}
    whole = (*cut, *((op.name,) for op in graph.operators if op.name not in named))
    kept, passed = (
        pipeline.run_graph(graph, spec, cut=FusionPlan(whole, ways), search="gemmini_auto") for ways in (turns, memory)
    )
    check = pipeline.check_numbers(kept)
    assert check.passed
    assert {numbers.group for numbers in check.kernels} >= {"scores", "ffn1"}
    for expected, measured in zip(kept.estimate.by_op, kept.simulation.by_op, strict=True):
        assert expected.counts == measured.counts
    scores, ffn1 = (next(part for part in kept.simulation.by_op if part.name == name) for name in ("scores", "ffn1"))
    assert scores.counts["dma", "write_request"] == ffn1.counts["dma", "write_request"] == 0
    assert kept.simulation.counts["dma", "read_beat"] < passed.simulation.counts["dma", "read_beat"]
    assert kept.plan.turns == turns


def test_blocks_stay_in_no_scratchpad_without_a_path_or_without_room(fused: RunResult) -> None:
    how = Interleaving("scores", "context", 40, in_scratchpad=True)
    plan = FusionPlan(fused.plan.cut, (how,))
    with pytest.raises(MappingError, match=r"has no path into the scratchpad \(vector.writes_scratchpad"):
        pipeline.run_graph(fused.graph, fused.spec, cut=plan, **LIBRARY)  # type: ignore[arg-type]
    small = hwconfigs.override(fused.spec, {"vector.writes_scratchpad": True, "scratchpad.capacity": "2 KiB"})
    with pytest.raises(MappingError, match=r"no room for a block between them\n.* 2,304 bytes > 2,048"):
        pipeline.run_graph(fused.graph, small, cut=plan, search="random", budget=Budget(evaluations=4))


def test_a_unit_that_has_silu_applies_it_as_the_gate_leaves() -> None:
    config = {"name": "l", "family": "llama", "layers": 1, "d_model": 32, "heads": 1, "d_ffn": 40}
    spec = hwconfigs.load("gemmini_ibert", {"vector.kernels": ["softmax", "silu"]})
    result = pipeline.run_graph(workloads.build(config, seq=20), spec, search="gemmini_auto")
    assert [op.name for op in result.group("ffn_activation").operators] == ["gate", "ffn_activation"]
    check = pipeline.check_numbers(result)
    assert check.passed
    assert next(numbers.kernel for numbers in check.kernels if numbers.group == "gate") == "silu"
    assert result.simulation.counts["vector", "silu"] == 20 * 40


def test_other_numbers_are_drawn_with_another_seed(fused: RunResult) -> None:
    first, second = (pipeline.check_numbers(fused, seed=seed) for seed in (0, 1))
    assert first.passed and second.passed
    assert first.kernels != second.kernels


def each_loop(program: Program, change: Callable[[MatmulLoop], MatmulLoop]) -> Program:
    items: list[Item] = [change(item) if isinstance(item, MatmulLoop) else item for item in program.items]
    return replace(program, items=tuple(items))


def test_a_wrong_tile_edge_is_caught(fused: RunResult) -> None:
    """The last rows of a tile are left out when it is the ragged one: 40 rows are two blocks and a half."""

    def short(loop: MatmulLoop) -> MatmulLoop:
        return replace(loop, m=loop.m - 1) if loop.m % 16 else loop

    check = checked(fused, lambda program: each_loop(program, short))
    assert "q" in [wrong.group for wrong in check.wrong]
    assert not check.passed


def test_a_missing_accumulate_is_caught(fused: RunResult) -> None:
    check = checked(fused, lambda program: each_loop(program, lambda loop: replace(loop, accumulate=False)))
    several = {
        name for name, nest in fused.mappings.items() for loop in nest.level("dram").temporal
        if loop.dim == "k" and loop.tile < nest.dims["k"]
    }  # fmt: skip
    assert several
    assert {wrong.group for wrong in check.wrong} == several


def test_an_early_overwrite_is_caught(fused: RunResult) -> None:
    """Probabilities lie where x is, which the residual addition has yet to read."""
    layout = lay_out(fused.groups)
    early = replace(layout.allocations["softmax"], address=layout.allocations["x"].address)
    check = checked(fused, layout=replace(layout, allocations={**layout.allocations, "softmax": early}))
    assert [wrong.group for wrong in check.wrong] == ["attention_add"]


def test_a_store_beside_its_result_is_caught(fused: RunResult) -> None:
    def moved(program: Program) -> Program:
        extra = next((item for item in program.items if isinstance(item, Mvout)), None)
        stray = () if extra is None else (replace(extra, target=replace(extra.target, address=4096)),)
        return replace(program, items=(*program.items[:-1], *stray, program.items[-1]))

    check = checked(fused, moved)
    assert any("changes DRAM outside its result" in str(wrong) for wrong in check.wrong)


def test_a_kernel_that_returns_zeros_is_not_near(fused: RunResult) -> None:
    """Equal integers are no proof of a good unit: what it returns is held against the float definition, too."""
    numbers = pipeline.check_numbers(fused).kernels[0]
    assert numbers.is_near
    assert not replace(numbers, largest_error=numbers.float_largest).is_near


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (float("nan"), "input=nan must be a positive number"),
        (-1.0, "input=-1.0 must be a positive number"),
        (0.9, "scores: .*a step of 0.9 is longer than ln 2"),
        (3e-5, "scores: .*a step of 3e-05 is too short: exponentials of a row add up to"),
        (1e-5, "scores: .*a step of 1e-05 is too short: from 2.11e-05 on"),
        (1e-300, "scores: .*a step of 1e-300 is too short"),
    ],
)
def test_steps_that_no_unit_can_have_are_refused(fused: RunResult, step: float, says: str) -> None:
    with pytest.raises((MappingError, ValueError), match=says):
        pipeline.check_numbers(fused, step=step)


def test_matmul_instances_are_programs_of_their_own(fused: RunResult) -> None:
    compiler = Compiler(fused.spec, None, lay_out(fused.groups), library_tile, fused.searches)  # type: ignore[arg-type]
    (scores,) = compiler.lower(fused.group("scores"))
    assert scores.count == 12
    assert isinstance(scores.instance(3), MatmulInstance)
