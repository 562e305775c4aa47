"""Vision Transformer encoder block [1]_: GPT's pre-norm block without cache and mask.

The patch embedding and the classifier are not part of the block. The model fixes the number of tokens:
(image_size / patch_size)^2 patches and a class token.

References
----------
.. [1] A. Dosovitskiy et al., "An Image is Worth 16x16 Words", arXiv:2010.11929, section 3.1.
"""

from __future__ import annotations

from workloads.models.block import BlockBuilder, Family
from workloads.models.gpt import add_block as add_pre_norm_block


def add_block(block: BlockBuilder) -> None:
    """Add LayerNorm, attention, residual, LayerNorm, feed-forward, residual."""
    add_pre_norm_block(block)


FAMILY = Family("vit", add_block)
