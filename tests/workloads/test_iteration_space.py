"""Producers and consumers of every model share the dimensions of the tensors between them; tiles by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import workloads
from workloads import GraphError, Operator, OpGraph, Tensor, conv2d, iteration_space, matmul
from workloads.iteration_space import Axis, IterationSpace, Operand
from workloads.ops import Relu

DECODERS = ("gpt2", "gpt2-large", "gpt2-medium", "gpt2-xl", "llama-2-7b", "llama-3-8b")
ENCODERS = ("bert-base", "bert-large")
IMAGES = ("resnet50", "vit-base")

ASKED: list[tuple[str, dict[str, object]]] = [
    *((name, {"seq": 384}) for name in (*DECODERS, *ENCODERS)),
    *((name, {"seq": 1}) for name in (*DECODERS, *ENCODERS)),
    *((name, {"seq": 16, "context": 100}) for name in DECODERS),
    *((name, {"phase": "decode", "context": 511}) for name in DECODERS),
    *((name, {}) for name in IMAGES),
]

ATTENDED = {"attended": "query"}
REDUCED_CHANNEL = {"in_channel": "channel"}


def graphs() -> Iterator[tuple[str, OpGraph]]:
    for name, asked in ASKED:
        for batch in (1, 3):
            yield name, workloads.build(name, **asked, batch=batch)  # type: ignore[arg-type]


def edges(graph: OpGraph) -> Iterator[tuple[Operator, Operator, int]]:
    """Producer, consumer, and which input of the consumer the producer's result is."""
    made = {op.output.name: op for op in graph.operators}
    for consumer in graph.operators:
        for number, tensor in enumerate(consumer.inputs):
            if tensor.name in made:
                yield made[tensor.name], consumer, number


def test_every_preset_is_tested() -> None:
    assert sorted({*DECODERS, *ENCODERS, *IMAGES}) == sorted(workloads.available())


def test_both_ends_of_every_edge_name_the_same_dimensions_with_the_same_extents() -> None:
    """The only exceptions are windows, whose axis is a sum of two dimensions; the next test has their tiles."""
    count = 0
    for name, graph in graphs():
        for producer, consumer, number in edges(graph):
            space, reads = producer.iteration_space, consumer.iteration_space
            made = space.output.named_extents(space.sizes)
            read = reads.inputs[number].named_extents(reads.sizes)
            sliding = consumer.kind in ("conv2d", "maxpool", "avgpool")
            for axis, (ours, theirs) in enumerate(zip(made, read, strict=True)):
                count += 1
                assert ours is not None
                assert theirs == (None if sliding and axis in (1, 2) else ours), (name, producer.name, consumer.name)
    assert count > 1000


