"""``tilewright run``: a model on a machine, from its name to the table, and to files if asked."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from mapper import pipeline
from mapper.commands.outputs import open_outputs
from mapper.commands.progress import OperatorProgress
from mapper.commands.reporting import run_answer
from mapper.commands.requests import run_request
from mapper.reports.text import wrapped
from mapper.result import RunResult


def execute(options: argparse.Namespace) -> int:
    """Map, simulate and print; an interrupted run prints the operators it finished."""
    request = run_request(options)
    with ExitStack() as stack:
        outputs = open_outputs(stack, request.files, request.reads)
        with OperatorProgress() as progress:
            result = pipeline.run(request.model, request.hw, request.settings, progress=progress)
        return run_answer(result, explained=request.explain, below=_finals(result)).deliver(outputs)


def _finals(result: RunResult) -> list[str]:
    """Which matmuls run another mapping than the best by the estimate, and how much better it simulated."""
    count = result.settings.finalists
    if count is None:
        return []
    finals = {name: search.finalists for name, search in result.searches.items() if search.finalists is not None}
    gains = {name: final.gain for name, final in finals.items() if final.gain > 0}
    better = ", ".join(f"{name} ({gain:.2%})" for name, gain in gains.items())
    return wrapped(
        f"finalists: {count} simulated for each matmul; better than the best by the estimate: {better or 'none'}"
    )
