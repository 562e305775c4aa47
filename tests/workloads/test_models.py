"""The models' graphs: topology, published sizes, and the mathematics of whole blocks."""

from __future__ import annotations

import numpy as np
import pytest

import workloads
from workloads import Bits, OpGraph
from workloads.ops.operator import Array
from workloads.totals import Total

TINY_GPT = {"family": "gpt", "layers": 2, "d_model": 12, "heads": 3, "d_ffn": 20}
TINY_LLAMA = {"family": "llama", "layers": 2, "d_model": 12, "heads": 6, "kv_heads": 2, "head_dim": 4, "d_ffn": 20}
TINY_BERT = {"family": "bert", "layers": 2, "d_model": 12, "heads": 3, "d_ffn": 20}


def run(graph: OpGraph, given: dict[str, Array]) -> dict[str, Array]:
    """Evaluate all operators; ``given`` holds every tensor no operator makes (caches with their old rows)."""
    values = dict(given)
    for op in graph.operators:
        for cache, new in graph.appends.items():
            if any(tensor.name == cache for tensor in op.inputs):
                batch, kv_heads, attended, head_dim = values[cache].shape
                rows = values[new].reshape(batch, -1, kv_heads, head_dim).swapaxes(1, 2)
                values[cache][:, :, attended - rows.shape[2] :] = rows
        values[op.output.name] = op.reference(*(values[tensor.name] for tensor in op.inputs))
    return values


