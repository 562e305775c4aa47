"""Evolution over the networks of `mapper.studies.nas`: seeded, kept in a file after every round, and gone on with.

Two objectives, what a network loses of its quality and its energy-delay product; survivors are the Pareto-optimal ones.
Quality needs training, so it is data: an objective file with a loss for every choice, or, without one, the share of
the baseline's weights that a network lacks.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mapper.errors import MappingError
from mapper.nest.bounds.pareto import minimal
from mapper.studies.nas import (
    BASELINE,
    HEADS,
    HIDDEN,
    LAYERS,
    WIDTHS,
    ColdCosts,
    Encoder,
    EncoderLayer,
    Key,
    Price,
    cost,
    operators,
)

POPULATION, ROUNDS, MUTATION = 40, 40, 0.2
"""Of section 6.4 of the paper; a choice of a child mutates with that probability."""

SCHEMA = "tilewright.nas/1"

Loss: TypeAlias = Callable[[Encoder], float]
"""What a network loses of its quality; less is better."""


class NasError(MappingError):
    """An objective file or a state that cannot be used."""


def lost_weights(network: Encoder) -> float:
    """Return the share of the baseline's weights that a network lacks: a capacity, and no quality."""
    return 1.0 - network.parameters / BASELINE.parameters


def read_loss(path: str | Path) -> Loss:
    """Return the loss of an objective file: a CSV file with columns ``choice`` and ``loss``, summed over the choices of
    a network, as in ``layers=6``, ``width=672``, ``heads=10`` and ``hidden=1280``.

    Raises
    ------
    NasError
        When the file cannot be read, a line is none of these, or a choice of the space has no entry.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise NasError(f"{path}: cannot be read: {getattr(problem, 'strerror', None) or 'is no UTF-8'}") from None
    table: dict[str, float] = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        try:
            choice, loss = str(row["choice"]).strip(), float(row["loss"])
        except (KeyError, TypeError, ValueError):
            raise NasError(f"{path}:{number}: must have a column 'choice' and a number in 'loss'") from None
        if not np.isfinite(loss):
            raise NasError(f"{path}:{number}: loss {loss}: must be finite")
        table[choice] = loss
    wanted = [f"layers={count}" for count in LAYERS] + [f"width={width}" for width in WIDTHS]
    wanted += [f"heads={heads}" for heads in HEADS] + [f"hidden={hidden}" for hidden in HIDDEN]
    missing = [choice for choice in wanted if choice not in table]
    if missing:
        raise NasError(f"{path}: no entry for {missing[0]!r}" + (f" and {len(missing) - 1} more" * (len(missing) > 1)))
    return lambda network: sum(table[choice] for choice in network.choices)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network with what it loses and costs."""

    network: Encoder
    loss: float
    price: Price


@dataclass(slots=True)
class Evolution:
    """A search as far as it came."""

    seed: int
    loss: Loss = lost_weights
    objective: str = ""
    """Name of the objective file; empty: lost weights."""
    state: Path | None = None
    """Where it is kept after every round."""
    table: dict[Key, Price] = field(default_factory=dict)
    rounds_done: int = 0
    evaluated: int = 0
    population: list[Encoder] = field(default_factory=list)

    def candidates(self) -> list[Candidate]:
        """Return the Pareto-optimal networks of all that were evaluated, by loss."""
        if not self.population:
            return []
        every = [self.candidate(network) for network in self.population]
        return [every[number] for number in _front(every)]

    def candidate(self, network: Encoder) -> Candidate:
        """Return a network with what it loses and costs."""
        return Candidate(network, self.loss(network), cost(network, self.table))


def run(search: Evolution, rounds: int = ROUNDS, population: int = POPULATION) -> Iterator[str]:
    """Fill the table, then evolve; yield the name of each step, behind which the state is kept.

    Raises
    ------
    NasError
        When the state cannot be read, or belongs to another search.
    """
    costs = ColdCosts()
    _resume(search, costs)
    for key in operators():
        if key not in search.table:
            search.table[key] = costs.entry(key)
            if key[0] != "gelu":
                _keep(search)
        yield " ".join(key)
    while search.rounds_done < rounds:
        _evolve(search, population)
        _keep(search)
        yield f"round {search.rounds_done}"


def _evolve(search: Evolution, size: int) -> None:
    """Add a round of children and keep the Pareto-optimal networks, with the next best up to a population."""
    # A generator for each round, so that a search that was cut off goes on as if it had not been.
    random = np.random.default_rng([search.seed, search.rounds_done])
    parents = search.population
    if parents:
        children = [_child(parents, random) for _ in range(size)]
    else:
        children = [BASELINE, *(_random(random) for _ in range(size - 1))]
    search.evaluated += len(children)
    search.rounds_done += 1
    search.population = _survivors(search, list(dict.fromkeys([*parents, *children])), size)


