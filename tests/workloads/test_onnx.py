"""Exported graphs: the operators of the models that ship, whatever the opset; everything else is refused by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

import workloads
from mapper import cli
from tests.workloads.onnx_files import Graph, Sizes, bert, gpt2, llama, vit
from workloads import GraphError, OpGraph

SIZES = Sizes()
GROUPED = Sizes(heads=8, kv_heads=2)
OPSETS = (18, 20, 23)


def prices(graph: OpGraph) -> Counter[object]:
    """How often each operator runs, by what it costs."""
    counted: Counter[object] = Counter()
    for op in graph.operators:
        moved = op.bytes_read, op.bytes_written, op.flops
        counted[op.kind, tuple(op.dims.items()), op.repeat, op.op_class, moved] += graph.runs(op.name)
    return counted


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("write", "family", "sizes", "asked", "tokens"),
    [
        (bert, "bert", SIZES, {"seq": 32, "batch": 2}, {}),
        (gpt2, "gpt", SIZES, {"phase": "decode", "context": 31, "batch": 2}, {}),
        (gpt2, "gpt", SIZES, {"seq": 32, "context": 0, "batch": 2}, {}),
        (gpt2, "gpt", SIZES, {"seq": 8, "context": 24}, {}),
        (llama, "llama", GROUPED, {"phase": "decode", "context": 31, "batch": 2}, {}),
        (llama, "llama", GROUPED, {"phase": "decode", "context": 31}, {}),
        (llama, "llama", GROUPED, {"seq": 32, "context": 0}, {}),
        (lambda opset, sizes: vit(opset, sizes, embedded=False), "vit", SIZES, {"batch": 2}, {"tokens": 17}),
    ],
)
def test_the_totals_of_the_presets(
    write: Callable[[int, Sizes], Graph], family: str, sizes: Sizes, asked: dict[str, Any], tokens: dict[str, int],
    opset: int, tmp_path: Path,
) -> None:  # fmt: skip
    path = write(opset, sizes).save(tmp_path / "model.onnx")
    file = workloads.build(path, **asked)
    ours = workloads.build(sizes.config(family, **tokens), **asked)
    assert file.totals() == ours.totals()
    assert (file.repeat, file.parameters, file.config["notes"]) == (2, ours.parameters, [])
    assert prices(file) == prices(ours)


def test_patches_class_token_and_positions(tmp_path: Path) -> None:
    graph = workloads.build(vit(20, SIZES).save(tmp_path / "vit.onnx"), batch=2)
    (conv,) = (op for op in graph.operators if op.kind == "conv2d")
    assert conv.macs == 2 * 16 * 3 * 64 * 64  # 3 p^2 hidden for each patch
    assert graph.macs == conv.macs + workloads.build(SIZES.config("vit", tokens=17), batch=2).macs
    assert [(kind.name, len(kind.layers)) for kind in graph.kinds] == [("block", 2), ("ends", 1)]
    assert graph.config["notes"] == [
        "1 x Concat: parts are written where they belong, not costed; the first is node 'Concat_6'"
    ]


def test_embedding_pooler_and_head(tmp_path: Path) -> None:
    graph = Graph(20)
    ids = graph.input("ids", ["batch", "seq"], TensorProto.INT64)
    x = graph.op("Gather", graph.weight(100, 16), ids)
    first = graph.op("Gather", graph.layer_norm(x, 16), graph.scalar(0), axis=1)
    graph.outputs.append(graph.op("Tanh", graph.op("Gemm", first, graph.weight(24, 16), graph.weight(24), transB=1)))
    graph.outputs.append(graph.op("MatMul", x, graph.op("Transpose", graph.weight(100, 16), perm=[1, 0])))
    built = workloads.build(graph.save(tmp_path / "ends.onnx"), seq=8, batch=2)
    assert [op.kind for op in built.operators] == ["lookup", "layernorm", "matmul", "matmul"]
    pooler, head = (op.macs for op in built.operators[2:])
    assert (pooler, head) == (2 * 16 * 24, 2 * 8 * 16 * 100)
    assert "1 x Tanh, not costed; the first is node 'Tanh_4'" in built.config["notes"]  # type: ignore[operator]


def test_einsum_integers_and_packed_projections(tmp_path: Path) -> None:
    graph = Graph(18)
    x = graph.input("x", [2, 8, 64])
    packed = graph.op("MatMulInteger", x, graph.weight(64, 192))
    q, k, v = graph.op("Split", graph.op("Cast", packed, to=1), count=3, axis=2, num_outputs=3)
    q, k, v = (graph.op("Reshape", part, graph.whole(2, 8, 4, 16)) for part in (q, k, v))
    scores = graph.op("Einsum", q, k, equation="bqhd,bkhd->bhqk")
    context = graph.op("Einsum", graph.op("Softmax", scores), v, equation="bhqk,bkhd->bqhd")
    graph.outputs.append(graph.linear(graph.op("Reshape", context, graph.whole(2, 8, 64)), 64, 64))
    built = workloads.build(graph.save(tmp_path / "einsum.onnx"), batch=1)
    assert [dict(op.dims) for op in built.operators if op.op_class == "act_to_act"] == [
        {"m": 8, "k": 16, "n": 8}, {"m": 8, "k": 8, "n": 16},
    ]  # fmt: skip
    assert built.macs == 4 * 16 * 64 * 64 + 2 * (2 * 4 * 8 * 8 * 16)
    assert [op.op_class for op in built.operators].count("mha_projection") == 4


def contrib(graph: Graph, kind: str, *inputs: str, count: int = 1, **attributes: Any) -> Any:
    return graph.op(kind, *inputs, count=count, domain="com.microsoft", **attributes)


def test_files_fused_for_onnx_runtime(tmp_path: Path) -> None:
    graph = Graph(17)
    x = graph.input("x", ["batch", "seq", 64])
    for _ in range(2):
        context = contrib(graph, "Attention", x, graph.weight(64, 192), graph.weight(192), num_heads=4)
        out = graph.linear(context, 64, 64)
        gains = graph.weight(64), graph.weight(64)
        x = contrib(graph, "SkipLayerNormalization", out, x, *gains)
        inner = contrib(graph, "BiasGelu", graph.op("MatMul", x, graph.weight(64, 128)), graph.weight(128))
        x = contrib(
            graph, "SkipLayerNormalization", graph.linear(inner, 128, 64), x, graph.weight(64), graph.weight(64)
        )
    graph.outputs.append(x)
    built = workloads.build(graph.save(tmp_path / "fused.onnx"), seq=32, batch=2)
    ours = workloads.build(Sizes(layers=2).config("bert"), seq=32, batch=2)
    assert built.totals() == ours.totals()


def test_grouped_query_attention_with_four_bits(tmp_path: Path) -> None:
    graph = Graph(17)
    x = graph.input("x", ["batch", "seq", 64])
    past = [graph.input(name, ["batch", 2, "past", 8]) for name in ("k", "v")]
    lengths = graph.input("lengths", ["batch"], TensorProto.INT32)
    packed = contrib(graph, "MatMulNBits", x, graph.weight(96, 2, 16), graph.weight(192), K=64, N=96, bits=4)
    context, *_ = contrib(
        graph, "GroupQueryAttention", packed, "", "", *past, lengths, lengths, count=3, num_heads=8, kv_num_heads=2,
        do_rotary=1,
    )  # fmt: skip
    graph.outputs.append(graph.linear(context, 64, 64, bias=False))
    built = workloads.build(graph.save(tmp_path / "gqa.onnx"), phase="decode", context=31)
    assert built.macs == 64 * 96 + 2 * 8 * 32 * 8 + 64 * 64
    assert built.bytes_of("kv_cache") == 2 * 2 * 32 * 8
    assert built.bytes_of("weight") == 64 * 96 // 2 + 64 * 64
    assert [op.kind for op in built.operators].count("rope") == 2


def test_weights_of_chosen_experts_are_the_left_operand(tmp_path: Path) -> None:
    graph = Graph(20)
    rows = graph.input("rows", [6, 32])
    chosen = graph.input("chosen", [6], TensorProto.INT64)
    weights = graph.op("Gather", graph.weight(4, 48, 32), chosen)
    graph.outputs.append(graph.op("MatMul", weights, graph.op("Unsqueeze", rows, graph.whole(2))))
    (product,) = workloads.build(graph.save(tmp_path / "experts.onnx")).operators
    assert (product.macs, product.repeat, dict(product.dims)) == (6 * 48 * 32, 6, {"m": 1, "k": 32, "n": 48})


def saved(graph: Graph, tmp_path: Path, *outputs: str) -> Path:
    graph.outputs += outputs
    return graph.save(tmp_path / "bad.onnx")


def test_what_is_not_modelled_is_named_with_its_number(tmp_path: Path) -> None:
    graph = Graph(20)
    x = graph.input("x", [4, 1, 16])
    y, *_ = (graph.op("LSTM", x, graph.weight(1, 32, 16), graph.weight(1, 32, 8), count=3, hidden_size=8) for _ in "ab")
    path = saved(graph, tmp_path, graph.op("Reshape", y[0], graph.whole(4, 8)))
    with pytest.raises(GraphError, match=r"bad.onnx: 2 x LSTM, not modelled; the first is node 'LSTM_0' \(LSTM\)"):
        workloads.build(path)


def test_shapes_that_cannot_be_inferred(tmp_path: Path) -> None:
    graph = Graph(20)
    x = graph.input("x", [4, 16])
    some = graph.op("Gather", x, graph.op("Squeeze", graph.op("NonZero", graph.input("which", [4])), graph.whole(0)))
    path = saved(graph, tmp_path, graph.linear(some, 16, 16))
    with pytest.raises(
        GraphError, match=r"bad.onnx: node 'Gather_2' \(Gather\): the shape of 'v2_0' cannot be inferred"
    ):
        workloads.build(path)


@pytest.mark.parametrize(
    ("axes", "asked", "says"),
    [
        ([None, 64], {}, "input 'x': axis 0 is dynamic and has no name to set it by"),
        (["s70", 64], {}, "input 'x': axis 0 is 's70'; give --dim s70=N"),
        (["seq", 64], {}, "axis 0 is 'seq'; give --seq N or --dim seq=N"),
        (["s53 + past", 64], {"dims": {"past": 3}}, "axis 0 is 's53 [+] past'; give --dim s53=N"),
        (["s70", 64], {"seq": 3}, "seq=3: the file has no axis of that name; open are s70: set them with --dim"),
        ([4, 64], {"seq": 3}, "seq=3: the file has no axis of that name; all are fixed"),
        (["tokens", 64], {"dims": "tokns=3"}, "dim 'tokns': no axis has this name; did you mean 'tokens'"),
        (["tokens", 64], {"dims": "tokens"}, "dim 'tokens': must be NAME=N"),
        (["tokens", 64], {"dims": "tokens=-3"}, "dim tokens='-3': must be a whole number"),
        ([4, 64], {"heads": 3}, "heads must be left out"),
        ([4, 64], {"lm_head": True}, "lm_head must be left out"),
        ([4, 64], {"phase": "decod"}, "phase 'decod' is unknown"),
    ],
)
def test_axes_that_nothing_sets(axes: list[Any], asked: dict[str, Any], says: str, tmp_path: Path) -> None:
    graph = Graph(20)
    path = saved(graph, tmp_path, graph.linear(graph.input("x", axes), 64, 8))
    with pytest.raises(GraphError, match=says) as caught:
        workloads.build(path, **asked)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("axes", "dims", "rows"),
    [
        (["7", 64], None, 7), (["s53 + 1", 64], "s53=4", 5), (["Min(512, s1)", 64], "s1=600", 512),
        (["new*2", 64], {"new": 3}, 6),
    ],
)  # fmt: skip
def test_sizes_that_are_calculated(axes: list[Any], dims: Any, rows: int, tmp_path: Path) -> None:
    graph = Graph(20)
    path = saved(graph, tmp_path, graph.linear(graph.input("x", axes), 64, 8))
    assert workloads.build(path, dims=dims).macs == rows * 64 * 8


def test_lengths_that_the_file_has_fixed(tmp_path: Path) -> None:
    graph = Graph(20)
    x = graph.input("x", ["batch", "seq", 64])
    path = saved(graph, tmp_path, graph.op("Reshape", x, graph.whole(1, 16, 4, 16)))
    with pytest.raises(GraphError, match=r"node 'Reshape_0' \(Reshape\): \(1, 32, 64\) cannot become \(1, 16, 4, 16\)"):
        workloads.build(path, seq=32)


def test_weights_in_files_beside(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = bert(20, SIZES).model()
    onnx.save(model, str(path), save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    assert workloads.build(path, seq=8).macs == workloads.build(SIZES.config("bert"), seq=8).macs
    beside = tmp_path / "model.onnx.data"
    beside.write_bytes(beside.read_bytes()[:1000])
    with pytest.raises(GraphError, match="reach past the end of 'model.onnx.data'"):
        workloads.build(path, seq=8)
    beside.unlink()
    with pytest.raises(GraphError, match=r"of node 'MatMul_0' \(MatMul\) lie in 'model.onnx.data', which is missing"):
        workloads.build(path, seq=8)


def test_no_onnx_files(tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    with pytest.raises(GraphError, match=r"no.onnx: cannot read the model: No such file"):
        workloads.build(path)
    for content in (b"", b"\x00\xff" * 40, b'{"model_type": "bert"}'):
        path.write_bytes(content)
        with pytest.raises(GraphError, match=r"no.onnx: is no ONNX file"):
            workloads.build(path)


def test_graphs_inside_nodes(tmp_path: Path) -> None:
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "branch", [], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    ])  # fmt: skip
    graph = Graph(20)
    flag = graph.input("flag", [1], TensorProto.BOOL)
    graph.input("x", [4])
    path = saved(graph, tmp_path, graph.op("If", flag, then_branch=branch, else_branch=branch))
    with pytest.raises(GraphError, match=r"node 'If_0' \(If\): its .*_branch is a graph of its own"):
        workloads.build(path)


def test_a_run_and_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph(20)
    path = str(saved(graph, tmp_path, graph.linear(graph.input("x", ["past", 8]), 8, 8)))
    small = ["--hw", "tiny_4x4", "--finalists", "0"]
    assert cli.main(["run", path, *small, "--context", "7"]) == 0
    assert "bad on tiny_4x4: 448 MACs" in capsys.readouterr().out
    assert cli.main(["run", path, *small, "--dim", "past=7", "--json", "-"]) == 0
    assert '"past": 7' in capsys.readouterr().out
    assert cli.main(["show", "model", path, "--context", "7"]) == 0
    assert cli.main(["compare", f"{path},context=7", f"{path},dims=past=9", *small]) == 0
    capsys.readouterr()
    assert cli.main(["run", path, *small]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.main(["run", "bert-base", "--seq", "8", "--dim", "seq=3"]) == 2
    assert "dims are of ONNX files" in capsys.readouterr().err
