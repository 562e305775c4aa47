"""The model families: each adds its block to a builder."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from workloads.models.block import BlockBuilder, Family, Shape
from workloads.models.config import ModelConfig, ResNetConfig, TransformerConfig

_FAMILIES: tuple[Family, ...] = tuple(
    pkgutil.resolve_name(f"workloads.models.{name}:FAMILY")
    for name in (
        "bert",
        "gpt",
        "llama",
        "vit",
    )
)
TRANSFORMERS: Mapping[str, Family] = MappingProxyType({family.name: family for family in _FAMILIES})
"""Families of Transformer blocks by name."""

FAMILIES = (*TRANSFORMERS, "resnet")

__all__ = [
    "FAMILIES",
    "TRANSFORMERS",
    "BlockBuilder",
    "Family",
    "ModelConfig",
    "ResNetConfig",
    "Shape",
    "TransformerConfig",
]
