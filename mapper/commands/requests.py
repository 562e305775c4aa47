"""The options of the command line, checked against each other and made into settings; no namespace goes further."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mapper.commands.machine import overrides
from mapper.commands.problems import CommandError, nearest
from mapper.commands.shape_options import dims_of
from mapper.commands.windows import Window, read_window
from mapper.errors import MappingError
from mapper.mapping.hardware_loop import hardware_loop_of
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import read_mapping
from mapper.search import registry
from mapper.search.budget import Budget
from mapper.search.registry import SearchMethod
from mapper.settings import CUTS, RunSettings
from simulator.views.style import NOTEBOOK, SIZES, Size

LARGEST = 2**31
"""Largest extent accepted in one dimension."""

BEST = "best"
"""The word of ``--mapping`` for whatever the search finds."""

LOOP_NEST_ONLY = ("accounting", "factors", "constraints", "units")
SEARCH_ONLY = ("search", "budget", "seed", "workers", "finalists")
NOT_FOR_FRONTS = ("trace", "yaml")
NEEDS_SIMULATION = ("trace", "timeline", "plot", "exact", "explain")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What ``tilewright run`` is to do."""

    model: str
    hw: str
    settings: RunSettings
    files: dict[str, str | None]
    """Path by purpose."""
    explain: bool
    check: bool = False
    """Whether the programs are executed on numbers."""
    step: float | None = None
    """Real value of a step of the sums then; None: as they spread."""
    window: Window | None = None
    """What the trace shows."""
    size: Size = NOTEBOOK
    """Of the picture."""

    @property
    def reads(self) -> tuple[str | Path | None, ...]:
        """Names or paths that the command reads."""
        return self.model, self.hw, self.settings.energy, self.settings.fusion


@dataclass(frozen=True, slots=True)
class GivenMapping:
    """A mapping that is not searched, and the file that it comes from."""

    mapping: LoopNest
    origin: str
    for_any_machine: bool = False
    """Whether it may run on another machine than its own."""

    def on(self, machine: str) -> GivenMapping:
        """Return the mapping for a machine, if it may run there; otherwise as it is, to be refused by name."""
        return replace(self, mapping=replace(self.mapping, machine=machine)) if self.for_any_machine else self


@dataclass(frozen=True, slots=True)
class NestOptions:
    """What makes a mapspace of loop nests; None where the user leaves it open."""

    accounting: str | None = None
    factors: str | None = None
    constraints: str | None = None
    units: str | None = None


@dataclass(frozen=True, slots=True)
class MapRequest:
    """What ``tilewright map`` is to do."""

    shape: tuple[int, int, int]
    repeat: int
    """How often, each time with operands of its own."""
    hw: str
    settings: RunSettings
    files: dict[str, str | None]
    explain: bool
    loop_nest: bool
    """Whether the mapping is any loop nest; otherwise it is a hardware loop and simulated."""
    given: GivenMapping | None
    nest: NestOptions
    window: Window | None = None
    """What the trace shows."""
    size: Size = NOTEBOOK
    """Of the picture."""

    @property
    def reads(self) -> tuple[str | Path | None, ...]:
        """Names or paths that the command reads."""
        return self.hw, self.settings.energy, self.nest.constraints, self.given.origin if self.given else None


def run_request(options: argparse.Namespace) -> RunRequest:
    """Read the options of ``run``; a `CommandError` names what makes no sense."""
    changes = overrides(options.overrides)
    _check(options, loop_nest=False)
    files = {"json": options.json, "trace": options.trace, "plot": options.plot, "yaml": options.yaml}
    settings = replace(
        _shared_settings(options, changes),
        seq=options.seq,
        phase=options.phase,
        context=options.context,
        batch=options.batch,
        strict_positions=options.strict_positions,
        source=options.source,
        causal=options.causal,
        lm_head=options.lm_head,
        dims=dims_of(options),
        routing=options.routing,
        bits=options.bits,
        fusion=_fusion(options.fusion),
    )
    step = _step(options.check_step)
    if step is not None and not options.check:
        raise CommandError("--check-step needs --check")
    return RunRequest(
        options.model, options.hw, settings, files, options.explain, options.check, step, _window(options),
        SIZES[options.size],
    )  # fmt: skip


