"""How many bytes of activations are alive at once: liveness over the steps of a block, least over their orders.

While a step runs, its operands and its result are alive, and every tensor that was made before and is used later. A
step that reads its operand element by element, or row by row, may write over it if nobody reads it later. Weights are
not counted. The least peak over all orders is found by dynamic programming over the sets of finished steps; of a
block there are few.

Two changes of a block make it smaller: attention in blocks of query rows, whose scores never exist as a whole, and
feed-forward layers in blocks of tokens. The inequality of MCUFormer [1]_ is one step of the same kind.

.. [1] Y. Liang et al., MCUFormer: Deploying Vision Transformers on Microcontrollers with Limited Memory, arXiv
   2310.16898; its test is read from the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product

import workloads
from workloads import OpGraph

MODEL, TOKENS = "bert-base", 512
ROWS = 16
"""Query rows of a block of fused attention: those of the array."""

SCORE_BYTES = 4
"""Scores of a block of rows stay as sums in the accumulator."""

SPLITS = (1, 2, 4, 8)
"""Blocks of tokens of the feed-forward layers."""

MOST_STEPS = 24
"""Steps that orders are searched of; there are up to 2^steps sets of finished ones."""

BY_HAND = {"unfused": 4_718_592, "attention in rows": 1_998_848, "feed-forward": 2_359_296}
"""BERT-Base, 512 tokens: x, Q, K, V and the scores; x, Q, K, V, the result and 16 rows of scores; x, hidden layer and
result of the feed-forward layers, which bind once attention is fused."""

MCU_BYTES = 320 * 1024
MCU_ROWS = ((192, 4, 0.4, 275_942, True), (192, 4, 0.9, 349_670, False), (168, 4, 0.9, 291_446, True),
            (216, 4, 0.4, 318_729, True))  # fmt: skip
"""Width, MLP ratio, rank ratio, bytes and whether they fit, for images of 240 pixels and patches of 16."""

MCU_IMAGE = 240
MCU_WIDTHS, MCU_RATIOS, MCU_PATCHES = (168, 192, 216), (3.5, 4.0), (16, 20, 24, 28, 32)
MCU_RANKS = tuple(round(0.4 + 0.05 * step, 2) for step in range(12))


@dataclass(frozen=True, slots=True)
class Live:
    """One step of a block: what it reads, makes, and needs while it runs [bytes]."""

    name: str
    reads: tuple[str, ...]
    makes: str
    scratch_bytes: float = 0
    overwrites: bool = False
    """Whether the result may lie where an operand was."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """An order of the steps and what it needs."""

    peak_bytes: int
    binding: str
    """The step that needs most."""
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps, the sizes of their tensors, and what must be there when all are done."""

    steps: tuple[Live, ...]
    size_bytes: Mapping[str, float]
    given: tuple[str, ...]
    kept: tuple[str, ...]

    def bytes_at(self, done: int, number: int) -> float:
        """Return the bytes alive while a step runs behind a set of finished ones, given as bits."""
        step = self.steps[number]
        later = {name for other, one in enumerate(self.steps) if not done >> other & 1 for name in one.reads}
        after = {name for other, one in enumerate(self.steps) if not (done | 1 << number) >> other & 1
                 for name in one.reads}  # fmt: skip
        made = {*self.given, *(one.makes for other, one in enumerate(self.steps) if done >> other & 1)}
        alive = {name for name in made if name in later or name in self.kept}
        dying = [self.size_bytes[name] for name in step.reads if name not in after and name not in self.kept]
        result: float = self.size_bytes[step.makes]
        if step.overwrites and any(size >= result for size in dying):
            result = 0
        return sum(self.size_bytes[name] for name in alive) + result + step.scratch_bytes

    def of_order(self, order: Sequence[str]) -> Schedule:
        """Return what one order needs."""
        places = {step.name: number for number, step in enumerate(self.steps)}
        done, needs = 0, list[tuple[float, str]]()
        for name in order:
            needs.append((self.bytes_at(done, places[name]), name))
            done |= 1 << places[name]
        peak, binding = max(needs, key=lambda need: need[0])
        return Schedule(int(peak), binding, tuple(order))

    def best(self) -> Schedule:
        """Return an order with the least peak.

        Raises
        ------
        ValueError
            For more than `MOST_STEPS` steps.
        """
        if len(self.steps) > MOST_STEPS:
            raise ValueError(f"{len(self.steps)} steps: orders of at most {MOST_STEPS} are searched")
        makers = {step.makes: number for number, step in enumerate(self.steps)}
        needs = [sum(1 << makers[name] for name in set(step.reads) if name in makers) for step in self.steps]
        every = (1 << len(self.steps)) - 1

        @cache
        def least(done: int) -> tuple[float, int]:
            """The least peak of what is left, and the step that comes first."""
            choices = []
            for number, needed in enumerate(needs):
                if not done >> number & 1 and needed & done == needed:
                    rest = least(done | 1 << number)[0] if done | 1 << number != every else 0.0
                    choices.append((max(self.bytes_at(done, number), rest), number))
            return min(choices)

        order: list[str] = []
        done = 0
        while done != every:
            number = least(done)[1]
            order.append(self.steps[number].name)
            done |= 1 << number
        return self.of_order(order)


