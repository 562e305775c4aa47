"""``tilewright generate``: a prompt and the tokens behind it, from time to first token to joules per token."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from mapper.commands.answers import Answer, json_file
from mapper.commands.machine import overrides
from mapper.commands.outputs import open_outputs
from mapper.commands.progress import OperatorProgress
from mapper.generation.engine import generate
from mapper.generation.lines import as_dict, text
from mapper.settings import RunSettings


def execute(options: argparse.Namespace) -> int:
    """Simulate the prompt and some steps, and print; an interrupted run prints the operators it finished."""
    settings = RunSettings(
        overrides=overrides(options.overrides), energy=options.energy, objective=options.objective,
        causal=options.causal, lm_head=not options.blocks_only, exact=options.exact,
    )  # fmt: skip
    with ExitStack() as stack:
        outputs = open_outputs(stack, {"json": options.json}, (options.hw, options.energy))
        with OperatorProgress() as progress:
            done = generate(
                options.model, options.hw, prompt=options.prompt, tokens=options.tokens, batch=options.batch,
                settings=settings, progress=progress,
            )  # fmt: skip
        return Answer(text(done), {"json": json_file(lambda: as_dict(done))}).deliver(outputs)
