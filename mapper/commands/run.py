"""``tilewright run``: a model on a machine, from its name to the table, and to files if asked."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace

from mapper import pipeline
from mapper.commands.answers import text_file
from mapper.commands.exit_codes import CHECK_FAILED
from mapper.commands.outputs import open_outputs
from mapper.commands.progress import OperatorProgress
from mapper.commands.reporting import run_answer
from mapper.commands.requests import run_request
from mapper.graph.cut_file import dump_plan
from mapper.reports.finalists import far_off_lines, settled_lines
from mapper.reports.fusion_report import fusion_lines
from mapper.reports.number_lines import number_lines


def execute(options: argparse.Namespace) -> int:
    """Map, simulate and print; an interrupted run prints the operators it finished."""
    request = run_request(options)
    with ExitStack() as stack:
        outputs = open_outputs(stack, request.files, request.reads)
        with OperatorProgress() as progress:
            result = pipeline.run(request.model, request.hw, request.settings, progress=progress)
        below = [*fusion_lines(result), *settled_lines(result), *far_off_lines(result)]
        answer = run_answer(result, explained=request.explain, below=below, window=request.window, size=request.size)
        plan = text_file(lambda: dump_plan(result.plan, result.graph, result.spec))
        code = replace(answer, files={**answer.files, "yaml": plan}).deliver(outputs)
        if not request.check:
            return code
        # The report is out before the check begins, which may be interrupted or refuse the step.
        checked = pipeline.check_numbers(result, step=request.step)
        print("\n".join(number_lines(checked)), flush=True)
        return code if checked.passed else CHECK_FAILED
