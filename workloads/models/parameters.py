"""How many numbers a model stores, and how many of them a token uses.

Matrices of all layers, gains and offsets of normalisations, what balances a router, embedding, final norm and LM head.
Biases and tables of positions are not counted: at most a thousandth of a language model.
"""

from __future__ import annotations

from workloads.errors import GraphError
from workloads.models.layers import Layer, Stack
from workloads.ops import LayerNorm


def total_parameters(stack: Stack) -> int:
    """Return all that is stored; the embedding counts twice where the LM head has weights of its own."""
    return sum(layer.weights + norm_parameters(layer) + _balance(layer) for layer in _layers(stack)) + _ends(stack)


def active_parameters(stack: Stack) -> int:
    """Return what one token uses: of the experts only those that are chosen."""
    return total_parameters(stack) - sum(_idle(layer) for layer in _layers(stack))


def kv_elements_per_token(stack: Stack) -> int:
    """Return the elements that the caches of all layers keep of a token, windows aside."""
    return sum(layer.attention.cached_elements for layer in stack.groups[-1].layers if layer.has_attention)


def norm_parameters(layer: Layer) -> int:
    """Return gains of the layer's normalisations, and offsets where they have them."""
    spec, each = layer.attention, 2 if layer.norm == LayerNorm.kind else 1
    per_branch = 2 if layer.place == "both" else 1
    branches = layer.has_attention + (layer.ffn is not None or layer.experts is not None) + (layer.cross is not None)
    count = layer.parallel or per_branch * branches - (not layer.normed_input)
    if layer.experts is not None and layer.experts.beside:
        count += 3
    total = count * each * layer.d_model
    if spec.latent is not None:
        total += spec.latent.rank + (spec.latent.query_rank or 0)
    if spec.head_norm == "head":
        total += 2 * spec.head_dim
    elif spec.head_norm == "all":
        total += (spec.heads + spec.kv_heads) * spec.head_dim
    return total


def _layers(stack: Stack) -> list[Layer]:
    """Return the layers whose weights are stored."""
    layers = [layer for group in stack.groups for layer in group.layers]
    return layers if stack.weight_sets is None else layers[: stack.weight_sets]


def _ends(stack: Stack) -> int:
    """Return embedding, LM head and final norm."""
    if stack.vocabulary is None:
        raise GraphError(f"{stack.name}: vocab_size is not known, so neither are the parameters of the embedding")
    last = stack.groups[-1].layers[-1]
    each = 2 if last.norm == LayerNorm.kind else 1
    return (1 if stack.tied else 2) * stack.vocabulary * last.d_model + each * last.d_model


def _balance(layer: Layer) -> int:
    return layer.experts.count if layer.experts is not None and layer.experts.corrected else 0


def _idle(layer: Layer) -> int:
    spec = layer.experts
    if spec is None:
        return 0
    return (spec.count - spec.chosen) * (3 if spec.each.gated else 2) * layer.d_model * spec.each.inner
