"""Finds a model's configuration: shipped preset, file, or mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hwconfigs.textfiles.reading import UnreadableFile, read_text, spelt_out
from workloads import families
from workloads.errors import GraphError, nearest
from workloads.models import FAMILIES, TRANSFORMERS, ResNetConfig, TransformerConfig
from workloads.models.layers import Stack
from workloads.models.pruned_layers import stack_of
from workloads.reading import parse

PRODUCT = re.compile(r"\d+(x\d+){2,3}")
"""Sizes of a matmul, perhaps behind the number of equal ones."""

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/(?!.*\.(json|ya?ml)$)[\w.-]+")
"""A name such as ``meta-llama/Llama-3.1-8B``."""

AnyConfig = TransformerConfig | ResNetConfig | Stack

SHOWN_CHARACTERS = 60
"""Longest piece of a wrong value that a message repeats."""


def available() -> tuple[str, ...]:
    """Return the names of the shipped models, sorted."""
    entries = resources.files("workloads").joinpath("configs").iterdir()
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml")))


def load_config(model: str | Path | Mapping[str, object], overrides: Mapping[str, object] | None = None) -> AnyConfig:
    """Return the validated configuration of ``model``.

    Parameters
    ----------
    model
        A shipped name (see `available`), a path to a Hugging Face ``config.json`` or to a YAML/JSON file with
        our own keys, or such a mapping. A mapping or file with ``model_type`` is read as Hugging Face's
        (`workloads.families`).
    overrides
        Keys of the configuration to replace. New ``heads`` take the key heads along if they were equally many.

    Raises
    ------
    GraphError
        One line per problem.
    """
    raw, origin = _read(model)
    if "model_type" in raw or ("family" not in raw and origin.endswith(".json")):
        return _stack(raw, origin, overrides or {})
    if not isinstance(model, str | Path):
        raw = {"name": "custom", "source": "mapping given by the caller", **raw}
    changed = dict(overrides or {})
    if "heads" in changed and raw.get("kv_heads") is not None and raw["kv_heads"] == raw.get("heads"):
        changed.setdefault("kv_heads", changed["heads"])
    return _validate({**raw, **changed}, origin)


def _stack(raw: Mapping[str, object], origin: str, overrides: Mapping[str, object]) -> Stack:
    """Read a file of the transformers library; a file that does not name its model is called after its folder."""
    stack = families.read(families.overridden(raw, overrides, origin), origin)
    folder = Path(origin).resolve().parent.name if origin.endswith(".json") else ""
    named = isinstance(raw.get("_name_or_path"), str) and raw["_name_or_path"]
    return stack if named or not folder else replace(stack, name=folder)


def _read(model: str | Path | Mapping[str, object]) -> tuple[dict[str, object], str]:
    """Return the raw keys and what to call their origin."""
    if isinstance(model, Mapping):
        return dict(model), "model"
    if not isinstance(model, str | Path):
        raise GraphError(f"model must be a name, a path or a mapping, not {type(model).__name__}")
    if isinstance(model, str) and model in available():
        text = resources.files("workloads").joinpath("configs", f"{model}.yaml").read_text("utf-8")
        return parse(text, f"{model}.yaml"), f"{model}.yaml"
    path = Path(model)
    if isinstance(model, str) and not _means_file(path, model):
        known = available()
        if PRODUCT.fullmatch(model):
            raise GraphError(f"{model!r:.60} is no model but a product: map takes those")
        raise GraphError(f"unknown model {model!r:.60}{nearest(model, known)} (available: {', '.join(known)})")
    if isinstance(model, str) and REPOSITORY.fullmatch(model) and not path.exists():
        raise GraphError(f"{model!r:.80}: only files are read; save that repository's config.json and give its path")
    if path.is_dir():
        path /= "config.json"
    try:
        text = read_text(path)
    except UnreadableFile as error:
        raise GraphError(f"{path}: cannot read the model: {error}") from error
    return parse(text, spelt_out(path)), spelt_out(path)


def _means_file(path: Path, model: str) -> bool:
    """Whether a word that is no shipped name means a file: by its ending, or because it lies there."""
    try:
        return path.suffix in (".json", ".yaml", ".yml") or "/" in model or bool(model and path.exists())
    except (OSError, ValueError):
        return False


def _validate(raw: Mapping[str, object], origin: str) -> AnyConfig:
    family = raw.get("family")
    if family is None:
        raise GraphError(f"{origin}: family: missing; one of {', '.join(FAMILIES)}")
    if family not in FAMILIES:
        hint = nearest(str(family), FAMILIES)
        raise GraphError(f"{origin}: family {family!r:.60} is unknown ({', '.join(FAMILIES)}){hint}")
    kind: type[TransformerConfig | ResNetConfig] = ResNetConfig if family == "resnet" else TransformerConfig
    try:
        config = TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        raise GraphError("\n".join(_explain(dict(issue), kind, origin) for issue in error.errors())) from error
    if isinstance(config, TransformerConfig) and TRANSFORMERS[config.family].is_rotary and config.head_size % 2:
        raise GraphError(f"{origin}: head_dim={config.head_size} must be even for the rotary embedding")
    listed = config.per_layer if isinstance(config, TransformerConfig) else None
    return config if listed is None or isinstance(config, ResNetConfig) else stack_of(config, listed)


def _explain(issue: Mapping[str, object], kind: type[TransformerConfig | ResNetConfig], origin: str) -> str:
    """Return one line for one pydantic problem."""
    location = issue["loc"]
    key = ".".join(map(str, location)) if isinstance(location, tuple) else str(location)
    if issue["type"] == "extra_forbidden":
        return f"{origin}: {key}: unknown key{nearest(key, kind.model_fields)}"
    if issue["type"] == "missing":
        return f"{origin}: {key}: missing"
    message = str(issue["msg"]).removeprefix("Value error, ")
    if not key:
        return f"{origin}: {message}"
    return f"{origin}: {key}={_short(issue['input'])}: {message[0].lower()}{message[1:]}"


def _short(value: object) -> str:
    """Return ``repr`` cut to a length that fits a message."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."
