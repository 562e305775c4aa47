"""Decoding with two models, and models that stop early.

A small model drafts c tokens; the large one looks at all of them at once and keeps those before the first that it would
not have made, and one of its own. If it accepts each with probability a, a call of the large model makes
(1 - a^(c+1)) / (1 - a) tokens [1]_.

References
----------
.. [1] Y. Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", arXiv:2211.17192, section 3.
.. [2] S. Kim et al., "Speculative Decoding with Big Little Decoder", arXiv:2302.07863.
.. [3] T. Schuster et al., "Confident Adaptive Language Modeling", arXiv:2207.07061.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workloads.errors import GraphError

MOST_DRAFTED = 1000


@dataclass(frozen=True, slots=True)
class Speculation:
    """A pair of models.

    Raises
    ------
    GraphError
        For an acceptance outside 0..1 and costs below 0.
    """

    acceptance: float
    """a: probability that a drafted token is what the large model would have made."""
    draft_step: float = 0.0
    """Step of the small model over a step of the large one, in time."""
    draft_operations: float = 0.0
    """The same in operations."""

    def __post_init__(self) -> None:
        if not 0 <= self.acceptance <= 1:
            raise GraphError(f"acceptance={self.acceptance}: must lie in 0..1")
        if min(self.draft_step, self.draft_operations) < 0:
            raise GraphError("draft_step and draft_operations must be at least 0")

    def tokens(self, drafted: int) -> float:
        """Return the tokens that a call of the large model makes, ``drafted`` before it."""
        _check_drafted(drafted)
        a = self.acceptance
        return float(drafted + 1) if a == 1 else (1 - a ** (drafted + 1)) / (1 - a)

    def speed_up(self, drafted: int, verify: float = 1.0) -> float:
        """Return the time of the large model alone over that of both.

        Parameters
        ----------
        verify
            Call on all drafted tokens over a step on one; 1 where the weights' traffic hides the rows.
        """
        if verify <= 0:
            raise GraphError(f"verify={verify}: must be positive")
        return self.tokens(drafted) / (drafted * self.draft_step + verify)

    def operations(self, drafted: int) -> float:
        """Return the operations of both models over those of the large one alone, for the same tokens."""
        return (drafted * self.draft_operations + drafted + 1) / self.tokens(drafted)

    def best(self, most: int = 64, verify: Sequence[float] | None = None) -> int:
        """Return the number of drafted tokens, up to ``most``, with the largest speed-up; 0: drafting does not pay.

        Parameters
        ----------
        verify
            Relative cost of a call on 1, 2, ... rows, as far as ``most`` + 1; None: 1 for all.
        """
        _check_drafted(most)
        if verify is not None and len(verify) < most + 1:
            raise GraphError(f"verify: {len(verify)} costs for up to {most + 1} rows")
        return max(
            range(most + 1), key=lambda drafted: self.speed_up(drafted, 1.0 if verify is None else verify[drafted])
        )


def _check_drafted(drafted: int) -> None:
    if isinstance(drafted, bool) or not isinstance(drafted, int) or not 0 <= drafted <= MOST_DRAFTED:
        raise GraphError(f"drafted={drafted!r}: must be a whole number in 0..{MOST_DRAFTED}")


def big_little(small: float, large: float, fallback: float) -> float:
    """Return the expected cost of a token of a small model that hands over with probability ``fallback`` [2]_."""
    if not 0 <= fallback <= 1 or min(small, large) < 0:
        raise GraphError(f"fallback={fallback}: must lie in 0..1, costs at least at 0")
    return small + fallback * large


def several_heads(acceptances: Sequence[float]) -> float:
    """Return the tokens per step of a model with further heads, the n-th of which is right with a probability.

    A token counts only if those before it were right.
    """
    if not all(0 <= one <= 1 for one in acceptances):
        raise GraphError("acceptances must lie in 0..1")
    return 1 + sum(math.prod(acceptances[: place + 1]) for place in range(len(acceptances)))


def reaches(exits: Sequence[float]) -> tuple[float, ...]:
    """Return the probability that a token runs through each layer, if it leaves behind layer i with ``exits[i]``.

    Raises
    ------
    GraphError
        For probabilities that are none, or do not add up to 1.
    """
    if not exits or min(exits) < 0 or abs(sum(exits) - 1) > 1e-9:
        raise GraphError(f"exits: probabilities of {len(exits)} layers must be at least 0 and add up to 1")
    return tuple(math.fsum(exits[place:]) for place in range(len(exits)))


def early_exit(costs: Sequence[float], exits: Sequence[float], fill: Sequence[float] | None = None) -> float:
    """Return the expected cost of a token that leaves early [3]_.

    Parameters
    ----------
    costs
        Of each layer: cycles, energy or operations.
    exits
        Probability that a token leaves behind each layer.
    fill
        Cost of a layer that is passed over: its keys and values are still made for later tokens; None: copied for
        nothing.

    Raises
    ------
    GraphError
        For lists of different lengths.
    """
    for name, values in (("exits", exits), ("fill", costs if fill is None else fill)):
        if len(values) != len(costs):
            raise GraphError(f"{name}: {len(values)} values for {len(costs)} layers")
    filled = [0.0] * len(costs) if fill is None else fill
    runs = reaches(exits)
    return math.fsum(run * cost + (1 - run) * other for run, cost, other in zip(runs, costs, filled, strict=True))
