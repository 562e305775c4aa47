"""The model families: each adds its block to a builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from workloads.models import bert, gpt, llama, vit
from workloads.models.block import BlockBuilder, Shape
from workloads.models.config import ModelConfig, ResNetConfig, TransformerConfig

TRANSFORMERS: Mapping[str, Callable[[BlockBuilder], None]] = MappingProxyType(
    {"bert": bert.add_block, "gpt": gpt.add_block, "llama": llama.add_block, "vit": vit.add_block}
)
"""Family -> function that adds one block."""

FAMILIES = (*TRANSFORMERS, "resnet")

__all__ = ["FAMILIES", "TRANSFORMERS", "BlockBuilder", "ModelConfig", "ResNetConfig", "Shape", "TransformerConfig"]
