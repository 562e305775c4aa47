"""Every operator against an independent brute force, and its counts against hand arithmetic."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from workloads import GraphError, Tensor, View, conv2d, matmul
from workloads.ops import (
    Add,
    AvgPool,
    Conv2d,
    Gelu,
    LayerNorm,
    Matmul,
    MaxPool,
    Mul,
    Operator,
    Relu,
    RmsNorm,
    Rope,
    Silu,
    Softmax,
)
from workloads.ops.matrices import MatrixAxes
from workloads.ops.pooling import pooled

ROWS, COLS = 6, 8


def activation(name: str, *shape: int) -> Tensor:
    return Tensor(name, shape, tuple(f"d{axis}" for axis in range(len(shape))))


def rowwise(kind: type[Operator], **extra: object) -> Operator:
    count = 2 if kind in (Add, Mul) else 1
    inputs = tuple(activation(f"x{i}", ROWS, COLS) for i in range(count))
    fields = {"name": "op", "inputs": inputs, "output": activation("op", ROWS, COLS), "rows": ROWS, "cols": COLS}
    return kind(**fields, **extra)


def softmax_row(row: list[float]) -> list[float]:
    powers = [math.exp(v) for v in row]
    return [p / sum(powers) for p in powers]


def layernorm_row(row: list[float]) -> list[float]:
    mean = sum(row) / len(row)
    variance = sum((v - mean) ** 2 for v in row) / len(row)
    return [(v - mean) / math.sqrt(variance + 1e-5) for v in row]


def rmsnorm_row(row: list[float]) -> list[float]:
    return [v / math.sqrt(sum(u * u for u in row) / len(row) + 1e-5) for v in row]


def each(function: Callable[[float], float]) -> Callable[[list[float]], list[float]]:
    return lambda row: [function(v) for v in row]


ONE_INPUT = [
    (Softmax, softmax_row, 5),
    (LayerNorm, layernorm_row, 7),
    (RmsNorm, rmsnorm_row, 4),
    (Gelu, each(lambda v: v * 0.5 * math.erfc(-v / math.sqrt(2))), 8),
    (Silu, each(lambda v: v / (1 + math.exp(-v))), 4),
    (Relu, each(lambda v: v if v > 0 else 0), 1),
]


@pytest.mark.parametrize(("kind", "by_row", "flops"), ONE_INPUT, ids=lambda v: getattr(v, "kind", None))
def test_one_input_operator(kind: type[Operator], by_row: Callable[[list[float]], list[float]], flops: int) -> None:
    op = rowwise(kind)
    x = np.random.default_rng(1).normal(0, 3, (ROWS, COLS))
    np.testing.assert_allclose(op.reference(x), [by_row(list(row)) for row in x], rtol=1e-12, atol=1e-12)
    assert (op.macs, op.flops, op.bytes_read, op.bytes_written) == (0, flops * 48, 48, 48)
    assert op.iteration_space.complete == ({"d1"} if kind in (Softmax, LayerNorm, RmsNorm) else set())


@pytest.mark.parametrize(("kind", "sign"), [(Add, "+"), (Mul, "*")])
def test_two_input_operator(kind: type[Operator], sign: str) -> None:
    op = rowwise(kind)
    x, y = np.random.default_rng(2).integers(-128, 128, (2, ROWS, COLS), dtype=np.int8)
    expected = [[int(a) + int(b) if sign == "+" else int(a) * int(b) for a, b in zip(*r)] for r in zip(x, y)]  # noqa: B905
    assert op.reference(x, y).tolist() == expected
    assert (op.flops, op.bytes_read, op.bytes_written) == (48, 96, 48)


def test_adding_a_tensor_to_itself_reads_it_once() -> None:
    x = activation("x", ROWS, COLS)
    op = Add(name="double", inputs=(x, x), output=activation("double", ROWS, COLS), rows=ROWS, cols=COLS)
    assert op.bytes_read == 48


def test_silu_and_softmax_survive_extreme_values() -> None:
    x = np.full((ROWS, COLS), -1e4)
    assert np.abs(rowwise(Silu).reference(x)).max() == 0
    np.testing.assert_allclose(rowwise(Softmax).reference(-x), 1 / COLS)


def test_softmax_mask_and_scale() -> None:
    """Two sequences of 3 new tokens behind 5 cached ones: token i sees columns 0..5+i."""
    op = rowwise(Softmax, scale=0.5, causal_tokens=3)
    x = np.random.default_rng(3).normal(size=(ROWS, COLS))
    result = op.reference(x)
    for row in range(ROWS):
        visible = 5 + row % 3 + 1
        np.testing.assert_allclose(result[row, :visible], softmax_row(list(0.5 * x[row, :visible])))
        assert not result[row, visible:].any()


def test_rope_turns_each_pair_by_position_times_frequency() -> None:
    op = rowwise(Rope, head_dim=4, tokens=3, first_position=7, theta=100.0)
    x = np.random.default_rng(4).normal(size=(ROWS, COLS))
    result = op.reference(x)
    for row, head, i in itertools.product(range(ROWS), range(2), range(2)):
        turn = np.exp(1j * (7 + row % 3) * 100.0 ** (-2 * i / 4))
        pair = complex(x[row, 4 * head + i], x[row, 4 * head + i + 2]) * turn
        np.testing.assert_allclose(result[row, [4 * head + i, 4 * head + i + 2]], [pair.real, pair.imag])
    assert op.flops == 3 * 48


@pytest.mark.parametrize("b_axes", [("k", "n"), ("n", "k")])
@pytest.mark.parametrize("repeat", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_matmul_is_exact_on_integers(repeat: int, b_axes: MatrixAxes, bias: bool) -> None:
    op = matmul("c", 4, 5, 3, repeat=repeat, b_axes=b_axes, bias=bias)
    transposed = b_axes == ("n", "k")
    rng = np.random.default_rng(5)
    arrays = [rng.integers(-128, 128, t.shape, dtype=np.int8 if t.bits == 8 else np.int32) for t in op.inputs]
    a, b = arrays[0].reshape(repeat, 4, 5), arrays[1].reshape(repeat, *((3, 5) if transposed else (5, 3)))
    result = op.reference(*arrays).reshape(repeat, 4, 3)
    for r, i, j in itertools.product(range(repeat), range(4), range(3)):
        products = [int(a[r, i, x]) * int(b[r, j, x] if transposed else b[r, x, j]) for x in range(5)]
        assert result[r, i, j] == sum(products) + (int(arrays[2][j]) if bias else 0)
    assert (op.macs, op.flops) == (60 * repeat, 120 * repeat)
    assert op.bytes_read == repeat * (20 + 15) + (12 if bias else 0)
    assert op.bytes_written == 12 * repeat


def test_matmul_on_strided_views() -> None:
    """Two heads of three channels inside (4 tokens, 6 channels); both share one B, counted once."""
    q = Tensor("q", (4, 6), ("row", (("head", 2), ("k", 3))))
    out = Tensor("o", (4, 6), ("row", (("head", 2), ("n", 3))))
    w = Tensor("w", (3, 3), ("k", "n"), 8, "weight")
    op = Matmul(name="o", inputs=(q, w), output=out)
    assert [view.layout for view in op.views] == [(6, ((2, 3),)), (3, ((2, 0),)), (6, ((2, 3),))]
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(4, 6)), rng.normal(size=(3, 3))
    np.testing.assert_allclose(op.reference(a, b), np.hstack([a[:, :3] @ b, a[:, 3:] @ b]))
    assert (op.bytes_read, op.bytes_written) == (24 + 9, 24)
    assert [op.views[0].instance_offset(i) for i in range(2)] == [0, 3]


def test_instance_offsets_run_outer_to_inner() -> None:
    view = View(activation("t", 1000), 10, ((2, 100), (3, 7)))
    assert [view.instance_offset(i) for i in range(6)] == [0, 7, 14, 100, 107, 114]
    assert view.instances == 6
    with pytest.raises(IndexError):
        view.instance_offset(6)


@pytest.mark.parametrize(("window", "stride", "pad"), [(1, 1, 0), (3, 1, 1), (3, 2, 1), (2, 3, 0), (7, 2, 3)])
def test_convolution_against_seven_loops(window: int, stride: int, pad: int) -> None:
    x = activation("x", 2, 8, 7, 3)
    op = conv2d("y", x, 4, window, stride=stride, pad=pad)
    rng = np.random.default_rng(7)
    data, weight = (rng.integers(-9, 9, t.shape, dtype=np.int8) for t in op.inputs[:2])
    bias = rng.integers(-99, 99, 4, dtype=np.int32)
    result, macs = op.reference(data, weight, bias), 0
    for n, p, q, k in np.ndindex(*op.output.shape):
        total = int(bias[k])
        for r, s, c in np.ndindex(window, window, 3):
            macs += 1
            h, w = p * stride - pad + r, q * stride - pad + s
            if 0 <= h < 8 and 0 <= w < 7:
                total += int(data[n, h, w, c]) * int(weight[r, s, c, k])
        assert result[n, p, q, k] == total
    assert op.macs == macs
    assert math.prod(op.dims.values()) == macs
    as_matmul = op.as_matmul()
    assert (as_matmul.macs, as_matmul.bytes_written) == (op.macs, op.bytes_written)
    np.testing.assert_array_equal(as_matmul.reference(op.im2col(data), weight, bias), result)
    assert (as_matmul.inputs[0] == x) == op.is_pointwise


def test_dilated_convolution() -> None:
    x, out = activation("x", 1, 7, 7, 1), activation("y", 1, 3, 3, 1)
    op = Conv2d(name="y", inputs=(x, Tensor("w", (3, 3, 1, 1), tuple("rsck"), 8, "weight")), output=out, dilation=2)
    data = np.arange(49).reshape(1, 7, 7, 1)
    expected = [[sum(data[0, i + 2 * r, j + 2 * s, 0] for r in range(3) for s in range(3)) for j in range(3)]
                for i in range(3)]  # fmt: skip
    assert op.reference(data, np.ones((3, 3, 1, 1), dtype=np.int8))[0, :, :, 0].tolist() == expected


@pytest.mark.parametrize(("kind", "pick"), [(MaxPool, max), (AvgPool, lambda v: sum(v) / 9)])
def test_pooling(kind: type[MaxPool] | type[AvgPool], pick: Callable[[list[int]], float]) -> None:
    x = activation("x", 1, 6, 6, 2)
    op = kind(name="y", inputs=(x,), output=pooled(x, "y", 3, 2, 1), window=3, stride=2, pad=1)
    data = np.random.default_rng(8).integers(1, 99, x.shape)
    result = op.reference(data)
    for p, q, c in np.ndindex(3, 3, 2):
        window = [int(data[0, h, w, c]) if 0 <= h < 6 and 0 <= w < 6 else 0
                  for h in range(2 * p - 1, 2 * p + 2) for w in range(2 * q - 1, 2 * q + 2)]  # fmt: skip
        assert result[0, p, q, c] == pytest.approx(pick(window))
    assert dict(op.dims) == {"rows": 9, "cols": 2, "r": 3, "s": 3}
    assert op.flops == 18 * 9


def test_signature_ignores_names_only() -> None:
    first, second = matmul("a", 8, 8, 8), matmul("b", 8, 8, 8)
    assert first.signature == second.signature
    assert hash(first.signature) == hash(second.signature)
    others = [matmul("a", 8, 8, 9), matmul("a", 8, 8, 8, bias=True), matmul("a", 8, 8, 8, repeat=2)]
    others += [matmul("a", 8, 8, 8, b_axes=("n", "k")), matmul("a", 8, 8, 8, output_bits=32)]
    assert first.signature not in {op.signature for op in others}
    x = activation("x", 1, 9, 9, 4)
    assert conv2d("y", x, 4, 3, stride=2, pad=1).signature != conv2d("y", x, 4, 3, stride=2, pad=0).signature


def test_operators_can_be_sent_to_another_process() -> None:
    op = matmul("a", 8, 8, 8, bias=True)
    copy: Operator = pickle.loads(pickle.dumps(op))
    assert copy == op
    assert copy.signature == op.signature


def product(a: Tensor, b: Tensor, c: Tensor) -> Operator:
    return Matmul(name=c.name, inputs=(a, b), output=c)


M_K, K_N, M_N = (
    Tensor(name, shape, dims)
    for name, shape, dims in (("a", (4, 3), ("m", "k")), ("b", (3, 2), ("k", "n")), ("y", (4, 2), ("m", "n")))
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: matmul("z", 0, 1, 1), "m=0"),
        (lambda: Tensor("t", (1, 0), ("a", "b")), "must be positive"),
        (lambda: Tensor("t", (1,), ("a",), bits=0), "bits=0"),
        (lambda: Tensor("t", (1,), ("a", "b")), "2 dimension names"),
        (lambda: Tensor("t", (4,), ((("a", 2), ("b", 3)),)), "do not multiply to an axis of 4"),
        (lambda: Tensor("t", (4, 4), ("a", "a")), "named twice in a, a"),
        (lambda: product(M_K, Tensor("b", (4, 2), ("k", "n")), M_N), "y: k has extent 3, but 4 in tensor b"),
        (lambda: product(M_K, Tensor("b", (5, 2), ("j", "n")), M_N), "y: dimension k indexes only one operand"),
        (lambda: product(Tensor("a", (3, 4), ("k", "m")), K_N, M_N), "y: rows of tensor a are not contiguous"),
        (
            lambda: product(
                Tensor("a", (4, 6), ("m", (("i", 2), ("k", 3)))), Tensor("b", (3, 2, 2), ("k", "i", "n")), M_N
            ),
            "y: the reduction over i, k is not contiguous in both operands",
        ),
        (lambda: matmul("y", 4, 3, 2, a=Tensor("a", (12,), ("r",))), "cannot be read as"),
        (lambda: rowwise(Rope, head_dim=3, tokens=3), "must be even"),
        (lambda: rowwise(Rope, head_dim=4, tokens=4), "must divide rows=6"),
        (lambda: conv2d("y", activation("x", 1, 2, 2, 1), 1, 3), "larger than the 2x2 input"),
    ],
)
def test_impossible_operator(make: Callable[[], object], message: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
