"""What one layer of a model is, as numbers and choices, and stacks of layers that differ.

A file of a model is read into a `Stack` (`workloads.families`); `workloads.models.layer_block` builds the operators.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from workloads.models.operator_builder import Shape
from workloads.ops import RmsNorm

SKIPPED_BLOCK = 64
"""Queries that skip masked keys together, as the blocks of fused attention kernels do. [tokens]"""

Norm: TypeAlias = str
"""Kind of a normalisation: an operator of `workloads.models.layer_builder.NORMS`."""

Place = Literal["before", "after", "output", "both"]
"""Where a branch is normalised: on its input, after the addition (BERT), on its output before the addition (OLMo 2),
or on input and output (Gemma 2)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which positions a token sees besides what the causal mask hides.

    sliding   its own and the ``size`` - 1 before it; a cache keeps no more
    chunked   those of its own chunk of ``size``; a cache keeps the last ``size`` - 1, visible or not
    masked    as sliding, but all keys are kept and multiplied (GPT-Neo)
    around    ``size`` on either side (ModernBERT); all keys are multiplied
    """

    kind: Literal["sliding", "chunked", "masked", "around"]
    size: int
    """[positions]"""

    def kept(self, context: int) -> int:
        """Return how many of ``context`` earlier tokens the cache still holds."""
        return min(context, self.size - 1) if self.kind in ("sliding", "chunked") else context

    def visible(self, position: int, length: int) -> int:
        """Return how many keys the token at ``position`` of a sequence of ``length`` sees.

        The keys after its own count for ``around`` only.
        """
        if self.kind == "chunked":
            return position % self.size + 1
        if self.kind == "around":
            return min(position, self.size) + 1 + min(length - 1 - position, self.size)
        return min(position + 1, self.size)


@dataclass(frozen=True, slots=True)
class Latent:
    """Low-rank queries, keys and values (DeepSeek-V2): what is cached is ``rank`` + ``rotary`` elements per token."""

    rank: int
    query_rank: int | None
    """None: queries are projected in one product."""
    plain: int
    """Channels of a head that carry no position."""
    rotary: int
    """Channels of a head that are turned; keys share them among all heads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Self-attention of one layer."""

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    rotary: int = 0
    """Channels of each head that are turned by position."""
    causal: bool = True
    bias: str = ""
    """Which of the projections q, k, v and o add a bias, by letter."""
    head_norm: Literal["", "head", "all"] = ""
    """Whether queries and keys are normalised, each head by itself or all together."""
    head_norm_kind: Norm = RmsNorm.kind
    value_norm: bool = False
    has_values: bool = True
    """False: values are the keys before their norm and rotation (Gemma 4); there is no v projection."""
    window: Window | None = None
    latent: Latent | None = None
    repeats_cache: bool = False
    """Keys and values are repeated for all query heads before they are cached (Falcon)."""

    def keys(self, context: int, new: int) -> int:
        """Return the length of the products over keys for ``new`` tokens behind ``context`` earlier ones."""
        return new + (context if self.window is None else self.window.kept(context))

    def keys_read(self, shape: Shape) -> int:
        """Return the length of the products over keys that are computed for the shape.

        Where masked blocks are skipped, `SKIPPED_BLOCK` queries share the keys that one of them sees; the mean over
        these blocks, rounded up, stands for each.
        """
        if not shape.skips_masked or shape.phase == "decode":
            return self.keys(shape.context, shape.seq)
        starts = range(0, shape.seq, SKIPPED_BLOCK)
        seen = 0
        for start in starts:
            end = min(start + SKIPPED_BLOCK, shape.seq)
            seen += (end - start) * self._reach(shape.context + start, shape.context + end, shape.attended)
        return -(-seen // shape.seq)

    def _reach(self, start: int, end: int, length: int) -> int:
        """Return how many keys the queries from ``start`` to ``end`` see, of ``length`` in all."""
        window = self.window
        if window is not None and window.kind == "around":
            return min(end + window.size, length) - max(start - window.size, 0)
        if not self.causal:
            return length
        if window is None:
            return end
        return end - (start - start % window.size if window.kind == "chunked" else max(0, start - window.size + 1))

    def visible_pairs(self, tokens: int) -> int:
        """Return how many (query, key) pairs of a prompt of ``tokens`` the mask leaves."""
        if self.window is not None:
            return sum(self.window.visible(position, tokens) for position in range(tokens))
        return tokens * (tokens + 1) // 2 if self.causal else tokens * tokens

    @property
    def cached_elements(self) -> int:
        """Elements that the cache of this layer keeps per token."""
        if self.latent is not None:
            return self.latent.rank + self.latent.rotary
        return (self.heads if self.repeats_cache else self.kv_heads) * (self.head_dim + self.value_dim)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAttention:
    """Attention of a decoder to the states of an encoder, whose keys and values are kept while it decodes."""

    heads: int
    head_dim: int
    bias: str = ""
    """Which of the projections q, k, v and o add a bias, by letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """Two matrices around a nonlinearity, or three if it is gated."""

    inner: int
    gated: bool
    activation: str
    """By the name of the transformers library."""
    bias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """A router and feed-forward parts of which each token takes the best ``chosen``."""

    count: int
    chosen: int
    each: FeedForward
    shared: FeedForward | None = None
    """Runs for all tokens."""
    shared_gate: bool = False
    """Whether a product of one column scales the shared part."""
    beside: bool = False
    """Whether a dense feed-forward part runs beside, with norms of its own around both (Gemma 4)."""
    corrected: bool = False
    """Whether the router keeps a number for each expert that only its choice sees: stored, and too few to cost."""
    hit: int = 0
    """Experts that get tokens at all, for one pass; 0 until the number of tokens is known."""
    given_loads: tuple[tuple[int, int], ...] = ()
    """(experts, tokens of each) of a router that is not balanced, the fuller first; none: as even as they go."""

    def expected_hit(self, tokens: int) -> float:
        """Return the expected number of experts that ``tokens`` tokens hit if all are equally likely.

        A token's choices are distinct, so each expert is missed by one token with probability 1 - chosen / count.
        """
        return float(self.count * (1 - (1 - self.chosen / self.count) ** tokens))

    def loads(self, tokens: int) -> tuple[tuple[int, int], ...]:
        """Return (experts, tokens of each), the fuller first; they add up to ``tokens`` times ``chosen``."""
        if self.given_loads:
            return self.given_loads
        least, more = divmod(tokens * self.chosen, self.hit)
        return tuple(
            (number, each) for number, each in ((more, least + 1), (self.hit - more, least)) if number and each
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer. Equal layers are one kind of block."""

    d_model: int
    attention: Attention
    ffn: FeedForward | None = None
    experts: Experts | None = None
    cross: CrossAttention | None = None
    norm: Norm = RmsNorm.kind
    place: Place = "before"
    parallel: int = 0
    """0: the feed-forward part sees the attention's result. Else both see the layer's input, behind this many norms."""
    has_attention: bool = True
    """False: the layer is its feed-forward part alone."""
    tokens: int | None = None
    """Tokens per sequence that a prompt has in this layer; None: all."""
    normed_input: bool = True
    """False: attention takes the stream as it is (the first layer of ModernBERT)."""
    epsilon: float = 1e-5
    rope_theta: float = 10000.0

    @property
    def weights(self) -> int:
        """Elements of all matrices of the layer's products, those of experts that are not hit included."""
        a, d = self.attention, self.d_model
        if not self.has_attention:
            return _matrices(d, self.ffn)
        total = a.heads * a.value_dim * d
        if (low := a.latent) is None:
            total += d * (a.heads * a.head_dim + a.kv_heads * (a.head_dim + a.has_values * a.value_dim))
        else:
            inner = low.query_rank
            total += a.heads * a.head_dim * (inner or d) + (d * inner if inner else 0)
            total += d * (low.rank + low.rotary) + low.rank * a.heads * (low.plain + a.value_dim)
        if self.cross is not None:
            total += 4 * d * self.cross.heads * self.cross.head_dim
        if self.experts is not None:
            part = self.experts
            total += d * part.count + part.count * _matrices(d, part.each) + d * part.shared_gate
            total += _matrices(d, part.shared)
        return total + _matrices(d, self.ffn)


def _matrices(width: int, part: FeedForward | None) -> int:
    return 0 if part is None else (3 if part.gated else 2) * width * part.inner


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that run one after another on the same tokens."""

    layers: tuple[Layer, ...]
    name: str = ""
    """``"encoder"`` or ``"decoder"`` where a model has both."""

    @property
    def kinds(self) -> tuple[tuple[Layer, tuple[int, ...]], ...]:
        """Layers that differ, in order of first use, each with the indices where it stands."""
        found: dict[Layer, list[int]] = {}
        for index, layer in enumerate(self.layers):
            found.setdefault(layer, []).append(index)
        return tuple((layer, tuple(indices)) for layer, indices in found.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A model that was read from a file."""

    name: str
    model_type: str
    family: str
    """The file of `workloads.families` that read it."""
    groups: tuple[Group, ...]
    """One, or the encoder and the decoder."""
    generates: bool
    """Whether tokens are made one by one, with a cache."""
    tokens: int | None = None
    """Tokens of one input, if the model fixes them: patches of an image, frames of speech."""
    weight_sets: int | None = None
    """Sets of weights that the layers share; None: each layer has its own."""
    max_positions: int | None = None
    vocabulary: int | None = None
    tied: bool = False
    """Whether embedding and LM head share their weights."""
    weight_bits: int | None = None
    """Bits of the layers' weights, if the file states them."""
    notes: tuple[str, ...] = field(default=())
    """What a reader of the report should know: keys filled in, keys that are not modelled."""

    @property
    def layers(self) -> int:
        """Layers of all groups."""
        return sum(len(group.layers) for group in self.groups)