def random_inputs(graph: OpGraph, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    made = {op.output.name for op in graph.operators}
    return {name: rng.normal(0, 0.5, t.shape) for name, t in graph.tensors.items() if name not in made}


def naive_attention(q: Array, k: Array, v: Array, *, causal: bool) -> Array:
    """Per head and token; q (tokens, heads, dim), k and v (positions, kv_heads, dim)."""
    out = np.zeros_like(q)
    for token in range(q.shape[0]):
        last = k.shape[0] - q.shape[0] + token + 1 if causal else k.shape[0]
        for head in range(q.shape[1]):
            kv = head // (q.shape[1] // k.shape[1])
            scores = k[:last, kv] @ q[token, head] / np.sqrt(q.shape[2])
            weights = np.exp(scores) / np.exp(scores).sum()
            out[token, head] = weights @ v[:last, kv]
    return out


@pytest.mark.parametrize("config", [TINY_BERT, TINY_GPT, TINY_LLAMA], ids=lambda c: c["family"])
def test_attention_of_a_batch_matches_a_loop_over_heads(config: dict[str, object]) -> None:
    graph = workloads.build(config, seq=5, batch=2)
    values = run(graph, random_inputs(graph))
    rope = config["family"] == "llama"
    q, k, v = (values[name] for name in (("rope_q", "rope_k", "v") if rope else ("q", "k", "v")))
    head_dim = 4
    for item in range(2):
        rows = slice(5 * item, 5 * item + 5)
        split = (part[rows].reshape(5, -1, head_dim) for part in (q, k, v))
        expected = naive_attention(*split, causal=config["family"] != "bert")
        np.testing.assert_allclose(values["context"][rows], expected.reshape(5, -1), rtol=1e-9)


def test_bert_block_matches_the_formula_of_the_paper() -> None:
    """LayerNorm(x + attention), then LayerNorm(y + FFN(y))."""
    graph = workloads.build(TINY_BERT, seq=4)
    given = random_inputs(graph)
    values = run(graph, given)

    def norm(y: Array) -> Array:
        return (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)

    attended = norm(values["context"] @ given["out.weight"] + given["out.bias"] + given["x"])
    inner = values["ffn_activation"] @ given["ffn2.weight"] + given["ffn2.bias"]
    np.testing.assert_allclose(values["ffn_norm"], norm(inner + attended), rtol=1e-9)
    assert [tensor.name for tensor in graph.outputs] == ["ffn_norm"]
    assert [tensor.name for tensor in graph.inputs] == ["x"]


@pytest.mark.parametrize("config", [TINY_GPT, TINY_LLAMA], ids=lambda c: str(c["family"]))
def test_decoding_with_a_cache_gives_the_last_row_of_prefill(config: dict[str, object]) -> None:
    """Seven tokens at once, and the seventh alone on the cached keys and values of the first six."""
    whole = workloads.build(config, seq=7, batch=2)
    given = random_inputs(whole)
    expected = run(whole, given)
    keys = expected["rope_k" if config["family"] == "llama" else "k"]
    step = workloads.build(config, phase="decode", context=6, batch=2)
    caches = {}
    for cache, values in (("k_cache", keys), ("v_cache", expected["v"])):
        full = values.reshape(2, 7, -1, 4).swapaxes(1, 2).copy()
        full[:, :, 6] = np.nan
        caches[cache] = full
    last = given["x"].reshape(2, 7, 12)[:, 6]
    result = run(step, {**given, **caches, "x": last})
    np.testing.assert_allclose(result["ffn_add"], expected["ffn_add"].reshape(2, 7, 12)[:, 6], rtol=1e-9)


def test_prefill_can_continue_a_cached_prefix() -> None:
    whole = workloads.build(TINY_LLAMA, seq=7)
    given = random_inputs(whole)
    expected = run(whole, given)
    rest = workloads.build(TINY_LLAMA, seq=4, context=3)
    caches = {"k_cache": expected["rope_k"], "v_cache": expected["v"]}
    caches = {name: value.reshape(1, 7, 2, 4).swapaxes(1, 2).copy() for name, value in caches.items()}
    result = run(rest, {**given, **caches, "x": given["x"][3:]})
    np.testing.assert_allclose(result["ffn_add"], expected["ffn_add"][3:], rtol=1e-9)


def test_bert_topology() -> None:
    graph = workloads.build("bert-base", seq=128)
    assert [op.name for op in graph.producers("scores")] == ["q", "k"]
    assert [op.name for op in graph.producers("context")] == ["v", "softmax"]
    assert [op.name for op in graph.consumers("attention_norm")] == ["ffn1", "ffn_add"]
    assert graph.between("softmax", "context") == (graph.tensors["softmax"],)
    assert graph.between("softmax", "out") == ()
    q, k, v = (graph.operator(name) for name in "qkv")
    assert q.signature == k.signature == v.signature
    assert q.bias is not None
    assert (q.bias.bits, q.bias.shape) == (32, (768,))
    assert len({id(tensor) for op in (q, k, v) for tensor in op.inputs[:1]}) == 1
    assert graph.to_networkx().number_of_edges() == 14


def test_bert_head_views() -> None:
    """Head i of sequence b starts at channel 64 i of row 128 b; its rows are 768 elements apart."""
    graph = workloads.build("bert-base", seq=128, batch=3)
    a, b, c = graph.operator("scores").views
    assert a.layout == b.layout == (768, ((3, 128 * 768), (12, 64)))
    assert c.layout == (128, ((3, 12 * 128 * 128), (12, 128 * 128)))
    assert a.instance_offset(13) == 128 * 768 + 64
    assert graph.operator("scores").repeat == 36
    assert graph.operator("softmax").dims == {"rows": 36 * 128, "cols": 128}


def test_grouped_query_attention_reads_each_cached_key_once() -> None:
    """LLaMA-3-8B: 8 key heads serve 32 query heads; 4 query heads are the rows of one decode instance."""
    graph = workloads.build("llama-3-8b", phase="decode", context=1000, batch=2)
    scores = graph.operator("scores")
    assert scores.dims == {"m": 4, "k": 128, "n": 1001}
    assert scores.repeat == 16
    cache = graph.tensors["k_cache"]
    assert (cache.shape, cache.role) == ((2, 8, 1001, 128), "kv_cache")
    assert scores.bytes_read == cache.bytes + 2 * 4096
    assert graph.operator("k").dims == {"m": 2, "k": 4096, "n": 1024}
    assert graph.bytes_of("kv_cache") == 32 * 2 * 2 * 8 * 1001 * 128
    prefill = workloads.build("llama-3-8b", seq=16).operator("scores")
    assert (prefill.repeat, prefill.dims["m"]) == (32, 16)
    assert prefill.bytes_read == 16 * 4096 + 16 * 1024


def test_new_key_precedes_its_cache() -> None:
    graph = workloads.build("llama-2-7b", phase="decode", context=9)
    assert [op.name for op in graph.producers("scores")] == ["rope_q", "rope_k"]
    assert graph.appends == {"k_cache": "rope_k", "v_cache": "v"}


def test_bit_widths_by_role_and_by_tensor() -> None:
    bits = Bits(weight=4, activation=16, kv=6, tensors={"scores": 32})
    graph = workloads.build("gpt2", phase="decode", context=10, bits=bits)
    width = {name: tensor.bits for name, tensor in graph.tensors.items()}
    assert (width["q.weight"], width["q"], width["q.bias"], width["k"], width["k_cache"]) == (4, 16, 32, 6, 6)
    assert (width["scores"], width["softmax"]) == (32, 16)
    assert graph.bytes_of("weight") * 2 == workloads.build("gpt2", seq=1).bytes_of("weight")
    assert graph.tensors["k_cache"].bytes == 12 * 11 * 64 * 6 // 8


def test_head_dim_is_independent_of_d_model() -> None:
    """The paper's search example: d = 672 with 10 heads of 64 channels."""
    graph = workloads.build("bert-base", seq=512, overrides={"d_model": 672, "heads": 10, "head_dim": 64})
    assert graph.operator("q").dims == {"m": 512, "k": 672, "n": 640}
    assert graph.operator("out").dims == {"m": 512, "k": 640, "n": 672}


def test_search_example_of_the_paper_has_12_73_gmac() -> None:
    """N = 6, heads and d_ffn per layer, head size 64, d 672, l 512 (reference notes on section 6.4): 12.73 GMAC."""
    heads, ffn = (12, 6, 12, 8, 10, 6), (1280, 1280, 2560, 768, 2048, 1024)
    macs = 0
    for h, f in zip(heads, ffn, strict=True):
        change = {"layers": 1, "d_model": 672, "heads": h, "head_dim": 64, "d_ffn": f}
        macs += workloads.build("bert-base", seq=512, overrides=change).macs
    assert round(macs / 1e9, 2) == 12.73
    assert round(workloads.build("bert-base", seq=512, overrides={"layers": 6}).macs / 1e9, 2) == 24.16


# name -> weights of all blocks: layers * (projections + feed-forward); biases, norms and embeddings left out
PARAMETERS = {
    "bert-base": 12 * 7_077_888,
    "bert-large": 24 * 12 * 1024**2,
    "gpt2": 12 * 12 * 768**2,
    "gpt2-medium": 24 * 12 * 1024**2,
    "gpt2-large": 36 * 12 * 1280**2,
    "gpt2-xl": 48 * 12 * 1600**2,
    "llama-2-7b": 6_476_005_376,
    "llama-3-8b": 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336),
    "vit-base": 12 * 7_077_888,
    "resnet50": 25_557_032 - 53_120 - 1000,  # torchvision's count less batch-normalisation parameters and fc bias
}