def test_tiles_go_from_consumer_to_producer_on_every_edge() -> None:
    """What a tile of a result needs of an operand, its producer can be asked for, and makes no more unless asked to."""
    for name, graph in graphs():
        for producer, consumer, number in edges(graph):
            space = consumer.iteration_space
            middle = {dim: range(space.sizes[dim] // 3, space.sizes[dim] // 3 + 1) for dim in space.output.dims}
            operand = consumer.tile_for(middle).inputs[number]
            made = producer.tile_for(operand.result_tile).output
            for axis, needed, given in zip(operand.operand.axes, operand.indices, made.indices, strict=True):
                assert set(needed) <= set(given), (name, producer.name, consumer.name)
                assert axis.slides or len(needed) == len(given)


def test_only_keys_values_and_reduced_channels_are_renamed() -> None:
    for name, graph in graphs():
        cached = any(op.inputs[-1].role == "kv_cache" for op in graph.operators)
        for op in graph.operators:
            for number, operand in enumerate(op.iteration_space.inputs):
                attends = op.name in ("scores", "context") and number == 1 and not cached
                image = op.kind == "conv2d" and number == 0
                expected = ATTENDED if attends else REDUCED_CHANNEL if image else {}
                assert operand.renamed == expected, (name, op.name, operand.tensor.name)


def test_a_cache_has_the_dimensions_of_what_is_appended_to_it() -> None:
    """All but the positions: those of the cache are attended to, those appended are queries."""
    for name, graph in graphs():
        for cache, new in graph.appends.items():
            old, appended = (dict(dim for axis in graph.tensors[t].axes for dim in axis) for t in (cache, new))
            queries = appended.pop("query")
            assert old.pop("attended") == queries + graph.config["context"]  # type: ignore[operator]
            assert old == appended, name


def test_every_name_is_in_the_table() -> None:
    table = set(re.findall(r"\b[a-z_]+\b", iteration_space.__doc__ or ""))
    names = {dim for _, graph in graphs() for op in graph.operators for dim in op.iteration_space.sizes}
    assert names <= table
    assert len(names) == 15


def test_the_edges_that_fusion_asks_for() -> None:
    graph = workloads.build("bert-base", seq=512)
    spaces = {op.name: op.iteration_space for op in graph.operators}
    pairs = ("batch", "head", "query_head", "query", "attended")
    assert spaces["scores"].output.dims == spaces["softmax"].inputs[0].dims == pairs
    assert spaces["softmax"].output.dims == spaces["context"].inputs[0].dims == pairs
    assert spaces["softmax"].complete == {"attended"} and "attended" in spaces["context"].reduced
    assert spaces["scores"].reduced == ("head_dim",)
    tokens = ("batch", "query", "channel")
    assert spaces["out"].output.dims == spaces["attention_add"].inputs[0].dims == tokens
    assert spaces["attention_norm"].inputs[0].dims == tokens and spaces["attention_norm"].complete == {"channel"}
    hidden = ("batch", "query", "hidden")
    assert spaces["ffn1"].output.dims == spaces["ffn_activation"].inputs[0].dims == hidden
    assert spaces["ffn2"].reduced == ("hidden",) and not spaces["ffn_activation"].complete


def test_operand_tiles_of_scores_by_hand() -> None:
    """Heads 1 and 2 of four; queries 10..19: rows of q 10..19, its channels 64..191, all attended rows of the heads."""
    graph = workloads.build({"family": "bert", "layers": 1, "d_model": 256, "heads": 4, "d_ffn": 8}, seq=30, batch=2)
    tile = graph.operator("scores").tile_for({"batch": range(1), "head": range(1, 3), "query": range(10, 20)})
    rows, channels = (list(index) for index in tile.inputs[0].indices)
    assert (rows, channels) == (list(range(10, 20)), list(range(64, 192)))
    rows, channels = (list(index) for index in tile.inputs[1].indices)
    assert (rows, channels) == (list(range(30)), list(range(64, 192)))
    rows = list(tile.output.indices[0])
    assert rows == [*range(40, 50), *range(70, 80)]
    assert tile.output.elements == 20 * 30
    assert tile.inputs[1].result_tile == {
        "batch": range(1), "query": range(30), "head": range(1, 3), "head_dim": range(64)
    }  # fmt: skip


def test_the_halo_of_a_convolution_by_hand() -> None:
    """Stride 2, window 3, padding 1: rows 0..1 of the result read rows -1..3; row -1 is padding."""
    x = Tensor("x", (1, 8, 8, 4), ("image", "height", "width", "channel"))
    tile = conv2d("y", x, 6, 3, stride=2, pad=1).tile_for({"height": range(2), "channel": range(3)})
    assert tile.inputs[0].result_tile == {
        "image": range(1), "height": range(4), "width": range(8), "channel": range(4)
    }  # fmt: skip
    assert [len(index) for index in tile.inputs[1].indices] == [3, 3, 4, 3]
    assert tile.iterations["window_height"] == range(3) and tile.iterations["in_channel"] == range(4)


def test_a_window_in_the_padding_reads_nothing() -> None:
    axis = Axis((("height", 4), ("window", 1)), -4, slides=True)
    tile = {"height": range(1), "window": range(3)}
    assert list(axis.indices(tile, 9)) == [] and axis.hull(tile, 9) == range(0, 0)


@pytest.mark.parametrize(
    ("tile", "message"),
    [
        ({"row": range(5)}, "y: tile row=0:5:1 is no part of 0:4"),
        ({"row": range(2, 2)}, "y: tile row=2:2:1"),
        ({"row": range(0, 4, 2)}, "y: tile row=0:4:2"),
        ({"reduction": range(1)}, "y: the result has no dimension 'reduction'"),
        ({"rows": range(1)}, "no dimension 'rows'; did you mean 'row'"),
    ],
)
def test_tiles_that_are_none(tile: dict[str, range], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        matmul("y", 4, 3, 2).tile_for(tile)


def test_a_tensor_seen_as_other_rows_is_indexed_by_position() -> None:
    """Its producer is asked for whole axes where the factors differ."""
    x = Tensor("x", (4, 6), ((("a", 2), ("b", 2)), "c"))
    y = Tensor("y", (2, 12), ("d", "e"))
    space = Relu(name="y", inputs=(x,), output=y, rows=4, cols=6).iteration_space
    assert space.dims == (("a", 2), ("b", 2), ("c", 6))
    assert space.output.dims == ("a", "b", "c") and space.output.renamed == {"a": "d"}
    assert space.tile_for({"b": range(1, 2), "c": range(2)}).output.result_tile == {"d": range(2), "e": range(6, 8)}


SLIDING = Axis((("p", 2), ("r", 1)), slides=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Operand.by_position(Tensor("t", (2, 3), ("a", "b")), (("c", 6),)), "c=6 would have to be cut"),
        (lambda: Operand.by_position(Tensor("t", (2,), ("a",)), (("c", 2), ("d", 3))), "fewer elements than c=2 x d=3"),
        (
            lambda: IterationSpace.of("op", (), Operand(Tensor("t", (5,), ("a",)), (SLIDING,))),
            "op: nothing tells the extent of p, r",
        ),
    ],
)  # fmt: skip
def test_operands_that_cannot_be_indexed(make: object, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        make()  # type: ignore[operator]
