"""``tilewright map``: one matmul on a machine, with the loop nest that was found."""

from __future__ import annotations

import argparse
import re
from contextlib import ExitStack

from mapper import pipeline
from mapper.commands.machine import overrides
from mapper.commands.outputs import open_outputs
from mapper.commands.problems import CommandError
from mapper.commands.reporting import summary, write_outputs
from mapper.mapping_file import dump_mapping

LARGEST = 2**31
"""Largest extent accepted in one dimension."""


def execute(options: argparse.Namespace) -> None:
    """Map, simulate and print one matmul."""
    m, k, n = extents(options.shape)
    changes = overrides(options.overrides)
    with ExitStack() as stack:
        wanted = {"json": options.json, "trace": options.trace, "plot": options.plot, "yaml": options.yaml}
        outputs = open_outputs(stack, wanted, (options.hw, options.energy))
        result = pipeline.map_matmul(
            m,
            k,
            n,
            options.hw,
            objective=options.objective,
            policy=options.mapping,
            overrides=changes,
            energy=options.energy,
            spans="trace" in outputs,
            exact=options.exact,
        )
        (mapping,) = result.mappings.values()
        print(mapping.loop_nest() + "\n")
        print(summary(result, explained=options.explain))
        if "yaml" in outputs:
            outputs["yaml"].finish(lambda path: path.write_text(dump_mapping(mapping), encoding="utf-8"))
        write_outputs(result, options.objective, outputs)


def extents(shape: str) -> tuple[int, int, int]:
    """``"512x768x64"`` as three positive numbers.

    Raises
    ------
    CommandError
        Anything else.
    """
    found = re.fullmatch(r"(\d+)[xX×](\d+)[xX×](\d+)", shape)
    if not found or not all(0 < int(extent) <= LARGEST for extent in found.groups()):
        raise CommandError(f"{shape!r} is no matmul: write MxKxN with whole numbers in 1..{LARGEST}, as in 512x768x768")
    m, k, n = map(int, found.groups())
    return m, k, n
