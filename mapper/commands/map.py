"""``tilewright map``: one matmul on a machine, with the loop nest that was found."""

from __future__ import annotations

import argparse
import re
from contextlib import ExitStack
from pathlib import Path

from mapper import pipeline
from mapper.commands import searching
from mapper.commands.machine import overrides
from mapper.commands.outputs import Output, open_outputs
from mapper.commands.problems import CommandError, nearest
from mapper.commands.reporting import summary, write_outputs
from mapper.errors import MappingError
from mapper.mapping.hardware_loop import hardware_loop_of
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import dump_mapping, read_mapping
from mapper.reports.finalists import finalists_table
from mapper.reports.text import wrapped
from mapper.search.policy import POLICIES
from mapper.search.strategies import Choice, SearchInterrupted

LARGEST = 2**31
"""Largest extent accepted in one dimension."""

INTERRUPTED = 130


def execute(options: argparse.Namespace) -> int:
    """Map one matmul, simulate it if the machine can run it, and print what was found."""
    shape = extents(options.shape)
    fixed = fixed_mapping(options)
    if options.mapspace == "hardware-loop" and fixed is not None:
        hardware_loop_of(fixed)  # says why if it is none
    loop_nest = options.mapspace == "loop-nest" or (fixed is not None and not is_hardware_loop(fixed))
    searching.check(options, loop_nest=loop_nest, fixed=options.mapping != "best")
    if loop_nest:
        from mapper.commands import nests

        return nests.execute(options, shape, fixed)
    if options.objective == "pareto":
        from mapper.commands import fronts

        return fronts.execute(options, shape)
    return _hardware_loop(options, shape, fixed)


def _hardware_loop(options: argparse.Namespace, shape: tuple[int, int, int], fixed: LoopNest | None) -> int:
    changes = overrides(options.overrides)
    with ExitStack() as stack:
        wanted = {"json": options.json, "trace": options.trace, "plot": options.plot, "yaml": options.yaml}
        read = (options.hw, options.energy, options.mapping if fixed else None)
        outputs = open_outputs(stack, wanted, read)
        progress = stack.enter_context(searching.bar())
        try:
            result = pipeline.map_matmul(
                *shape,
                options.hw,
                choose=searching.chooser_of(options, fixed, progress),
                overrides=changes,
                energy=options.energy,
                spans="trace" in outputs,
                exact=options.exact,
            )
        except SearchInterrupted as interrupt:
            return _interrupted(interrupt.choice, outputs)
        (choice,) = result.choices.values()
        print(choice.mapping.loop_nest() + "\n")
        print("\n".join(wrapped(choice.statement)) + "\n")
        if choice.finalists is not None:
            print(finalists_table(choice.finalists) + "\n")
        print(summary(result, explained=options.explain))
        _write_yaml(choice.mapping, outputs)
        write_outputs(result, options.objective, outputs)
    return 0


def _interrupted(choice: Choice, outputs: dict[str, Output]) -> int:
    """Nothing is lost: the best so far is printed and written, but not simulated."""
    print(choice.mapping.loop_nest() + "\n")
    print("\n".join(wrapped(choice.statement)))
    if choice.found is not None:
        best = choice.found.best
        print(f"estimate: {best.cycles:,.0f} cycles, {best.energy_pj * 1e-6:,.2f} µJ; not simulated", flush=True)
    _write_yaml(choice.mapping, outputs)
    return INTERRUPTED


def _write_yaml(mapping: LoopNest, outputs: dict[str, Output]) -> None:
    if "yaml" in outputs:
        outputs["yaml"].finish(lambda path: path.write_text(dump_mapping(mapping), encoding="utf-8"))


def fixed_mapping(options: argparse.Namespace) -> LoopNest | None:
    """The mapping of the file that ``--mapping`` names; None if it names a policy.

    Raises
    ------
    CommandError
        Neither a policy nor a file.
    MappingError
        The file is no mapping.
    """
    if options.mapping in POLICIES:
        return None
    path = Path(options.mapping)
    if not path.exists():
        hint = nearest(options.mapping, POLICIES)
        raise CommandError(f"--mapping {options.mapping}: neither {', '.join(POLICIES)} nor a file{hint}")
    return read_mapping(path)


def is_hardware_loop(mapping: LoopNest) -> bool:
    """Whether Gemmini's hardware loop can run a nest."""
    try:
        hardware_loop_of(mapping)
    except MappingError:
        return False
    return True


def extents(shape: str) -> tuple[int, int, int]:
    """``"512x768x64"`` as three positive numbers.

    Raises
    ------
    CommandError
        Anything else.
    """
    found = re.fullmatch(r"([0-9]{1,10})[xX×]([0-9]{1,10})[xX×]([0-9]{1,10})", shape)
    if not found or not all(0 < int(extent) <= LARGEST for extent in found.groups()):
        raise CommandError(f"{shape!r} is no matmul: write MxKxN with whole numbers in 1..{LARGEST}, as in 512x768x768")
    m, k, n = map(int, found.groups())
    return m, k, n
