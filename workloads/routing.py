"""Which experts tokens choose: all alike, by Zipf's law, or by a histogram that somebody measured.

    balanced          equally likely experts; those that get tokens get equally many
    uniform           equally likely experts; tokens per expert spread as a random router spreads them
    zipf:1.2          expert i is weighted i^-1.2
    counts.json       tokens of each expert, as a list of numbers (JSON or YAML), or one a line
    zipf:1,seed=3     any of the last three with a seed: one draw in place of what is expected
    uniform,order=token   each token's experts one after another: weights are read for each choice, not for each expert

A token's experts are distinct. So expert e is chosen by one token with a probability pi_e (they add up to the experts
per token k), and by how many of T tokens follows Binomial(T, pi_e).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from hwconfigs.textfiles.reading import UnreadableFile, read_text
from workloads.errors import GraphError, nearest
from workloads.reading import parse_list

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

Loads: TypeAlias = tuple[int, ...]
"""Tokens of each expert, the fullest first."""

NODES = 800
"""Steps of the integral over arrival times; twice as many move no probability by 1e-9."""

MOST_COUNTS = 65_536
"""Experts in a histogram."""

MOST_GROUPS = 16
"""Different loads for which products are mapped, each with its number of rows."""

WORDS = ("balanced", "uniform", "zipf")


@dataclass(frozen=True, slots=True)
class Routing:
    """How a router spreads tokens."""

    kind: Literal["balanced", "uniform", "zipf", "histogram"] = "balanced"
    exponent: float = 0.0
    counts: tuple[float, ...] = ()
    """Tokens of each expert, in a measured pass."""
    seed: int | None = None
    """Of one draw; None: what is expected."""
    order: Literal["expert", "token"] = "expert"
    """What follows one another: experts, each with all of its tokens, or tokens, each with all of its experts."""
    text: str = "balanced"
    """How it was asked for."""

    @classmethod
    def parse(cls, text: str) -> Routing:
        """Read one of the forms above.

        Raises
        ------
        GraphError
            For other words, exponents that are no numbers, and files that hold no counts.
        """
        form, *further = (part.strip() for part in text.split(","))
        seed, order = _further(further, text)
        if form in ("balanced", "uniform") and (form == "uniform" or seed is None):
            return cls(form, seed=seed, order=order, text=text)  # type: ignore[arg-type]
        if form.startswith("zipf"):
            return cls("zipf", _exponent(form), seed=seed, order=order, text=text)
        if form == "balanced" or not Path(form).suffix:
            known = "balanced, uniform, zipf:S or a file; the last three with ,seed=N"
            raise GraphError(f"routing {text!r:.60}: must be {known}{nearest(form, WORDS)}")
        return cls("histogram", counts=_counts(form), seed=seed, order=order, text=text)

    def probabilities(self, experts: int, chosen: int) -> Floats:
        """Return pi, the probability that one token chooses each expert.

        Raises
        ------
        GraphError
            For a histogram of another number of experts, or with more than a token can choose.
        """
        if self.kind == "zipf":
            return zipf_probabilities(experts, chosen, self.exponent)
        if self.kind != "histogram":
            return np.full(experts, chosen / experts)
        if len(self.counts) != experts:
            raise GraphError(f"routing {self.text}: has {len(self.counts)} counts, the model {experts} experts")
        shares = np.array(self.counts) * chosen / sum(self.counts)
        if shares.max() > 1 + 1e-9:
            busy = int(shares.argmax())
            raise GraphError(
                f"routing {self.text}: expert {busy} has {shares.max() / chosen:.1%} of the tokens' choices; a token "
                f"chooses {chosen} experts that differ, so none has more than {1 / chosen:.1%}"
            )
        return np.minimum(shares, 1.0)

    def distinct(self, experts: int, chosen: int, tokens: int) -> float:
        """Return how many experts are expected to get one token or more."""
        return expected_distinct(self.probabilities(experts, chosen), tokens)

    def loads(self, experts: int, chosen: int, tokens: int) -> Loads:
        """Return the tokens of each expert that gets some, the fullest first; they add up to tokens times chosen."""
        pi = self.probabilities(experts, chosen)
        if self.seed is not None:
            return _drawn(self.weights(experts), chosen, tokens, self.seed)
        return expected_loads(pi, chosen, tokens)

    def weights(self, experts: int) -> Floats:
        """Return the weights by which experts are drawn, one after another."""
        if self.kind == "zipf":
            return np.arange(1, experts + 1, dtype=np.float64) ** -self.exponent
        return np.array(self.counts, np.float64) if self.kind == "histogram" else np.ones(experts)


BALANCED = Routing()


def expected_distinct(pi: Sequence[float] | Floats, tokens: int) -> float:
    """Return the expected number of experts that ``tokens`` tokens hit: the sum of 1 - (1 - pi)^tokens."""
    return float(np.sum(1 - (1 - np.asarray(pi)) ** tokens))


@cache
def _zipf(experts: int, chosen: int, exponent: float) -> tuple[float, ...]:
    """Return inclusion probabilities when experts are drawn by weight without replacement.

    Let expert i arrive after an exponential time of rate w_i; the first k to arrive are such a draw. So pi_e is the
    integral over the time t of its arrival of w_e exp(-w_e t) times the probability that fewer than k others came
    before, which convolutions of the experts before and behind e give.
    """
    w = np.arange(1, experts + 1, dtype=np.float64) ** -exponent
    log_t = np.linspace(math.log(1e-7 / w.max()), math.log(60 / w.min()), NODES)
    t = np.exp(log_t)
    came = 1 - np.exp(-np.outer(w, t))
    before = _running(came, chosen)
    behind = _running(came[::-1], chosen)[::-1]
    pi = []
    for e in range(experts):
        left, right = before[e], np.cumsum(behind[e + 1], axis=0)
        fewer = sum(left[count] * right[chosen - 1 - count] for count in range(chosen))
        pi.append(float(np.trapezoid(w[e] * np.exp(-w[e] * t) * fewer * t, log_t)))
    total = sum(pi)
    return tuple(value * chosen / total for value in pi)


def _running(came: Floats, chosen: int) -> Floats:
    """Return for each number of experts, and each count below ``chosen``, the probability that so many arrived."""
    experts, nodes = came.shape
    table = np.zeros((experts + 1, chosen, nodes))
    table[0, 0] = 1.0
    for number, p in enumerate(came):
        table[number + 1] = table[number] * (1 - p)
        table[number + 1, 1:] += table[number, :-1] * p
    return table


def zipf_probabilities(experts: int, chosen: int, exponent: float) -> Floats:
    """Return the probability of each expert to be among ``chosen`` that are drawn with weights i^-exponent."""
    if chosen >= experts or exponent == 0:
        return np.full(experts, min(chosen / experts, 1.0))
    return np.array(_zipf(experts, chosen, exponent))


def expected_loads(pi: Floats, chosen: int, tokens: int) -> Loads:
    """Return whole loads whose numbers are those expected of the binomials, and whose sum is tokens times chosen.

    The i-th fullest expert gets the most tokens that at least i - 1/2 experts are expected to get; what is then
    missing or over is spread over the fullest.
    """
    reach = np.zeros(tokens + 2)
    for probability, times in zip(*np.unique(pi, return_counts=True), strict=True):
        reach[: tokens + 1] += times * tail(float(probability), tokens)
    hit = max(chosen, min(round(reach[1]), len(pi), tokens * chosen))
    loads = [max(1, int(np.searchsorted(-reach[1:], -(place + 0.5), side="right"))) for place in range(hit)]
    return _summing_to(loads, tokens * chosen, tokens)


def tail(p: float, tokens: int) -> Floats:
    """Return the probabilities that Binomial(tokens, p) is at least 0, 1, ... tokens."""
    if p >= 1:
        return np.ones(tokens + 1)
    count = np.arange(tokens + 1)
    logs = _log_factorials(tokens)
    log_p = logs[tokens] - logs[count] - logs[tokens - count]
    log_p += count * math.log(max(p, 1e-300)) + (tokens - count) * math.log1p(-p)
    return np.cumsum(np.exp(log_p)[::-1])[::-1]


def _log_factorials(most: int) -> Floats:
    return np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, most + 1)))))


def _summing_to(loads: list[int], total: int, most: int) -> Loads:
    """Return loads changed in proportion until they add up; each stays in 1..most."""
    loads = sorted(loads, reverse=True)
    while (missing := total - sum(loads)) != 0:
        step = 1 if missing > 0 else -1
        free = [at for at, load in enumerate(loads) if 1 <= load + step <= most]
        share = max(1, abs(missing) * 2 // (3 * max(len(free), 1)))
        for at in free:
            moved = min(share, abs(missing), most - loads[at] if step > 0 else loads[at] - 1)
            loads[at] += step * moved
            missing -= step * moved
            if missing == 0:
                break
    return tuple(sorted(loads, reverse=True))


def _drawn(weights: Floats, chosen: int, tokens: int, seed: int) -> Loads:
    """Return the loads of one draw: the best ``chosen`` of log weights and Gumbel noise, for each token."""
    generator = np.random.default_rng(seed)
    with np.errstate(divide="ignore"):
        keys = np.log(weights) + generator.gumbel(size=(tokens, len(weights)))
    best = np.argpartition(-keys, chosen - 1, axis=1)[:, :chosen]
    loads = np.bincount(best.ravel(), minlength=len(weights))
    return tuple(sorted((int(load) for load in loads if load), reverse=True))


def grouped(loads: Loads) -> tuple[tuple[int, int], ...]:
    """Return loads as (experts, tokens of each), in `MOST_GROUPS` groups at most; their sum stays.

    Where there are more different loads, neighbours share their mean: the narrowest gap is closed first.
    """
    groups = [[load] * number for load, number in sorted(Counter(loads).items(), reverse=True)]
    most = MOST_GROUPS if len(groups) <= MOST_GROUPS else MOST_GROUPS // 2  # a mean between whole numbers makes two
    while len(groups) > most:
        at = min(range(len(groups) - 1), key=lambda at: groups[at][0] - groups[at + 1][-1])
        groups[at : at + 2] = [groups[at] + groups[at + 1]]
    even: Counter[int] = Counter()
    for one in groups:
        least, more = divmod(sum(one), len(one))
        even.update({least + 1: more, least: len(one) - more})
    return tuple((number, load) for load, number in sorted(even.items(), reverse=True) if number)


def _further(further: Sequence[str], text: str) -> tuple[int | None, Literal["expert", "token"]]:
    """Return the seed and the order that stand behind commas."""
    said = dict(part.partition("=")[::2] for part in further)
    seed, order = said.pop("seed", None), said.pop("order", "expert")
    if said or len(further) > 2 or (seed is not None and not (seed.isdecimal() and len(seed) < 12)):
        raise GraphError(f"routing {text!r:.60}: behind commas stand seed=N and order=expert or order=token only")
    if order not in ("expert", "token"):
        raise GraphError(f"routing {text!r:.60}: order must be expert or token")
    return None if seed is None else int(seed), "token" if order == "token" else "expert"


def _exponent(form: str) -> float:
    _, colon, number = form.partition(":")
    try:
        value = float(number) if colon else 1.0
    except ValueError:
        value = math.nan
    if not 0 <= value <= 10 or form.partition(":")[0] != "zipf":
        raise GraphError(f"routing {form!r:.60}: must be zipf:S with S in 0..10, as in zipf:1.2")
    return value


def _counts(path: str) -> tuple[float, ...]:
    """Return the counts of a file."""
    try:
        text = read_text(Path(path))
    except UnreadableFile as problem:
        raise GraphError(f"routing {path:.60}: cannot be read: {problem}") from None
    counts = parse_list(text, path)
    if not 1 <= len(counts) <= MOST_COUNTS or not all(map(_is_count, counts)) or not any(counts):
        raise GraphError(f"routing {path:.60}: must hold 1 to {MOST_COUNTS:,} counts of tokens, not all of them 0")
    return tuple(float(count) for count in counts)  # type: ignore[arg-type]


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
