"""The model families: each adds its block to a builder."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from workloads.models import bert, gpt, llama, vit
from workloads.models.block import BlockBuilder, Family, Shape
from workloads.models.config import ModelConfig, ResNetConfig, TransformerConfig

_FAMILIES: tuple[Family, ...] = (
    bert.FAMILY,
    gpt.FAMILY,
    llama.FAMILY,
    vit.FAMILY,
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
