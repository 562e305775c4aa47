"""Rotary embeddings and choices of a router on numbers: what each store makes of its tile, at its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import workloads
from mapper import pipeline
from mapper.evaluation import placed_numbers
from mapper.evaluation.number_reports import NumbersCheck
from mapper.evaluation.placed_numbers import PlacedStores
from simulator.program import Matrix, Mvout
from workloads.ops import Rope, TopK

LLAMA: dict[str, Any] = {
    "family": "llama", "name": "small", "source": "a test", "layers": 1, "d_model": 64, "heads": 2, "kv_heads": 1,
    "d_ffn": 96, "vocabulary": 100,
}  # fmt: skip
MIXTRAL: dict[str, Any] = {
    "model_type": "mixtral", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "intermediate_size": 96, "num_local_experts": 4, "num_experts_per_tok": 2,
    "vocab_size": 100,
}  # fmt: skip
SHAPES: tuple[dict[str, Any], ...] = ({"seq": 20}, {"phase": "decode", "context": 33})


def checked(model: dict[str, Any], shape: dict[str, Any]) -> NumbersCheck:
    graph = workloads.build(model, **shape)
    return pipeline.check_numbers(pipeline.run_graph(graph, pipeline.load("gemmini_decoder"), finalists=0))


@pytest.mark.parametrize("shape", SHAPES, ids=["prefill", "decode"])
def test_rotary_embeddings_are_executed(shape: dict[str, Any]) -> None:
    check = checked(LLAMA, shape)
    assert check.wrong == []
    assert (check.not_executed, check.on_host) == ([], [])


def test_the_choice_of_experts_is_executed() -> None:
    check = checked(MIXTRAL, {"seq": 20})
    assert check.wrong == []
    # Rows that go where a choice sends them are moved as many times, but not to the right places.
    assert {name.split(".")[-1] for name in check.not_executed} <= {"expert_rows", "combine"}
    assert not any("choice" in name or "rope" in name for name in check.not_executed)


def test_a_store_at_the_wrong_position_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads turned as if they lay a row further down."""
    right = PlacedStores.__call__

    def shifted(stores: PlacedStores, item: Mvout, sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        row = stores.op.output.shape[-1] * stores.element_bytes
        target = Matrix(item.target.address + row, item.target.row_stride_bytes)
        return right(stores, Mvout(target, item.rows, item.cols, item.memory, item.row), sums)

    monkeypatch.setattr(placed_numbers.PlacedStores, "__call__", shifted)
    wrong = checked(LLAMA, {"seq": 20}).wrong
    assert {one.group.split(".")[-1] for one in wrong} == {"rope_q", "rope_k"}


def test_parts_of_a_matrix_are_turned_as_the_whole() -> None:
    graph = workloads.build(LLAMA, phase="decode", context=33, batch=3)
    op = next(op for op in graph.operators if isinstance(op, Rope) and op.cols > op.head_dim)
    values = np.random.default_rng(0).normal(size=(op.rows, op.cols))
    whole = op.reference(values).reshape(op.rows, op.cols)
    head = slice(op.head_dim, 2 * op.head_dim)
    assert op.turn(values[1:3, head], 1) == pytest.approx(whole[1:3, head])


def test_numbers_of_many_columns_take_more_than_a_byte() -> None:
    graph = workloads.build({**MIXTRAL, "num_local_experts": 300}, seq=4)
    op = next(op for op in graph.operators if isinstance(op, TopK))
    sums = np.zeros((4, 300), dtype=np.int64)
    sums[:, 299], sums[:, 7] = 2, 1
    stores = PlacedStores(op, 0, 2)
    assert stores.rows(sums, 0).tolist() == [[299, 7]] * 4
    written = stores(Mvout(Matrix(0, 4), 4, 4, "accumulator", 0), sums)
    assert written.astype(np.int8).view("<i2").tolist() == [[299, 7]] * 4
