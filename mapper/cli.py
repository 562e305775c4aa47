"""The command ``tilewright``: parses arguments, calls one subcommand, turns problems into one clear line.

Only the standard library and lists of names are imported here, so that ``--help`` and mistyped options answer at once;
a subcommand brings what it needs.

Exit codes: 0 done, 1 a validation gate fails, 2 bad input, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from mapper.commands.compare_options import COMPARE, add_compare
from mapper.commands.exit_codes import BAD_INPUT, INTERRUPTED, TERMINATED
from mapper.commands.generate_options import add_generate
from mapper.commands.machines import MAP_MACHINE, RUN_MACHINE
from mapper.commands.plot_options import PLOT, add_plot, add_size
from mapper.commands.regress_options import OTHER_MACHINE, REGRESS, add_regress
from mapper.commands.report_options import REPORT, add_report
from mapper.commands.shape_options import add_shape, fill_shape
from mapper.commands.study_options import STUDY, add_study
from mapper.commands.sweep_options import add_commands as add_sweep_commands
from mapper.commands.validate_options import VALIDATE, add_validate
from mapper.cost.objective import GOALS, OBJECTIVES
from mapper.search.registry import MAPSPACES, RULES, SEARCHES, WITH_SEED

DESCRIPTION = "Map Transformer inference onto Gemmini-like accelerators and simulate it, cycle by cycle."
EPILOG = """examples:
  tilewright run bert-base --hw gemmini_ibert --seq 512
  tilewright run gpt2 --phase decode --context 512 --hw gemmini_ibert
  tilewright run path/to/config.json --seq 128 --set scratchpad.capacity="64 KiB" --json report.json
  tilewright map 512x768x768 --hw gemmini --objective edp
  tilewright map 512x768x768 --mapspace loop-nest --objective edp --yaml best.yaml
  tilewright map 512x768x768 --mapping best.yaml
  tilewright compare gemmini gemmini_ibert --model bert-base --seq 128
  tilewright list
  tilewright show hw gemmini

Without --hw a model runs on gemmini_ibert, which has normalisation units, a matmul on gemmini, which has none.
"""
NAMES = (
    "run", "generate", "map", "map-block", "compare", "plot", "report", "sweep", "explore", "results", "reproduce",
    "list", "show", "validate", "study", "regress",
)  # fmt: skip
COMMANDS = {name: f"mapper.commands.{name.replace('-', '_')}" for name in NAMES}
POLICIES = ("best", *RULES)
"""Ways to a mapping besides a search."""

ACCOUNTINGS = ("default", "timeloop", "accelforge")
"""As in `mapper.commands.nests`, which is not imported for the sake of ``--help``; a test compares."""

LONGEST_LINE = 600
"""Characters of a complaint."""

MOST_LINES = 50
"""Complaints that are told."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line, and options that are given twice, of which argparse takes the last."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in (None, "store"):
            self.register("action", name, _Once)

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {_shortened(message)} (see {self.prog} --help)\n")


