"""Graphs of encoders and decoders as exporters of PyTorch write them, made by the onnx helper.

Opset 18 writes GELU with erf and attention as two products; from 20 on there is a Gelu, from 23 on one Attention node,
RMSNormalization and RotaryEmbedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

Axes = list[int | str | None]


@dataclass(slots=True)
class Sizes:
    """A model to be written."""

    layers: int = 2
    d_model: int = 64
    heads: int = 4
    kv_heads: int = 4
    d_ffn: int = 128

    @property
    def head_dim(self) -> int:
        return self.d_model // self.heads

    def config(self, family: str, **more: object) -> dict[str, object]:
        """The same model for ``workloads.build``."""
        return {
            "family": family, "layers": self.layers, "d_model": self.d_model, "heads": self.heads,
            "kv_heads": self.kv_heads, "d_ffn": self.d_ffn, **more,
        }  # fmt: skip


@dataclass(slots=True)
class Graph:
    """Collects nodes; every method returns the name of a value."""

    opset: int
    nodes: list[Any] = field(default_factory=list)
    stored: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def op(self, kind: str, *inputs: str, count: int = 1, domain: str = "", **attributes: Any) -> Any:
        number = len(self.nodes)
        outs = [f"v{number}_{at}" for at in range(count)]
        self.nodes.append(
            helper.make_node(kind, list(inputs), outs, name=f"{kind}_{number}", domain=domain, **attributes)
        )
        return outs[0] if count == 1 else outs

    def weight(self, *shape: int, name: str | None = None) -> str:
        name = name or f"weight{len(self.stored)}"
        raw = bytes(4 * math.prod(shape))
        self.stored.append(helper.make_tensor(name, TensorProto.FLOAT, shape, raw, raw=True))
        return name

    def whole(self, *values: int) -> str:
        self.stored.append(onnx.numpy_helper.from_array(np.array(values, np.int64), f"whole{len(self.stored)}"))
        return str(self.stored[-1].name)

    def scalar(self, value: int) -> str:
        self.stored.append(onnx.numpy_helper.from_array(np.array(value, np.int64), f"scalar{len(self.stored)}"))
        return str(self.stored[-1].name)

    def real(self, value: float) -> str:
        self.stored.append(onnx.numpy_helper.from_array(np.array(value, np.float32), f"real{len(self.stored)}"))
        return str(self.stored[-1].name)

    def input(self, name: str, axes: Axes, kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, axes))
        return name

    def linear(self, x: str, inner: int, outer: int, *, bias: bool = True) -> str:
        out: str = self.op("MatMul", x, self.weight(inner, outer))
        return str(self.op("Add", out, self.weight(outer))) if bias else out

    def heads(self, x: str, heads: int, width: int, order: tuple[int, ...] = (0, 2, 1, 3)) -> str:
        cut = self.op("Reshape", x, self.whole(0, -1, heads, width))
        return str(self.op("Transpose", cut, perm=list(order)))

    def joined(self, x: str, channels: int) -> str:
        turned = self.op("Transpose", x, perm=[0, 2, 1, 3])
        return str(self.op("Reshape", turned, self.whole(0, -1, channels)))

    def attention(self, q: str, k: str, v: str, width: int, mask: str | None = None) -> str:
        """Attention of (batch, heads, tokens, channels)."""
        if self.opset >= 23:
            return str(self.op("Attention", q, k, v, *([mask] if mask else [])))
        scale = self.real(width**-0.25)
        turned = self.op("Transpose", k, perm=[0, 1, 3, 2])
        scores = self.op("MatMul", self.op("Mul", q, scale), self.op("Mul", turned, scale))
        shares = self.op("Softmax", self.op("Add", scores, mask) if mask else scores, axis=-1)
        shares = self.op("Where", self.op("IsNaN", shares), self.real(0.0), shares)
        return str(self.op("MatMul", shares, v))

    def layer_norm(self, x: str, channels: int) -> str:
        return str(self.op("LayerNormalization", x, self.weight(channels), self.weight(channels), axis=-1))

    def gelu(self, x: str) -> str:
        if self.opset >= 20:
            return str(self.op("Gelu", x))
        erf = self.op("Erf", self.op("Div", x, self.real(2**0.5)))
        return str(self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.real(1.0))), self.real(0.5)))

    def gelu_tanh(self, x: str) -> str:
        cube = self.op("Mul", self.op("Pow", x, self.real(3.0)), self.real(0.044715))
        tanh = self.op("Tanh", self.op("Mul", self.op("Add", x, cube), self.real(0.7978846)))
        return str(self.op("Mul", self.op("Mul", x, self.real(0.5)), self.op("Add", tanh, self.real(1.0))))

    def rms_norm(self, x: str, channels: int) -> str:
        if self.opset == 23:
            return str(self.op("RMSNormalization", x, self.weight(channels), axis=-1))
        mean = self.op("ReduceMean", self.op("Pow", x, self.real(2.0)), self.whole(-1), keepdims=1)
        root = self.op("Reciprocal", self.op("Sqrt", self.op("Add", mean, self.real(1e-5))))
        return str(self.op("Mul", self.op("Mul", x, root), self.weight(channels)))

    def turned(self, x: str, width: int, cosines: str, sines: str) -> str:
        """Rotary embedding of (batch, heads, tokens, channels)."""
        low = self.op("Slice", x, self.whole(0), self.whole(width // 2), self.whole(3))
        high = self.op("Slice", x, self.whole(width // 2), self.whole(2**62), self.whole(3))
        other = self.op("Concat", self.op("Neg", high), low, axis=-1)
        return str(self.op("Add", self.op("Mul", x, cosines), self.op("Mul", other, sines)))

    def repeated(self, x: str, times: int, heads: int, width: int) -> str:
        """Keys or values, once for each query head, as transformers repeats them."""
        shape = self.op("Concat", self.op("Shape", x, start=0, end=1), self.whole(heads, times),
                        self.op("Shape", x, start=2), axis=0)  # fmt: skip
        wide = self.op("Expand", self.op("Unsqueeze", x, self.whole(2)), shape)
        return str(self.op("Reshape", wide, self.whole(0, heads * times, -1, width)))

    def model(self, *, opset: int | None = None) -> onnx.ModelProto:
        outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs]
        graph = helper.make_graph(self.nodes, "graph", self.inputs, outs, self.stored)
        domains = [helper.make_opsetid("", opset or self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=domains)

    def save(self, path: Path) -> Path:
        onnx.save(self.model(), str(path))
        return path


def bert(opset: int, sizes: Sizes) -> Graph:
    """Encoder blocks behind one another."""
    graph = Graph(opset)
    d = sizes.d_model
    x = graph.input("hidden", ["batch", "seq", d])
    for _ in range(sizes.layers):
        q, k, v = (graph.heads(graph.linear(x, d, d), sizes.heads, sizes.head_dim) for _ in range(3))
        context = graph.joined(graph.attention(q, k, v, sizes.head_dim), d)
        x = graph.layer_norm(graph.op("Add", graph.linear(context, d, d), x), d)
        ffn = graph.linear(graph.gelu(graph.linear(x, d, sizes.d_ffn)), sizes.d_ffn, d)
        x = graph.layer_norm(graph.op("Add", ffn, x), d)
    graph.outputs.append(x)
    return graph


def gpt2(opset: int, sizes: Sizes) -> Graph:
    """Decoder blocks with a cache; projections are Gemm between Reshapes."""
    graph = Graph(opset)
    d, width = sizes.d_model, sizes.head_dim
    x = graph.input("hidden", ["batch", "seq", d])
    mask = graph.input("mask", ["batch", 1, "seq", "past + seq"])

    def gemm(x: str, inner: int, outer: int) -> str:
        flat = graph.op("Reshape", x, graph.whole(-1, inner))
        out = graph.op("Gemm", flat, graph.weight(inner, outer), graph.weight(outer))
        lead = graph.op("Shape", x, start=0, end=2)
        return str(graph.op("Reshape", out, graph.op("Concat", lead, graph.whole(outer), axis=0)))

    for layer in range(sizes.layers):
        past = [graph.input(f"past.{layer}.{part}", ["batch", sizes.heads, "past", width]) for part in ("key", "value")]
        packed = gemm(graph.layer_norm(x, d), d, 3 * d)
        parts = graph.op("Split", packed, graph.whole(d, d, d), count=3, axis=2)
        q, k, v = (graph.heads(part, sizes.heads, width) for part in parts)
        k, v = (graph.op("Concat", old, new, axis=2) for old, new in zip(past, (k, v), strict=True))
        graph.outputs += [k, v]
        context = graph.joined(graph.attention(q, k, v, width, mask), d)
        x = graph.op("Add", gemm(context, d, d), x)
        inner = graph.gelu_tanh(gemm(graph.layer_norm(x, d), d, sizes.d_ffn))
        x = graph.op("Add", x, gemm(inner, sizes.d_ffn, d))
    graph.outputs.append(x)
    return graph


def llama(opset: int, sizes: Sizes, *, cached: bool = True) -> Graph:
    """Decoder blocks with few heads of keys and values, a gate and rotated positions."""
    graph = Graph(opset)
    d, width, shared = sizes.d_model, sizes.head_dim, sizes.kv_heads
    x = graph.input("hidden", ["batch", "seq", d])
    cosines, sines = (graph.input(name, ["batch", 1, "seq", width]) for name in ("cos", "sin"))
    for layer in range(sizes.layers):
        normed = graph.rms_norm(x, d)
        q, k, v = (
            graph.heads(graph.linear(normed, d, heads * width, bias=False), heads, width)
            for heads in (sizes.heads, shared, shared)
        )
        q, k = (graph.turned(part, width, cosines, sines) for part in (q, k))
        if cached:
            old = [graph.input(f"past.{layer}.{part}", ["batch", shared, "past", width]) for part in ("k", "v")]
            k, v = (graph.op("Concat", one, new, axis=2) for one, new in zip(old, (k, v), strict=True))
            graph.outputs += [k, v]
        if opset < 23:
            k, v = (graph.repeated(part, sizes.heads // shared, shared, width) for part in (k, v))
        context = graph.joined(graph.attention(q, k, v, width), d)
        x = graph.op("Add", graph.linear(context, d, d, bias=False), x)
        normed = graph.rms_norm(x, d)
        gate = graph.linear(normed, d, sizes.d_ffn, bias=False)
        active = graph.op("Mul", gate, graph.op("Sigmoid", gate))
        both = graph.op("Mul", active, graph.linear(normed, d, sizes.d_ffn, bias=False))
        x = graph.op("Add", graph.linear(both, sizes.d_ffn, d, bias=False), x)
    graph.outputs.append(x)
    return graph


def vit(opset: int, sizes: Sizes, *, image: int = 32, patch: int = 8, embedded: bool = True) -> Graph:
    """Patches by a convolution, a class token, positions, and pre-norm encoder blocks."""
    graph = Graph(opset)
    d = sizes.d_model
    tokens = (image // patch) ** 2 + 1
    if embedded:
        pixels = graph.input("pixels", ["batch", 3, image, image])
        patches = graph.op(
            "Conv", pixels, graph.weight(d, 3, patch, patch), graph.weight(d), strides=[patch, patch],
            kernel_shape=[patch, patch],
        )  # fmt: skip
        flat = graph.op("Transpose", graph.op("Reshape", patches, graph.whole(0, d, -1)), perm=[0, 2, 1])
        lead = graph.op("Shape", flat, start=0, end=1)
        first = graph.op("Expand", graph.weight(1, 1, d), graph.op("Concat", lead, graph.whole(1, d), axis=0))
        x = graph.op("Add", graph.op("Concat", first, flat, axis=1), graph.weight(1, tokens, d))
    else:
        x = graph.input("hidden", ["batch", tokens, d])
    for _ in range(sizes.layers):
        normed = graph.layer_norm(x, d)
        q, k, v = (graph.heads(graph.linear(normed, d, d), sizes.heads, sizes.head_dim) for _ in range(3))
        context = graph.joined(graph.attention(q, k, v, sizes.head_dim), d)
        x = graph.op("Add", graph.linear(context, d, d), x)
        inner = graph.gelu(graph.linear(graph.layer_norm(x, d), d, sizes.d_ffn))
        x = graph.op("Add", graph.linear(inner, sizes.d_ffn, d), x)
    graph.outputs.append(x)
    return graph
