"""Loop-nest problems: axes with halo against sets of indices, and what the operators of a graph become."""

from __future__ import annotations

import itertools

import pytest

from mapper.errors import MappingError
from mapper.nest.model.problem import NestProblem, NestTensor, batched_matmul, conv2d, matmul
from workloads import build
from workloads.iteration_space import Axis
from workloads.ops import conv2d as conv_operator
from workloads.tensor import Tensor


def test_extent_of_a_sliding_axis_is_the_number_of_different_indices() -> None:
    for stride, dilation, a, b in itertools.product(range(1, 6), range(1, 6), range(1, 8), range(1, 6)):
        indices = {stride * i + dilation * j for i in range(a) for j in range(b)}
        axis = Axis((("p", stride), ("r", dilation)))
        assert axis.extent({"p": a, "r": b}) == len(indices), (stride, dilation, a, b)


def test_relevant_dimensions() -> None:
    problem = conv2d(1, 64, 32, 14, 14, 3, 3, stride=2)
    assert problem.irrelevant("input") == {"k"}
    assert problem.irrelevant("weight") == {"n", "p", "q"}
    assert problem.irrelevant("output") == {"c", "r", "s"}
    assert problem.elements("input") == 32 * 29 * 29
    assert batched_matmul(12, 512, 64, 512).relevant("weight") == {"b", "k", "n"}


def test_convolution_of_a_graph() -> None:
    image = Tensor("x", (2, 15, 15, 8), ("n", "h", "w", "c"))
    problem = NestProblem.of(conv_operator("stem", image, 16, 3, stride=2, pad=1))
    assert problem.sizes == {"n": 2, "k": 16, "c": 8, "p": 8, "q": 8, "r": 3, "s": 3}
    assert problem.name == "stem" and problem.elements("input") == 2 * 8 * 17 * 17


@pytest.mark.parametrize(
    ("model", "phase"), [("bert-base", {"seq": 128}), ("llama-3-8b", {"phase": "decode", "context": 64})]
)
def test_every_matmul_of_a_block_is_a_nest(model: str, phase: dict[str, object]) -> None:
    problems: list[NestProblem] = []
    for operator in build(model, **phase).operators:  # type: ignore[arg-type]
        if operator.kind == "matmul":
            problems.append(NestProblem.of(operator))
            assert problems[-1].macs == operator.macs
    assert problems


def test_others_are_refused_by_name() -> None:
    softmax = next(operator for operator in build("bert-base", seq=16).operators if operator.kind == "softmax")
    with pytest.raises(MappingError, match=f"{softmax.name}: no loop nest for softmax"):
        NestProblem.of(softmax)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: matmul(4, 0, 4), "sizes must be at least 1, not k=0"),
        (lambda: matmul(2**20, 2**20, 2**20), "counts are exact up to"),
        (lambda: matmul(4, 4, 4).size("z"), "unknown dimension 'z'; the problem has m, k, n"),
        (lambda: matmul(4, 4, 4).tensor("bias"), "unknown tensor 'bias'; use input, weight, output"),
        (lambda: NestTensor("input", (Axis((("p", 0),)),)), "coefficients of at least 1"),
        (
            lambda: NestProblem("x", (("m", 4),), tuple(NestTensor(name, (Axis((("j", 1),)),)) for name in ("input", "weight", "output"))),  # type: ignore[arg-type]  # noqa: E501
            "unknown dimensions j",
        ),
    ],
)  # fmt: skip
def test_bad_problems(build: object, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        build()  # type: ignore[operator]