class _Once(argparse._StoreAction):
    """Stores the value of an option; a second one would silently win."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        given: set[str] = namespace.__dict__.setdefault("_given", set())
        if option is not None and self.dest in given:
            raise argparse.ArgumentError(self, f"given twice: {getattr(namespace, self.dest)}, then {values}")
        given.add(self.dest)
        super().__call__(parser, namespace, values, option)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; ``arguments`` default to those of the process."""
    _prepare_streams()
    try:
        with _ended_by_sigterm(), warnings.catch_warnings():
            warnings.showwarning = _note
            return _run(arguments)
    except KeyboardInterrupt:
        print("tilewright: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()  # the reader has gone (``| head``)
        return 0
    except Exception as problem:
        from mapper.commands.problems import explanation

        lines = explanation(problem)
        if not lines:
            raise
        for line in lines[:MOST_LINES]:
            print(f"tilewright: {_shortened(line)}", file=sys.stderr)
        if len(lines) > MOST_LINES:
            print(f"tilewright: and {len(lines) - MOST_LINES:,} more problems", file=sys.stderr)
        if isinstance(problem, OSError) and problem.filename is None:
            _drop_output()
        return BAD_INPUT


def _shortened(line: str) -> str:
    """``line`` without the middle of an endless one: what was asked is at its begin, what is allowed at its end.

    What would move a terminal's cursor or colour it is spelt out.
    """
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"


def _run(arguments: Sequence[str] | None) -> int:
    """Parse and execute; whatever was printed has left this process at the end."""
    try:
        options = parser().parse_args(arguments)
    except SystemExit:
        sys.stdout.flush()
        raise
    command = importlib.import_module(COMMANDS[options.command])
    if getattr(options, "quiet", False) or "-" in (getattr(options, "json", None), getattr(options, "yaml", None)):
        from mapper.commands.outputs import quietly

        with quietly():
            code: int | None = command.execute(options)
    else:
        code = command.execute(options)
    sys.stdout.flush()
    return code or 0


def _note(message: Warning | str, *_: object, **__: object) -> None:
    """Tell a warning as a line of ours, without the place in the code that it came from."""
    print(f"tilewright: note: {_shortened(' '.join(str(message).split()))}", file=sys.stderr)


def _prepare_streams() -> None:
    """Closed streams swallow what is printed; letters that an encoding lacks become question marks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_output() -> None:
    """Nobody takes the output: the interpreter must not complain again when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that no unfinished file stays."""

    def end(*_: object) -> NoReturn:
        raise SystemExit(TERMINATED)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # a thread of somebody's program: signals are not ours
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def parser() -> Parser:
    """The whole command line."""
    whole = Parser("tilewright", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawTextHelpFormatter)
    whole.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    _add_run(commands.add_parser("run", help="map and simulate a model", description="Map and simulate a model."))
    _add_map(commands.add_parser("map", help="map and simulate one matmul", description="Map and simulate one matmul."))
    add_generate(commands, _name, OBJECTIVES)
    text = "fuse the operators of a model in loop nests"
    _add_map_block(commands.add_parser("map-block", help=text, description=f"{text.capitalize()}, by formulas only."))
    compare = commands.add_parser("compare", help="several runs side by side", description=COMPARE)
    fill_shape(add_compare(compare, _name))
    _add_set(compare)
    add_plot(commands.add_parser("plot", help="draw a run or a sweep that was written", description=PLOT), _name)
    add_report(commands.add_parser("report", help="a page of HTML about runs", description=REPORT), _name)
    add_sweep_commands(commands, _name)
    text = "list the models, machines and energy presets"
    commands.add_parser("list", help=text, description=f"{text.capitalize()}.")
    show = commands.add_parser("show", help="show a machine, a model or a mapping", description="Show one thing whole.")
    show.add_argument("kind", choices=("hw", "model", "mapping"))
    show.add_argument(
        "names", nargs="+", metavar="NAME", help="from 'tilewright list', or the path of a file; of machines, several"
    )
    add_shape(show)
    _add_set(show)
    add_validate(commands.add_parser("validate", help="compare with measured cycles", description=VALIDATE), _name)
    add_study(commands.add_parser("study", help="repeat a published experiment", description=STUDY), _name)
    regress = commands.add_parser("regress", help="compare mappings with their numbers", description=REGRESS)
    add_regress(regress, _name)
    _add_set(regress)
    for command in commands.choices.values():
        if any(action.dest == "json" for action in command._actions):
            command.add_argument("--quiet", action="store_true", help="print no text; files and the exit code tell")
    return whole


class _Version(argparse.Action):
    def __call__(self, *_: object) -> NoReturn:
        from mapper.version import __version__

        print(f"tilewright {__version__}")
        sys.exit(0)


def _name(text: str) -> str:
    """A name or path, which must not be empty."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("model", type=_name, metavar="MODEL", help="a preset, or the path of a Hugging Face config.json")
    shape = add_shape(run)
    shape.add_argument(
        "--strict-positions", action="store_true", help="refuse sequences longer than the model was trained with"
    )
    _add_machine(run, RUN_MACHINE)
    group = _add_search(run, OBJECTIVES)
    group.add_argument(
        "--mapping", default="best", choices=POLICIES, help="gemmini_auto: the tile of Gemmini's library; default: best"
    )
    group.add_argument(
        "--fusion", default="none", type=_name, metavar="CUT",
        help="none: element-wise activations only (default); auto: the best groups that are found, never worse; "
        "gemmini: what its library fuses by hand; or a YAML file that names the groups, or of --yaml",
    )  # fmt: skip
    checks = run.add_argument_group("what to check")
    checks.add_argument(
        "--check", action="store_true", help="execute the programs on random integers and compare every result"
    )
    checks.add_argument(
        "--check-step", type=_name, metavar="STEP",
        help="real value of a step of the sums that softmax, LayerNorm or GELU take; default: as they spread",
    )  # fmt: skip
    _add_outputs(run).add_argument("--yaml", type=_name, metavar="FILE", help="groups, turns, mappings: for --fusion")


def _add_map(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "shape", metavar="MxKxN", help="rows of A, columns of A, columns of B: 512x768x768; 12x512x64x512: twelve"
    )
    _add_machine(command, MAP_MACHINE)
    group = _add_search(command, GOALS)
    group.add_argument(
        "--mapping", default="best", type=_name, metavar="NAME",
        help="gemmini_auto: the tile of Gemmini's library; or a YAML file of --yaml: that mapping; default: best",
    )  # fmt: skip
    group.add_argument(
        "--mapspace", choices=MAPSPACES,
        help="hardware-loop: what Gemmini runs, simulated as well (default); loop-nest: any nest, by formulas only",
    )  # fmt: skip
    nests = command.add_argument_group("loop nests (with --mapspace loop-nest)")
    nests.add_argument("--accounting", choices=ACCOUNTINGS, help="whose rules count accesses; default: ours")
    nests.add_argument("--factors", choices=("imperfect", "perfect"), help="perfect: tiles divide; default: imperfect")
    nests.add_argument(
        "--constraints", type=_name, metavar="FILE",
        help="YAML: fix, bound or forbid parts of the nest; tile of a memory: what it hands on to the next one",
    )  # fmt: skip
    nests.add_argument(
        "--units", type=_name, metavar="m=1,k=16,n=16",
        help="steps of tile sizes; default: the array's, coarser from 1,024 steps on",
    )  # fmt: skip
    _add_outputs(command).add_argument("--yaml", type=_name, metavar="FILE", help="the mapping, to be run again")
    group.add_argument("--allow-other-machine", action="store_true", help=OTHER_MACHINE)


def _add_map_block(block: argparse.ArgumentParser) -> None:
    block.add_argument("model", type=_name, metavar="MODEL", help="a preset, or the path of a Hugging Face config.json")
    add_shape(block)
    machine = block.add_argument_group("on which machine")
    machine.add_argument("--hw", type=_name, default=MAP_MACHINE, metavar="NAME", help="default: %(default)s")
    machine.add_argument("--energy", type=_name, metavar="PRESET", help="energy table; default: the machine's own")
    _add_set(machine)
    group = block.add_argument_group("how to fuse")
    group.add_argument("--objective", default="latency", choices=GOALS, help="default: %(default)s")
    group.add_argument("--only", type=_name, metavar="A,B,..", help="only these operators; default: the whole block")
    group.add_argument("--largest-group", type=int, metavar="N", help="operators of a group; 1: no fusion; default: 6")
    group.add_argument("--cut-rows", action="store_true", help="relaxed: loops may cut the rows of a softmax or norm")
    group.add_argument("--narrow-sums", action="store_true", help="relaxed: one-byte partial sums may leave and return")
    group.add_argument("--budget", metavar="TIME", help="end after 2s, 500ms, 5min with the best so far")
    group.add_argument("--trees", type=_name, metavar="FILE", help="YAML of --yaml: these trees, nothing is searched")
    files = block.add_argument_group("files to write")
    files.add_argument("--json", type=_name, metavar="FILE", help="trees and costs, as JSON")
    files.add_argument("--yaml", type=_name, metavar="FILE", help="the trees, to be priced again")
    files.add_argument("--plot", type=_name, metavar="FILE", help="the trees as .png, .svg or .pdf: what stays where")
    add_size(files)


def _add_set(to: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    to.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE",
        help='change one value of the machine, e.g. scratchpad.capacity="64 KiB"; may be repeated',
    )  # fmt: skip


def _add_machine(to: argparse.ArgumentParser, default: str) -> None:
    group = to.add_argument_group("on which machine")
    group.add_argument(
        "--hw", type=_name, default=default, metavar="NAME", help="a preset or a YAML file; default: %(default)s"
    )
    group.add_argument("--energy", type=_name, metavar="PRESET", help="energy table; default: the machine's own")
    group.add_argument("--exact", action="store_true", help="simulate every loop and repetition, pass none over")
    group.add_argument("--explain", action="store_true", help="print the cycles of every operator by cause")
    _add_set(group)


def _listed(names: Sequence[str]) -> str:
    """``"random, annealing and genetic"``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _add_search(to: argparse.ArgumentParser, objectives: Sequence[str]) -> argparse._ArgumentGroup:
    """Values that are not given stay None: only so can senseless combinations be told from defaults."""
    group = to.add_argument_group("how to map")
    group.add_argument("--objective", default="latency", choices=objectives, help="default: %(default)s")
    group.add_argument("--search", choices=SEARCHES, help="default: optimal, which proves it")
    group.add_argument("--budget", metavar="N|TIME", help="end after N evaluations, or after 2s, 500ms, 5min")
    group.add_argument("--seed", type=int, metavar="N", help=f"of {_listed(WITH_SEED)}; default: 0")
    group.add_argument("--workers", type=int, metavar="N", help="processes; the result is the same; default: 1")
    group.add_argument(
        "--finalists", type=int, metavar="K",
        help="simulate the K best by the estimate, too, before the winner is taken; 0: none, the estimate decides",
    )  # fmt: skip
    return group


def _add_outputs(to: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = to.add_argument_group("files to write")
    group.add_argument("--json", type=_name, metavar="FILE", help="the report, as JSON")
    group.add_argument(
        "--timeline", action="store_true",
        help="put into --json when each unit works and what the memories hold; simulates as --exact",
    )  # fmt: skip
    group.add_argument(
        "--trace", type=_name, metavar="FILE", help="exact run as Chrome trace for ui.perfetto.dev; .gz compresses it"
    )
    group.add_argument(
        "--trace-window", metavar="A:B", help="only what runs between two cycles; default: the whole run"
    )
    group.add_argument("--plot", type=_name, metavar="FILE", help="latency and energy breakdown: .png, .svg or .pdf")
    add_size(group)
    return group


if __name__ == "__main__":
    sys.exit(main())