def map_request(options: argparse.Namespace) -> MapRequest:
    """Read the options of ``map``; a `CommandError` names what makes no sense."""
    repeat, shape = products(options.shape)
    given = _given_mapping(options)
    if options.mapspace == "hardware-loop" and given is not None:
        hardware_loop_of(given.mapping)  # says why if it is none
    loop_nest = options.mapspace == "loop-nest" or (given is not None and not _is_hardware_loop(given.mapping))
    _check(options, loop_nest=loop_nest)
    if repeat > 1 and (loop_nest or options.objective == "pareto"):
        raise CommandError(f"{options.shape}: loop nests and fronts are of one product; leave out the {repeat}x")
    if loop_nest:
        _check_loop_nest(options, given)
    elif options.objective == "pareto":
        _check_front(options)
    settings = _shared_settings(options, overrides(options.overrides))
    files = {"json": options.json, "trace": options.trace, "plot": options.plot, "yaml": options.yaml}
    nest = NestOptions(options.accounting, options.factors, options.constraints, options.units)
    return MapRequest(
        shape, repeat, options.hw, settings, files, options.explain, loop_nest, given, nest, _window(options),
        SIZES[options.size],
    )  # fmt: skip


def _shared_settings(options: argparse.Namespace, changes: Mapping[str, object] | None) -> RunSettings:
    """Return what ``run`` and ``map`` have in common."""
    return RunSettings(
        overrides=changes,
        energy=options.energy,
        objective=options.objective,
        search=_search_name(options),
        budget=_budget(options),
        seed=options.seed or 0,
        finalists=options.finalists,
        exact=options.exact,
        workers=1 if options.workers is None else options.workers,
        spans=options.trace is not None or _timeline(options),
    )


def _timeline(options: argparse.Namespace) -> bool:
    """Whether ``--timeline`` was given; a `CommandError` if there is no JSON to take it."""
    if options.timeline and options.json is None:
        raise CommandError("--timeline needs --json")
    return bool(options.timeline)


def _window(options: argparse.Namespace) -> Window | None:
    """The cycles of ``--trace-window``; a `CommandError` if they are no two cycles, or there is no trace to cut."""
    if options.trace_window is not None and options.trace is None:
        raise CommandError("--trace-window needs --trace")
    return read_window(options.trace_window, "--trace-window")


def _step(text: str | None) -> float | None:
    """The step of ``--check-step``, None if it is left open; a `CommandError` if it is no positive number."""
    if text is None:
        return None
    try:
        step = float(text)
    except ValueError:
        raise CommandError(f"--check-step {text}: the real value of a step must be a number") from None
    if not math.isfinite(step) or step <= 0.0:
        raise CommandError(f"--check-step {text}: the real value of a step must be a positive number")
    return step


def _fusion(name: str) -> str:
    """The cut that ``--fusion`` names, or the file; a `CommandError` if it is neither."""
    if name not in CUTS and not Path(name).exists():
        raise CommandError(f"--fusion {name}: neither {', '.join(CUTS)} nor a file{nearest(name, CUTS)}")
    return name


def products(text: str) -> tuple[int, tuple[int, int, int]]:
    """``"512x768x64"`` as one product of three extents, ``"12x512x768x64"`` as twelve of them.

    Raises
    ------
    CommandError
        Anything else.
    """
    numbers = re.fullmatch(r"(?:([0-9]{1,10})[xX×])?([0-9]{1,10})[xX×]([0-9]{1,10})[xX×]([0-9]{1,10})", text)
    repeat, m, k, n = (int(number or 1) for number in numbers.groups()) if numbers else (0, 0, 0, 0)
    if not all(0 < extent <= LARGEST for extent in (repeat, m, k, n)):
        raise CommandError(
            f"{text!r:.70} is no matmul: write MxKxN with whole numbers in 1..{LARGEST}, as in 512x768x768, or "
            "12x512x64x512 for twelve of them"
        )
    return repeat, (m, k, n)


def _given_mapping(options: argparse.Namespace) -> GivenMapping | None:
    """The mapping of the file that ``--mapping`` names; None if it names a rule or the search.

    Raises
    ------
    CommandError
        Neither a rule nor a file.
    MappingError
        The file is no mapping.
    """
    known = (BEST, *registry.RULES)
    if options.mapping in known:
        if options.allow_other_machine:
            raise CommandError("--allow-other-machine needs --mapping FILE")
        return None
    path = Path(options.mapping)
    if not path.exists():
        hint = nearest(options.mapping, known)
        raise CommandError(f"--mapping {options.mapping}: neither {', '.join(known)} nor a file{hint}")
    return GivenMapping(read_mapping(path), options.mapping, options.allow_other_machine)


def _is_hardware_loop(mapping: LoopNest) -> bool:
    """Whether Gemmini's hardware loop can run a nest."""
    try:
        hardware_loop_of(mapping)
    except MappingError:
        return False
    return True


