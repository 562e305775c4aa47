"""Every operator keeps the promises of the shipped suite, and random tiles of random operators compute the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workloads
from mapper.testing.operators import OperatorConformance, from_tile
from workloads import Operator, Tensor, conv2d, matmul
from workloads.ops import (
    Add,
    AvgPool,
    Conv2d,
    Gelu,
    LayerNorm,
    Lookup,
    MaxPool,
    Mul,
    Relu,
    RmsNorm,
    Rope,
    Silu,
    Softmax,
    Xielu,
)
from workloads.ops.pooling import Pooling, pooled
from workloads.ops.rowwise import RowwiseOperator
from workloads.tensor import Extents

TOKENS: Extents = (("batch", 2), ("query", 3))
HEADS: Extents = (("head", 2), ("query_head", 2), ("head_dim", 4))
LLAMA = {"family": "llama", "layers": 1, "d_model": 12, "heads": 6, "kv_heads": 2, "head_dim": 4, "d_ffn": 20}
GPT = {"family": "gpt", "layers": 1, "d_model": 12, "heads": 3, "d_ffn": 20}


def rowwise(kind: type[RowwiseOperator], columns: Extents = HEADS, **fields: float) -> Operator:
    names = ("x", "y")[: kind.operands]
    rows, cols = 6, int(np.prod([extent for _, extent in columns]))
    inputs = tuple(Tensor(name, (rows, cols), (TOKENS, columns)) for name in names)
    output = Tensor("op", (rows, cols), (TOKENS, columns))
    return kind(name="op", inputs=inputs, output=output, rows=rows, cols=cols, **fields)  # type: ignore[arg-type]


def image(height: int, width: int, channels: int) -> Tensor:
    return Tensor("x", (2, height, width, channels), ("image", "height", "width", "channel"))


def pooling(kind: type[Pooling], x: Tensor, window: int, stride: int, pad: int) -> Operator:
    output = pooled(x, "op", window, stride, pad)
    return kind(name="op", inputs=(x,), output=output, window=window, stride=stride, pad=pad)


def dilated() -> Operator:
    weight = Tensor("w", (3, 2, 3, 4), tuple("rsck"), 8, "weight")
    output = Tensor("op", (2, 5, 4, 4), ("image", "height", "width", "channel"))
    return Conv2d(name="op", inputs=(image(9, 5, 3), weight), output=output, dilation=2, stride=2, pad=2)


def attention(name: str, model: dict[str, object], **asked: object) -> Operator:
    return workloads.build(model, **asked).operator(name)  # type: ignore[arg-type]


MIXTRAL = {
    "model_type": "mixtral", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "intermediate_size": 6, "num_local_experts": 3, "num_experts_per_tok": 2,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "first_k_dense_replace": 1, "intermediate_size": 6, "kv_lora_rank": 4, "q_lora_rank": 6, "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 2, "v_head_dim": 5,
}  # fmt: skip


OPERATORS: dict[str, Operator] = {
    "matmul": matmul("op", 6, 5, 7, bias=True),
    "matmul, B stored n x k": matmul("op", 6, 5, 7, b_axes=("n", "k")),
    "matmuls": matmul("op", 6, 5, 7, repeat=4, bias=True),
    "scores": attention("scores", GPT, seq=5, batch=2),
    "context": attention("context", GPT, seq=5, batch=2),
    "scores of shared keys": attention("scores", LLAMA, seq=5, batch=2),
    "context of shared values": attention("context", LLAMA, seq=5, batch=2),
    "scores with a cache": attention("scores", LLAMA, phase="decode", context=6, batch=2),
    "context behind a prefix": attention("context", LLAMA, seq=3, context=4, batch=2),
    "causal softmax": attention("softmax", LLAMA, seq=5, context=2, batch=2),
    "rope behind a prefix": attention("rope_q", LLAMA, seq=3, context=4, batch=2),
    "projection": attention("q", LLAMA, seq=3, batch=2),
    "rope of a part": rowwise(Rope, (("head", 3), ("head_dim", 6)), head_dim=6, tokens=3, turned=4),
    "choice": attention("choice", MIXTRAL, seq=4),
    "rows of experts": attention("expert_rows", MIXTRAL, seq=4),
    "experts": attention("expert_gate", MIXTRAL, seq=4),
    "rows of the other experts": attention("rest_expert_rows", MIXTRAL, seq=4),
    "sum of experts": attention("combine", MIXTRAL, seq=4),
    "scores of latent keys": attention("scores_plain", DEEPSEEK, phase="decode", context=3, batch=2),
    "scores of turned keys": attention("scores_rotary", DEEPSEEK, phase="decode", context=3, batch=2),
    "sum of scores": attention("scores_add", DEEPSEEK, phase="decode", context=3, batch=2),
    "latent keys": attention("k_up", DEEPSEEK, phase="decode", context=3, batch=2),
    "conv2d": conv2d("op", image(8, 7, 3), 4, 3, stride=2, pad=1),
    "conv2d, gaps": conv2d("op", image(8, 7, 3), 4, 1, stride=3),
    "conv2d, dilated": dilated(),
    "im2col": conv2d("op", image(8, 7, 3), 4, 3, stride=2, pad=1).as_matmul(),
    "pointwise": conv2d("op", image(4, 5, 3), 4, 1).as_matmul(),
    "maxpool": pooling(MaxPool, image(8, 7, 3), 3, 2, 1),
    "avgpool": pooling(AvgPool, image(6, 7, 3), 3, 3, 1),
    "rope, no head named": rowwise(Rope, (("channel", 16),), head_dim=4, tokens=3),
    **{kind.kind: rowwise(kind) for kind in (Softmax, LayerNorm, RmsNorm, Gelu, Silu, Relu, Xielu, Lookup, Add, Mul)},
}


class TestShippedOperators(OperatorConformance):
    @pytest.fixture(params=OPERATORS.values(), ids=OPERATORS.keys())
    def operator(self, request: pytest.FixtureRequest) -> Operator:
        operator: Operator = request.param
        return operator


def test_the_suite_asks_for_an_operator() -> None:
    with pytest.raises(NotImplementedError, match="give a fixture `operator`"):
        OperatorConformance.operator.__wrapped__(OperatorConformance())  # type: ignore[attr-defined]


class LeakySoftmax(Softmax):
    """Claims that a column needs only itself."""

    @property
    def columns_together(self) -> int:
        return 1


def test_the_suite_finds_an_operator_that_reads_more_than_it_says() -> None:
    operator = rowwise(LeakySoftmax)
    arrays = (np.random.default_rng(0).normal(size=operator.inputs[0].shape),)
    with pytest.raises(AssertionError, match="nan"):
        OperatorConformance().test_tiles_of_the_result_are_computed_from_their_operand_tiles(operator, arrays)


sizes = st.integers(1, 5)


@st.composite
def products(draw: st.DrawFn) -> Operator:
    order = draw(st.sampled_from([("k", "n"), ("n", "k")]))
    bias, repeat = draw(st.booleans()), draw(sizes)
    return matmul("op", draw(sizes), draw(sizes), draw(sizes), bias=bias, repeat=repeat, b_axes=order)


@st.composite
def attentions(draw: st.DrawFn) -> Operator:
    shared, kv_heads = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    model = {**LLAMA, "kv_heads": kv_heads, "heads": kv_heads * shared}
    context, batch = draw(st.integers(0, 4)), draw(st.integers(1, 3))
    graph = workloads.build(model, seq=draw(sizes), context=context, batch=batch)
    return draw(st.sampled_from(graph.operators))


@st.composite
def windows(draw: st.DrawFn) -> Operator:
    window, stride = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    pad = draw(st.integers(0, window // 2))
    x = image(draw(st.integers(3, 7)), draw(st.integers(3, 7)), draw(st.integers(1, 3)))
    if draw(st.booleans()):
        return pooling(draw(st.sampled_from([MaxPool, AvgPool])), x, window, stride, pad)
    return conv2d("op", x, draw(sizes), window, stride=stride, pad=pad)


@settings(max_examples=150)
@given(st.one_of(products(), attentions(), windows()), st.data())
def test_any_tile_is_computed_from_its_operand_tiles_alone(operator: Operator, data: st.DataObject) -> None:
    tile = {}
    for dim in operator.iteration_space.output.dims:
        size = operator.iteration_space.sizes[dim]
        start = data.draw(st.integers(0, size - 1))
        tile[dim] = range(start, data.draw(st.integers(start + 1, size)))
    random = np.random.default_rng(0)
    arrays = [random.normal(size=tensor.shape) for tensor in operator.inputs]
    needed = operator.tile_for(tile)
    expected = operator.reference(*arrays)[np.ix_(*needed.output.indices)]
    np.testing.assert_allclose(from_tile(operator, arrays, needed), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["matmul", "scores of shared keys", "conv2d", "conv2d, gaps", "avgpool", "add"])
def test_operand_tiles_hold_nothing_that_is_not_needed(name: str) -> None:
    """Each element of each operand tile reaches a result of the tile: without it, a result is unknown."""
    operator = OPERATORS[name]
    space = operator.iteration_space
    tile = operator.tile_for({dim: range(space.sizes[dim] // 2, space.sizes[dim]) for dim in space.output.dims})
    random = np.random.default_rng(0)
    arrays = [random.normal(size=tensor.shape) for tensor in operator.inputs]
    for operand, array in zip(tile.inputs, arrays, strict=True):
        for position in np.stack(np.meshgrid(*operand.indices, indexing="ij"), -1).reshape(-1, array.ndim):
            kept = array[tuple(position)]
            array[tuple(position)] = np.nan
            assert np.isnan(from_tile(operator, arrays, tile)).any(), (operand.operand.tensor.name, position)
            array[tuple(position)] = kept
