"""Hugging Face ``config.json``, read as plain JSON.

Only the shape of the network is taken; weights are never needed. Keys are those of the transformers
library's configuration classes, with their documented defaults where a key may be absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from workloads.errors import GraphError, nearest
from workloads.models.config import ACTIVATIONS
from workloads.ops import Gelu, Silu

Raw = Mapping[str, object]


def convert(raw: Raw, origin: str) -> dict[str, object]:
    """Translate a ``config.json`` into the keys of `TransformerConfig`.

    Parameters
    ----------
    raw
        The parsed JSON object.
    origin
        File name for messages and for the ``source`` of the result.

    Raises
    ------
    GraphError
        If ``model_type`` is missing or not supported, or a needed key is missing.
    """
    model_type = raw.get("model_type")
    if model_type is None:
        raise GraphError(f"{origin}: key 'model_type' is missing; is this a Hugging Face config.json?")
    if not isinstance(model_type, str) or model_type not in READERS:
        hint = nearest(str(model_type), READERS)
        raise GraphError(f"{origin}: model_type {model_type!r:.66} is not supported ({', '.join(READERS)}){hint}")
    config = READERS[model_type](raw, origin)
    name = raw.get("_name_or_path") or model_type
    return {"name": str(name), "source": f"Hugging Face configuration {origin}", **config}


def _need(raw: Raw, origin: str, *keys: str) -> list[int]:
    """Return the values of ``keys``, which must all be there and be positive whole numbers."""
    empty = [key for key in keys if key in raw and raw[key] is None]
    if empty:
        raise GraphError(f"{origin}: key {', '.join(map(repr, empty))} is null; a positive whole number is needed")
    missing = [key for key in keys if key not in raw]
    if missing:
        hint = nearest(missing[0], raw)
        raise GraphError(f"{origin}: key {', '.join(map(repr, missing))} is missing{hint}")
    return [number for key in keys if (number := _size(raw, origin, key)) is not None]


def _size(raw: Raw, origin: str, key: str) -> int | None:
    """Return the positive whole number under ``key``, None if it is absent or null."""
    number = raw.get(key)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise GraphError(f"{origin}: {key}={number!r:.60} must be a positive whole number")
    return number


def _activation(raw: Raw, origin: str, key: str) -> str | None:
    name = raw.get(key)
    if name is None:
        return None
    kind = SYNONYMS.get(name, name) if isinstance(name, str) else None
    if kind not in ACTIVATIONS:
        supported = ", ".join(sorted((*ACTIVATIONS, *SYNONYMS)))
        raise GraphError(f"{origin}: {key}={name!r:.60} is not supported ({supported})")
    return kind


def _encoder(raw: Raw, origin: str, family: str) -> dict[str, object]:
    layers, width, heads, ffn = _need(
        raw, origin, "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size"
    )
    return {
        "family": family, "layers": layers, "d_model": width, "heads": heads, "d_ffn": ffn,
        "activation": _activation(raw, origin, "hidden_act"), "norm_epsilon": raw.get("layer_norm_eps", 1e-12),
    }  # fmt: skip


def _bert(raw: Raw, origin: str) -> dict[str, object]:
    return {**_encoder(raw, origin, "bert"), "max_positions": _size(raw, origin, "max_position_embeddings")}


def _vit(raw: Raw, origin: str) -> dict[str, object]:
    image, patch = _need(raw, origin, "image_size", "patch_size")
    if image % patch:
        raise GraphError(f"{origin}: image_size={image} must be a multiple of patch_size={patch}")
    return {
        **_encoder(raw, origin, "vit"), "tokens": (image // patch) ** 2 + 1, "attention_bias": raw.get("qkv_bias", True)
    }  # fmt: skip


def _gpt2(raw: Raw, origin: str) -> dict[str, object]:
    layers, width, heads = _need(raw, origin, "n_layer", "n_embd", "n_head")
    return {
        "family": "gpt", "layers": layers, "d_model": width, "heads": heads,
        "d_ffn": _size(raw, origin, "n_inner") or 4 * width,
        "activation": _activation(raw, origin, "activation_function"),
        "max_positions": _size(raw, origin, "n_positions"), "norm_epsilon": raw.get("layer_norm_epsilon", 1e-5),
    }  # fmt: skip


def _llama(raw: Raw, origin: str) -> dict[str, object]:
    layers, width, heads, ffn = _need(
        raw, origin, "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size"
    )
    return {
        "family": "llama", "layers": layers, "d_model": width, "heads": heads, "d_ffn": ffn,
        "kv_heads": _size(raw, origin, "num_key_value_heads"), "head_dim": _size(raw, origin, "head_dim"),
        "activation": _activation(raw, origin, "hidden_act"), "attention_bias": raw.get("attention_bias", False),
        "max_positions": _size(raw, origin, "max_position_embeddings"), "rope_theta": raw.get("rope_theta", 10000.0),
        "norm_epsilon": raw.get("rms_norm_eps", 1e-6),
    }  # fmt: skip


SYNONYMS: Mapping[str, str] = MappingProxyType(
    {"gelu_new": Gelu.kind, "gelu_pytorch_tanh": Gelu.kind, "swish": Silu.kind}
)
"""Their name -> ours, where they differ; the approximations of GELU count as GELU."""

READERS: Mapping[str, Callable[[Raw, str], dict[str, object]]] = MappingProxyType(
    {"bert": _bert, "gpt2": _gpt2, "llama": _llama, "mistral": _llama, "vit": _vit}
)
"""model_type -> reader."""