def _survivors(search: Evolution, networks: list[Encoder], size: int) -> list[Encoder]:
    """Return at most ``size`` networks, front by front, each with the least loss first."""
    left = [search.candidate(network) for network in networks]
    kept: list[Encoder] = []
    while left and len(kept) < size:
        front = _front(left)
        kept += [one.network for one in _spread([left[number] for number in front], size - len(kept))]
        left = [one for number, one in enumerate(left) if number not in set(front)]
    return kept


def _front(candidates: Sequence[Candidate]) -> list[int]:
    """Return the places of the Pareto-optimal ones, the least loss first."""
    points = np.array([[one.loss, one.price.edp] for one in candidates])
    return sorted(map(int, minimal(points)), key=lambda place: tuple(points[place]))


def _spread(front: list[Candidate], most: int) -> list[Candidate]:
    """Return at most so many points of a front, evenly over it, with both ends."""
    if len(front) <= most:
        return front
    places = np.unique(np.linspace(0, len(front) - 1, most).round().astype(int))
    return [front[place] for place in places]


def _random(random: np.random.Generator) -> Encoder:
    layers = tuple(_layer(random) for _ in range(int(random.choice(LAYERS))))
    return Encoder(int(random.choice(WIDTHS)), layers)


def _layer(random: np.random.Generator) -> EncoderLayer:
    return EncoderLayer(int(random.choice(HEADS)), int(random.choice(HIDDEN)))


def _child(parents: list[Encoder], random: np.random.Generator) -> Encoder:
    """Cross two parents, choice by choice, and mutate."""
    first, second = (parents[int(number)] for number in random.integers(len(parents), size=2))
    width = int(random.choice(WIDTHS)) if _mutates(random) else _either(first.width, second.width, random)
    count = int(random.choice(LAYERS)) if _mutates(random) else _either(len(first.layers), len(second.layers), random)
    layers = []
    for number in range(count):
        mine, other = (parent.layers[number % len(parent.layers)] for parent in (first, second))
        fresh = _layer(random)
        layers.append(
            EncoderLayer(
                fresh.heads if _mutates(random) else _either(mine.heads, other.heads, random),
                fresh.hidden if _mutates(random) else _either(mine.hidden, other.hidden, random),
            )
        )
    return Encoder(width, tuple(layers))


def _mutates(random: np.random.Generator) -> bool:
    return bool(random.random() < MUTATION)


def _either(first: int, second: int, random: np.random.Generator) -> int:
    return first if random.random() < 0.5 else second


def _keep(search: Evolution) -> None:
    """Write the state beside its name and move it there, so that a kill leaves the one before."""
    if search.state is None:
        return
    document = {
        "schema": SCHEMA,
        "seed": search.seed,
        "objective": search.objective,
        "rounds_done": search.rounds_done,
        "evaluated": search.evaluated,
        "table": {" ".join(key): list(asdict(price).values()) for key, price in search.table.items()},
        "population": [[net.width, [[one.heads, one.hidden] for one in net.layers]] for net in search.population],
    }
    partial = search.state.with_name(f".{search.state.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(document), encoding="utf-8")
        partial.replace(search.state)
    except OSError as problem:
        raise NasError(f"{search.state}: cannot be written: {(problem.strerror or '').lower()}") from None
    finally:
        partial.unlink(missing_ok=True)


def _resume(search: Evolution, costs: ColdCosts) -> None:
    """Take over what the state holds, if there is one, and it was made by this model."""
    if search.state is None or not search.state.exists():
        _keep(search)
        return
    document = _document(search.state)
    for name in ("seed", "objective"):
        if document[name] != getattr(search, name):
            raise NasError(f"{search.state}: {name} is {document[name]!r}, not {getattr(search, name)!r}")
    try:
        search.rounds_done, search.evaluated = int(document["rounds_done"]), int(document["evaluated"])
        search.table = {tuple(key.split(" ")): Price(*values) for key, values in document["table"].items()}
        search.population = [
            Encoder(width, tuple(EncoderLayer(*sizes) for sizes in layers)) for width, layers in document["population"]
        ]
    except (KeyError, TypeError, ValueError) as problem:
        raise NasError(f"{search.state}: is no state of a search: {problem}") from None
    probe = next((key for key in operators() if key in search.table), None)
    if probe is not None and costs.entry(probe) != search.table[probe]:
        raise NasError(
            f"{search.state}: another version of the model made it; {' '.join(probe)} costs something else now"
        )


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise NasError(f"{path}: is no state of a search: {problem}") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise NasError(f"{path}: is no state of a search: its schema is not {SCHEMA!r}")
    return document