def _search_name(options: argparse.Namespace) -> str:
    """The method that finds the mapping: that of ``--search``, or the rule that ``--mapping`` names."""
    if options.mapping in registry.RULES:
        return str(options.mapping)
    return options.search or registry.DEFAULT_METHOD


def _method(options: argparse.Namespace) -> SearchMethod:
    method = registry.find_method(options.search or registry.DEFAULT_METHOD)
    assert method is not None, "the parser lets only names of the registry through"
    return method


def _budget(options: argparse.Namespace) -> Budget | None:
    """The budget, None if not given; a `MappingError` if it makes no sense."""
    return None if options.budget is None else Budget.parse(options.budget)


def _given_names(options: argparse.Namespace, names: tuple[str, ...]) -> list[str]:
    """Those options that were given, as they are written."""
    return [f"--{name}" for name in names if getattr(options, name, None) is not None]


def _check(options: argparse.Namespace, *, loop_nest: bool) -> None:
    """Refuse options that would have no effect.

    Raises
    ------
    CommandError
        Names the option and what it needs.
    """
    if options.mapping != BEST:
        for option in _given_names(options, SEARCH_ONLY):
            raise CommandError(f"{option} has no meaning with --mapping {options.mapping}: nothing is searched")
        if options.objective == "pareto":
            raise CommandError(f"--objective pareto has no meaning with --mapping {options.mapping}: it is one mapping")
    if not loop_nest:
        for option in _given_names(options, LOOP_NEST_ONLY):
            raise CommandError(f"{option} needs --mapspace loop-nest")
    elif options.finalists is not None:
        raise CommandError("--finalists simulates mappings; loop nests are not, take --mapspace hardware-loop")
    _check_search(options, _method(options), "loop-nest" if loop_nest else "hardware-loop")


def _check_search(options: argparse.Namespace, method: SearchMethod, mapspace: str) -> None:
    """Refuse options that the method does not take."""
    name = method.name
    if options.seed is not None and not method.takes_seed:
        raise CommandError(f"--seed has no effect on --search {name}; it is for {', '.join(registry.WITH_SEED)}")
    if options.workers is not None and not method.takes_workers:
        raise CommandError(f"--workers has no effect on --search {name}, which takes milliseconds on one processor")
    if options.finalists is not None:
        if not 0 <= options.finalists <= registry.MOST_FINALISTS:
            raise CommandError(f"--finalists {options.finalists}: must be 0 to {registry.MOST_FINALISTS}")
        if not method.ranks_finalists or (options.finalists and options.objective == "pareto"):
            rankers = " or ".join(registry.WITH_FINALISTS)
            raise CommandError(f"--finalists needs --search {rankers} and one objective: latency, energy or edp")
        if options.finalists and options.budget is not None:
            raise CommandError(
                "--budget has no effect with --finalists: the search that ranks them ends by itself, soon"
            )
    budget = _budget(options)
    if budget and budget.seconds is not None and mapspace not in method.time_budget:
        raise CommandError(
            f"--budget of --search {name} counts evaluations of hardware loops: write a number, not a time"
        )


def _check_loop_nest(options: argparse.Namespace, given: GivenMapping | None) -> None:
    """Refuse what loop nests cannot have: they are priced by formulas."""
    if options.mapping in registry.RULES:
        raise CommandError(f"--mapping {options.mapping} is a hardware loop; it needs --mapspace hardware-loop")
    for name in NEEDS_SIMULATION:
        if getattr(options, name) and (name, options.objective) != ("plot", "pareto"):
            raise CommandError(f"--{name} needs a simulation; loop nests are estimated by formulas only")
    if given is not None:
        for option in _given_names(options, ("factors", "constraints", "units")):
            raise CommandError(f"{option} has no meaning with --mapping {options.mapping}: nothing is searched")
    elif options.objective == "pareto":
        _check_front_files(options)


def _check_front(options: argparse.Namespace) -> None:
    _check_front_files(options)
    method = _method(options)
    if options.budget is not None and "hardware-loop" not in method.front_budget:
        raise CommandError(
            f"--budget has no effect on --search {method.name} of a whole front: it ends by itself, soon"
        )


def _check_front_files(options: argparse.Namespace) -> None:
    """A front is no single mapping: files and options of one mapping or one run make no sense."""
    for name in NOT_FOR_FRONTS:
        if getattr(options, name) is not None:
            raise CommandError(f"--{name} is for one mapping; --objective pareto finds many, write them with --json")
    for name in ("exact", "explain", "timeline"):
        if getattr(options, name):
            raise CommandError(f"--{name} has no meaning with --objective pareto: it is for one mapping")
