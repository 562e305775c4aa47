"""``tilewright run``: a model on a machine, from its name to the table, and to files if asked."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from mapper import pipeline
from mapper.commands import searching
from mapper.commands.machine import overrides
from mapper.commands.outputs import open_outputs
from mapper.commands.progress import Progress
from mapper.commands.reporting import summary, write_outputs
from mapper.reports.text import wrapped
from mapper.result import RunResult


def execute(options: argparse.Namespace) -> None:
    """Map, simulate and print; an interrupted run prints the operators it finished."""
    changes = overrides(options.overrides)
    searching.check(options, loop_nest=False, fixed=options.mapping != "best")
    with ExitStack() as stack:
        wanted = {"json": options.json, "trace": options.trace, "plot": options.plot}
        outputs = open_outputs(stack, wanted, (options.model, options.hw, options.energy))
        with Progress() as progress:
            choose = searching.chooser_of(options)
            result = pipeline.run(
                options.model,
                options.hw,
                seq=options.seq,
                phase=options.phase,
                context=options.context,
                batch=options.batch,
                strict_positions=options.strict_positions,
                choose=choose,
                overrides=changes,
                energy=options.energy,
                spans="trace" in outputs,
                exact=options.exact,
                progress=progress,
            )
        print(summary(result, explained=options.explain))
        if options.finalists is not None:
            print("\n".join(wrapped(_finals(result, options.finalists))))
        write_outputs(result, options.objective, outputs)


def _finals(result: RunResult, count: int) -> str:
    """Which matmuls run another mapping than the best by the estimate, and how much better it simulated."""
    finals = {name: choice.finalists for name, choice in result.choices.items() if choice.finalists is not None}
    gains = {name: final.gain for name, final in finals.items() if final.gain > 0}
    better = ", ".join(f"{name} ({gain:.2%})" for name, gain in gains.items())
    return f"finalists: {count} simulated for each matmul; better than the best by the estimate: {better or 'none'}"
