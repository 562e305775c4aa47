"""``tilewright map``: one matmul on a machine, with the mapping or the front that was found.

A hardware loop is simulated, and so is a front of them; loop nests of any form are priced by formulas only.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace

from hwconfigs import HardwareSpec
from mapper import pipeline
from mapper.commands.answers import Answer, mapping_file
from mapper.commands.fronts import front_answer
from mapper.commands.outputs import open_outputs
from mapper.commands.progress import search_bar
from mapper.commands.reporting import run_answer
from mapper.commands.requests import MapRequest, map_request
from mapper.reports.finalists import SHOWN, far_off_lines, finalists_table
from mapper.reports.quantities import quantity
from mapper.reports.text import wrapped
from mapper.search.mapping_result import MappingResult, SearchInterrupted
from mapper.search.options import SearchProgress
from mapper.search.strategies import FixedMapping, SearchStrategy


def execute(options: argparse.Namespace) -> int:
    """Map one matmul, simulate it if the machine can run it, and print what was found."""
    request = map_request(options)
    with ExitStack() as stack:
        outputs = open_outputs(stack, request.files, request.reads)
        progress = stack.enter_context(search_bar())
        spec = pipeline.load(request.hw, request.settings.overrides)
        if request.given is not None:
            request = replace(request, given=request.given.on(spec.name))
        return _answer(request, spec, progress).deliver(outputs)


def _answer(request: MapRequest, spec: HardwareSpec, progress: SearchProgress) -> Answer:
    if request.loop_nest:
        from mapper.commands.nests import nest_answer

        return nest_answer(request, spec, progress)
    if request.settings.objective == "pareto":
        graph = pipeline.matmul_graph(*request.shape)
        (result,) = pipeline.front_graph(graph, spec, request.settings, progress=progress).values()
        return front_answer(result, request, spec, "hardware-loop")
    return _hardware_loop_answer(request, spec, progress)


def _hardware_loop_answer(request: MapRequest, spec: HardwareSpec, progress: SearchProgress) -> Answer:
    given, settings = request.given, request.settings
    strategy = (
        SearchStrategy(settings.objective, settings.search, settings.strategy_options(progress))
        if given is None
        else FixedMapping(given.mapping, given.origin)
    )
    graph = pipeline.matmul_graph(*request.shape, request.repeat)
    try:
        result = pipeline.run_graph(graph, spec, settings, strategy=strategy)
    except SearchInterrupted as interrupt:
        return _interrupted(interrupt.result)
    (chosen,) = result.searches.values()
    above = [chosen.mapping.loop_nest(), "", *wrapped(chosen.statement), ""]
    if chosen.finalists is not None:
        above += [finalists_table(chosen.finalists, settings.finalists or SHOWN), ""]
    answer = run_answer(
        result, explained=request.explain, above=above, below=far_off_lines(result), window=request.window,
        size=request.size,
    )  # fmt: skip
    return Answer(answer.text, {"yaml": mapping_file(chosen.mapping), **answer.files})


def _interrupted(result: MappingResult) -> Answer:
    """Nothing is lost: the best so far is printed and written, but not simulated."""
    lines = [result.mapping.loop_nest(), "", *wrapped(result.statement)]
    if result.estimated is not None:
        _, cycles, energy_pj = result.estimated
        lines.append(f"estimate: {cycles:,.0f} cycles, {quantity(energy_pj * 1e-12, 'J')}; not simulated")
    return Answer("\n".join(lines), {"yaml": mapping_file(result.mapping)}, interrupted=True)