def of_graph(graph: OpGraph) -> Chain:
    """Return one layer of a graph, unfused: an element-wise or row-wise operator may overwrite its operand."""
    steps: list[Live] = []
    sizes: dict[str, float] = {}
    for op in graph.operators:
        reads = tuple(dict.fromkeys(one.name for one in op.inputs if one.role in ("activation", "kv_cache")))
        steps.append(Live(op.name, reads, op.output.name, overwrites=not op.macs))
        for tensor in (*op.inputs, op.output):
            sizes[tensor.name] = math.ceil(tensor.elements * min(tensor.bits, 8) / 8)
    made = {step.makes for step in steps}
    read = {name for step in steps for name in step.reads}
    given = tuple(sorted(read - made))
    return Chain(tuple(steps), sizes, given, tuple(sorted(made - read)))


def fused(chain: Chain, names: Sequence[str], into: str, scratch_bytes: float) -> Chain:
    """Return a chain in which some steps are one, whose inner tensors never exist as a whole."""
    inside = [step for step in chain.steps if step.name in names]
    made = [step.makes for step in inside]
    reads = tuple(dict.fromkeys(name for step in inside for name in step.reads if name not in made))
    one = Live(into, reads, made[-1], scratch_bytes)
    first = chain.steps.index(inside[0])
    left = [step for step in chain.steps if step.name not in names]
    before = [step for step in chain.steps[:first] if step.name not in names]
    return Chain((*before, one, *left[len(before) :]), chain.size_bytes, chain.given, chain.kept)


ATTENTION, FEED_FORWARD = ("scores", "softmax", "context"), ("ffn1", "ffn_activation", "ffn2")


@dataclass(frozen=True, slots=True)
class MemoryVariant:
    """A way to run a block."""

    attention_fused: bool
    splits: int
    schedule: Schedule
    """Of the order that needs least."""
    as_written: Schedule
    """Of the order in which the model is written."""
    extra_weight_bytes: int
    """Read again for each block of tokens but the first."""

    @property
    def name(self) -> str:
        """What it changes."""
        parts = ["fused attention"] if self.attention_fused else []
        parts += [f"feed-forward in {self.splits} blocks"] if self.splits > 1 else []
        return ", ".join(parts) or "unfused"


