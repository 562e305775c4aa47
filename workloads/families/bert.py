"""Encoders of text: BERT's block, its kin with other norms, and those with gated or windowed blocks."""

from __future__ import annotations

from dataclasses import replace

from workloads.families import dense
from workloads.families.keys import Keys
from workloads.models.layers import Layer, Stack


def read(keys: Keys) -> Stack:
    """Return the stack of a file."""
    layers = PECULIAR.get(keys.name, dense.layers)(keys)
    sets = keys.size("num_hidden_groups") * keys.size("inner_group_num") if keys.name == "albert" else None
    if "is_decoder" in keys.kind.defaults and keys.flag("is_decoder"):
        layers = tuple(replace(layer, attention=replace(layer.attention, causal=True)) for layer in layers)
    return dense.stack(keys, "bert", layers, weight_sets=sets)


def _albert(keys: Keys) -> tuple[Layer, ...]:
    """All layers run one set of weights, or one of ``num_hidden_groups`` sets."""
    groups, inner = keys.size("num_hidden_groups"), keys.size("inner_group_num")
    count = keys.size("num_hidden_layers")
    if count % groups:
        raise keys.fail(f"num_hidden_layers={count} must be a multiple of num_hidden_groups={groups}")
    keys.notes.append(f"{count} layers share the weights of {groups * inner} blocks; each run reads them again")
    return tuple(layer for layer in dense.layers(keys) for _ in range(inner))


def _esm(keys: Keys) -> tuple[Layer, ...]:
    """Positions are rotary if ``position_embedding_type`` says so."""
    if keys.value("position_embedding_type") != "rotary":
        return dense.layers(keys)
    layers = dense.layers(keys)
    return tuple(
        replace(layer, attention=replace(layer.attention, rotary=layer.attention.head_dim)) for layer in layers
    )


def _modernbert(keys: Keys) -> tuple[Layer, ...]:
    """The first layer has no norm before attention: the embedding ends with one."""
    first, *rest = dense.layers(keys)
    return (replace(first, normed_input=False), *rest)


def _big_bird(keys: Keys) -> tuple[Layer, ...]:
    """With full attention the block is BERT's."""
    if keys.raw.get("attention_type") != "original_full":
        raise keys.fail("attention_type is block_sparse (also where the key is absent): block-sparse attention")
    keys.read.update(("attention_type", "block_size", "num_random_blocks", "use_bias", "rescale_embeddings"))
    return dense.layers(keys)


def _deberta(keys: Keys) -> tuple[Layer, ...]:
    """Without relative positions the block is BERT's."""
    keys.refuse_if("relative_attention", "score products with a table of relative positions")
    keys.refuse_if("conv_kernel_size", "a convolution beside the first layer")
    return dense.layers(keys)


PECULIAR = {
    "albert": _albert,
    "esm": _esm,
    "modernbert": _modernbert,
    "big_bird": _big_bird,
    "deberta-v2": _deberta,
}
"""Types that one rule more describes."""