@pytest.mark.parametrize("name", workloads.available())
def test_parameters_of_presets(name: str) -> None:
    seq = None if name in ("vit-base", "resnet50") else 8
    assert workloads.build(name, seq=seq).parameters == PARAMETERS[name]


# published total, and what lies outside the blocks: embeddings (+ positions, types), all biases and norm gains, pooler
PUBLISHED = {
    "bert-base": (109_482_240, (30522 + 512 + 2) * 768 + 2 * 768 + 12 * (13 * 768) + 768**2 + 768),
    "gpt2": (124_439_808, (50257 + 1024) * 768 + 2 * 768 + 12 * (13 * 768)),
    "gpt2-xl": (1_557_611_200, (50257 + 1024) * 1600 + 2 * 1600 + 48 * (13 * 1600)),
    "llama-2-7b": (6_738_415_616, 2 * 32000 * 4096 + 4096 + 32 * 2 * 4096),
    "llama-3-8b": (8_030_261_248, 2 * 128256 * 4096 + 4096 + 32 * 2 * 4096),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_blocks_and_the_rest_make_the_published_parameter_count(name: str) -> None:
    published, rest = PUBLISHED[name]
    assert workloads.build(name, seq=8).parameters + rest == published


def test_macs_of_image_models() -> None:
    """ResNet-50 v1.5: 4.09 GMAC. ViT-Base: 17.45 in the blocks, 17.56 with the 196 x 768 x 768 patch embedding."""
    resnet = workloads.build("resnet50")
    assert resnet.macs == 4_089_184_256
    vit = workloads.build("vit-base")
    assert vit.operator("q").dims["m"] == 197
    assert round((vit.macs + 196 * 768 * 768) / 1e9, 2) == 17.56


def test_resnet_structure() -> None:
    graph = workloads.build("resnet50", batch=2)
    kinds = [op.kind for op in graph.operators]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "add": 16, "avgpool": 1, "conv2d": 53, "matmul": 1, "maxpool": 1, "relu": 49
    }  # fmt: skip
    assert {op.name for op in graph.producers("stage2_1_add")} == {"stage2_1_conv3", "stage2_1_shortcut"}
    assert graph.tensors["pool"].shape == (2, 1, 1, 2048)
    assert graph.macs == 2 * 4_089_184_256
    as_matmuls = [op.as_matmul() for op in graph.operators if isinstance(op, workloads.Conv2d)]
    assert sum(op.macs for op in as_matmuls) == graph.totals()["conv"].macs


