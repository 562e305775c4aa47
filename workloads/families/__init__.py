"""Reads the ``config.json`` of a model into a stack of layers, as transformers 5.24.0 understands it.

One table per family (``bert.yaml``, ``gpt.yaml``, ...) says of every type how its block is built and what absent keys
mean; the Python file beside it reads the sizes. A file is read right or refused by the key that shows why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from workloads.errors import GraphError, nearest
from workloads.families import bert, encoder_decoder, experts, gpt, latent, llama, refused, vision
from workloads.families.keys import Keys
from workloads.families.model_type import family_of, table
from workloads.families.quantised import quantised
from workloads.models.layers import Stack

Raw = Mapping[str, object]

READERS: Mapping[str, Callable[[Keys], Stack]] = MappingProxyType(
    {
        "bert": bert.read, "gpt": gpt.read, "llama": llama.read, "experts": experts.read, "latent": latent.read,
        "vision": vision.read, "encoder_decoder": encoder_decoder.read,
    }
)  # fmt: skip
"""Family -> what reads its types."""

TEXT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "llama4": "llama4_text", "gemma3": "gemma3_text", "gemma4": "gemma4_text", "qwen3_vl": "qwen3_vl_text",
        "qwen3_vl_moe": "qwen3_vl_moe_text", "mistral3": "mistral", "kimi_k25": "deepseek_v3",
        "qwen2_vl": "qwen2_vl_text", "qwen2_5_vl": "qwen2_5_vl_text",
    }
)  # fmt: skip
"""Type of a model of text and images -> type of its text model where ``text_config`` names none."""

NOT_OF_A_LAYER = ("quantization_config", "auto_map", "tie_word_embeddings")


def read(raw: Raw, origin: str) -> Stack:
    """Return the model that a ``config.json`` describes.

    Parameters
    ----------
    raw
        The parsed JSON object.
    origin
        File name for messages.

    Raises
    ------
    GraphError
        One line that names the key: the type is not known, or is not made of such layers, or a size is impossible.
    """
    model_type = raw.get("model_type")
    if model_type is None:
        raise GraphError(f"{origin}: key 'model_type' is missing; is this a Hugging Face config.json?")
    section = raw.get("text_config")
    if isinstance(section, Mapping) and model_type not in family_of():
        return read(_text(raw, section, str(model_type), origin), origin)
    name = _known(model_type, raw, origin)
    _refuse_keys(name, raw, origin)
    stack = READERS[family_of()[name]](_keys(name, raw, origin))
    return replace(stack, weight_bits=quantised(raw, origin).bits)


def _keys(name: str, raw: Raw, origin: str) -> Keys:
    note = quantised(raw, origin).note
    return Keys(raw, origin, name, table(family_of()[name])[name], notes=[note] if note else [])


OWN_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "layers": "num_hidden_layers", "d_model": "hidden_size", "heads": "num_attention_heads",
        "kv_heads": "num_key_value_heads", "head_dim": "head_dim", "d_ffn": "intermediate_size",
    }
)  # fmt: skip
"""Key of our own configurations -> that of files; types may have another name for it."""


def overridden(raw: Raw, changes: Mapping[str, object], origin: str) -> Raw:
    """Return a file with some of its sizes replaced; ``changes`` has the keys of our own configurations.

    Raises
    ------
    GraphError
        For a key that sizes no layer.
    """
    if not changes:
        return raw
    unknown = [key for key in changes if key not in OWN_KEYS]
    if unknown:
        raise GraphError(f"{origin}: {unknown[0]}: unknown key{nearest(unknown[0], OWN_KEYS)}")
    name = raw.get("model_type")
    kind = table(family_of()[name])[name] if isinstance(name, str) and name in family_of() else None
    if kind is None:
        raise GraphError(f"{origin}: sizes of model_type {name!r:.60} cannot be replaced")
    changed = dict(raw)
    for key, value in changes.items():
        own = kind.traits.sizes.get(OWN_KEYS[key], OWN_KEYS[key])
        for other in [name for name, target in kind.names.items() if target == own]:
            changed.pop(other, None)
        if key == "heads" and raw.get("num_key_value_heads") == raw.get(own, kind.defaults.get(own)):
            changed["num_key_value_heads"] = value
        changed[own] = value
    return changed


def fate_of(key: str, raw: Raw, origin: str) -> str:
    """Return what reading a file does with one of its keys.

    ``"read"``, ``"table"`` (known to the type, but not needed for these values), ``"harmless"``, or ``"noted"``.
    """
    section = raw.get("text_config")
    if isinstance(section, Mapping) and raw.get("model_type") not in family_of():
        raw = _text(raw, section, str(raw.get("model_type")), origin)
    keys = _keys(_known(raw.get("model_type"), raw, origin), raw, origin)
    READERS[family_of()[keys.name]](keys)
    return keys.fate(key)


def _text(raw: Raw, section: Raw, outer: str, origin: str) -> Raw:
    """Return the language model of a file that holds more than one, with what the outer level says of it."""
    if outer in refused.TYPES:
        raise GraphError(f"{origin}: model_type {outer!r} is not supported: {refused.TYPES[outer][0]}")
    inner = section.get("model_type", TEXT_TYPES.get(outer))
    if inner is None:
        raise GraphError(f"{origin}: text_config names no model_type, and {outer!r:.60} has no usual one")
    kept = {key: raw[key] for key in NOT_OF_A_LAYER if key in raw}
    return {"_name_or_path": raw.get("_name_or_path") or outer, **kept, **section, "model_type": inner}


def _known(model_type: object, raw: Raw, origin: str) -> str:
    """Return the type if a table has it."""
    if isinstance(model_type, str) and model_type in family_of():
        return model_type
    if isinstance(model_type, str) and model_type in refused.TYPES:
        reason, key = refused.TYPES[model_type]
        shown = f"key {key!r}" if key in raw else f"the type itself; its key is {key!r}"
        raise GraphError(f"{origin}: model_type {model_type!r} is not supported: {reason} (shown by {shown})")
    known, hint = f"{len(family_of())} types are, by workloads/families/*.yaml", nearest(str(model_type), family_of())
    raise GraphError(f"{origin}: model_type {model_type!r:.66} is not supported ({known}){hint}")


def _refuse_keys(name: str, raw: Raw, origin: str) -> None:
    """Refuse a file with a key that changes the block in any type."""
    for key, reason in refused.KEYS.items():
        own = name == "granitemoehybrid" and key == "mamba_d_state"
        foreign = key == "auto_map" and name == "kimi_k2"  # a type that only its own code knows
        if raw.get(key) not in (None, False, {}, []) and not own and not foreign:
            raise GraphError(f"{origin}: key {key!r}: {reason}; model_type {name!r} is not modelled with it")
