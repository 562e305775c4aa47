"""``tilewright regress``: reference mappings against the numbers in their files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import hwconfigs
from hwconfigs import HardwareSpec
from hwconfigs.errors import SpecError
from mapper import pipeline
from mapper.commands.answers import Answer, json_file
from mapper.commands.exit_codes import DRIFTED
from mapper.commands.machine import overrides
from mapper.commands.outputs import Output, open_outputs
from mapper.commands.problems import CommandError
from mapper.errors import MappingError
from mapper.regression.drift import Drift, differences, measured
from mapper.regression.numbers import Numbers
from mapper.regression.reference_mapping import ReferenceMapping, entries, read_entry, text_with
from mapper.version import __version__

MachineOf = Callable[[ReferenceMapping], HardwareSpec]

SCHEMA = "tilewright.regress/1"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one entry."""

    entry: ReferenceMapping
    numbers: Numbers | None
    """None: it could not run."""
    drifts: tuple[Drift, ...]
    problem: str = ""

    @property
    def word(self) -> str:
        if self.numbers is None:
            return "cannot run"
        if self.entry.expected is None:
            return "no numbers yet"
        return "drift" if self.drifts else "ok"

    def lines(self) -> Iterator[str]:
        """Yield the entry's line, and one for each cause."""
        cycles = "" if self.numbers is None else f"{self.numbers.cycles:,} cycles"
        yield f"{self.word:14} {self.entry}  {cycles}".rstrip()
        yield from (f"    {line}" for line in (*map(str, self.drifts), *self.problem.splitlines()))


def execute(options: argparse.Namespace) -> int:
    """Compare, print, and update if asked; an entry that cannot run counts as drifted."""
    machine_of = _other_machine(options)
    path = Path(options.folder)
    listed = [read_entry(path)] if path.is_file() else entries(path)
    with ExitStack() as stack:
        outputs = open_outputs(stack, {"json": options.json}, [entry.path for entry in listed])
        outcomes: list[_Outcome] = []
        for entry in _shown(listed):
            outcomes.append(_outcome(entry, machine_of))
            print("\n".join(outcomes[-1].lines()), flush=True)
        sound = [outcome for outcome in outcomes if outcome.word == "ok"]
        print(f"{len(sound)} of {len(outcomes)} mappings give their numbers")
        Answer("", {"json": json_file(lambda: _document(outcomes))}).deliver(outputs)
    if not options.update:
        return 0 if len(sound) == len(outcomes) else DRIFTED
    return _update(outcomes)


def _other_machine(options: argparse.Namespace) -> MachineOf | None:
    """Return what makes the machine of an entry, if it is not its own: the one of --hw, or its own with --set."""
    changes = overrides(options.overrides)
    asked = options.hw is not None or changes is not None
    if asked and not options.allow_other_machine:
        raise CommandError("--hw and --set change the machine of every mapping; this needs --allow-other-machine")
    if options.allow_other_machine and not asked:
        raise CommandError("--allow-other-machine needs the other machine: --hw, --set or both")
    if asked and options.update:
        raise CommandError("--update has no meaning with another machine: the numbers are those of the mapping's own")
    if not asked:
        return None
    if options.hw is None:
        return lambda entry: hwconfigs.override(entry.machine(), changes or {})
    spec = pipeline.load(options.hw, changes)
    return lambda entry: spec


def _outcome(entry: ReferenceMapping, machine_of: MachineOf | None) -> _Outcome:
    try:
        numbers = measured(entry, None if machine_of is None else machine_of(entry))
    except (MappingError, SpecError) as problem:
        return _Outcome(entry, None, (), str(problem))
    return _Outcome(entry, numbers, () if entry.expected is None else tuple(differences(entry.expected, numbers)))


def _update(outcomes: Iterable[_Outcome]) -> int:
    """Write what has changed; files that could not run are left as they are."""
    failed = 0
    for outcome in outcomes:
        if outcome.numbers is None:
            failed += 1
        elif outcome.word != "ok":
            _write(outcome.entry.path, text_with(outcome.entry, outcome.numbers))
            print(f"written        {outcome.entry}")
    return DRIFTED if failed else 0


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with Output(str(path)) as output:
        output.finish(lambda partial: partial.write_text(text, encoding="utf-8"))


def _shown(listed: list[ReferenceMapping]) -> Iterator[ReferenceMapping]:
    """Yield the entries, with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield from listed
        return
    from tqdm import tqdm

    yield from tqdm(listed, unit=" mappings", leave=False, file=sys.stderr)


def _document(outcomes: Iterable[_Outcome]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "version": __version__,
        "entries": [
            {
                "file": str(outcome.entry.path),
                "outcome": outcome.word,
                "cycles": None if outcome.numbers is None else outcome.numbers.cycles,
                "energy_pj": None if outcome.numbers is None else outcome.numbers.energy_pj,
                "drift": [{"cause": drift.cause, "text": drift.text} for drift in outcome.drifts],
                "problem": outcome.problem or None,
            }
            for outcome in outcomes
        ],
    }