def variants(graph: OpGraph) -> Iterator[MemoryVariant]:
    """Yield the ways to run a block of an encoder, those that change least first."""
    plain, scores, ffn1 = of_graph(graph), graph.operator("scores"), graph.operator("ffn1")
    rows, hidden = min(ROWS, scores.dims["m"]), plain.size_bytes["ffn1"]
    weights = sum(plain.size_bytes[f"{name}.weight"] for name in ("ffn1", "ffn2"))
    for splits in (split for split in SPLITS if split <= ffn1.dims["m"]):
        for attention in (False, True):
            chain = plain
            if attention:
                chain = fused(chain, ATTENTION, "attention", rows * scores.dims["n"] * SCORE_BYTES)
            chain = fused(chain, FEED_FORWARD, "feed_forward", hidden / splits)
            written = chain.of_order([step.name for step in chain.steps])
            yield MemoryVariant(attention, splits, chain.best(), written, int((splits - 1) * weights))


@dataclass(frozen=True, slots=True)
class Fit:
    """The first variant that keeps a budget; of none, the smallest."""

    budget_bytes: int
    variant: MemoryVariant

    @property
    def fits(self) -> bool:
        """Whether it keeps the budget."""
        return self.variant.schedule.peak_bytes <= self.budget_bytes


def fit(budget_bytes: int, ways: Sequence[MemoryVariant]) -> Fit:
    """Return the least change of a block that keeps a budget, or the smallest one if none does."""
    for way in ways:
        if way.schedule.peak_bytes <= budget_bytes:
            return Fit(budget_bytes, way)
    return Fit(budget_bytes, min(ways, key=lambda way: way.schedule.peak_bytes))


def mcu_bytes(width: int, ratio: float, rank: float, patch: int = 16, image: int = MCU_IMAGE) -> int:
    """Return the peak of an MLP of a vision Transformer by liveness; the authors truncate the sum."""
    tokens = (image / patch) ** 2 + 1
    sizes = {"x": width * tokens, "hidden": width * tokens * ratio}
    # One buffer holds the low-rank weights of the layer that runs.
    step = Live("fc1", ("x",), "hidden", scratch_bytes=width * width * ratio * rank)
    return int(Chain((step,), sizes, ("x",), ("hidden",)).bytes_at(0, 0))


def mcu_inequality(width: int, ratio: float, rank: float, patch: int) -> bool:
    """Return whether the published inequality holds."""
    tokens = (MCU_IMAGE / patch) ** 2 + 1
    return width * tokens * (1 + ratio) + width * width * ratio * rank <= MCU_BYTES


@dataclass(slots=True)
class Peaks:
    """What was computed so far."""

    tokens: int
    model: str = MODEL
    variants: list[MemoryVariant] = field(default_factory=list)
    attention_alone: int = 0
    fits: list[Fit] = field(default_factory=list)
    mcu: list[tuple[int, float, float, int, bool, int]] = field(default_factory=list)
    """Width, ratio, rank, published bytes, published verdict, ours."""
    agreeing: int = 0
    points: int = 0


def run(found: Peaks, budgets: Sequence[int] = ()) -> Iterator[str]:
    """Find the peaks of a block, its budgets and MCUFormer's points; yield the name of each step."""
    graph = workloads.build(found.model, seq=found.tokens)
    found.variants += variants(graph)
    scores = graph.operator("scores")
    scratch = min(ROWS, scores.dims["m"]) * scores.dims["n"] * SCORE_BYTES
    chain = fused(of_graph(graph), ATTENTION, "attention", scratch)
    found.attention_alone = int(chain.bytes_at(0b111, [step.name for step in chain.steps].index("attention")))
    found.fits += [fit(budget, found.variants) for budget in budgets]
    yield f"{found.model}, {found.tokens} tokens"
    for width, ratio, rank, printed, fits in MCU_ROWS:
        found.mcu.append((width, ratio, rank, printed, fits, mcu_bytes(width, ratio, rank)))
    for width, factor, patch, share in product(MCU_WIDTHS, MCU_RATIOS, MCU_PATCHES, MCU_RANKS):
        ours = mcu_bytes(width, factor, share, patch) <= MCU_BYTES
        found.agreeing += ours == mcu_inequality(width, factor, share, patch)
        found.points += 1
    yield "MCUFormer"