def test_small_resnet_runs() -> None:
    tiny = {"family": "resnet", "image_size": 16, "stem_channels": 4, "blocks": [1, 1], "expansion": 2, "classes": 3}
    graph = workloads.build(tiny, batch=2)
    values = run(graph, random_inputs(graph))
    assert values["classifier"].shape == (2, 3)
    for op in graph.operators:
        if isinstance(op, workloads.Conv2d):
            x, weight, bias = (values[tensor.name] for tensor in op.inputs)
            matrix = x if op.is_pointwise else op.im2col(x)
            np.testing.assert_allclose(op.as_matmul().reference(matrix, weight, bias), values[op.name], atol=1e-9)


@pytest.mark.parametrize("name", [name for name in workloads.available() if name != "resnet50"])
def test_totals_scale_with_repeat_and_add_up(name: str) -> None:
    graph = workloads.build(name, seq=33)
    totals = graph.totals()
    assert sum((total for key, total in totals.items() if key != "total"), Total()) == totals["total"]
    assert totals["total"].macs == graph.macs == graph.repeat * sum(op.macs for op in graph.operators)
    doubled = workloads.build(name, seq=33, overrides={"layers": 2 * graph.repeat}).totals()
    assert doubled["total"] == totals["total"] * 2


def test_batch_scales_activations_but_not_weights() -> None:
    single, four = (workloads.build("gpt2", seq=16, batch=batch) for batch in (1, 4))
    assert four.macs == 4 * single.macs
    assert four.bytes_of("weight") == single.bytes_of("weight")
    assert four.totals()["act_to_act"].bytes == 4 * single.totals()["act_to_act"].bytes


def test_building_twice_gives_equal_graphs() -> None:
    first, second = (workloads.build("llama-3-8b", seq=9) for _ in range(2))
    assert first.operators == second.operators
    assert first.config == second.config
