"""BERT encoder block (post-norm) [1]_.

Embedding and pooler are not part of the block.

References
----------
.. [1] J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", arXiv:1810.04805, section 3.
"""

from __future__ import annotations

from workloads.models.attention import attention
from workloads.models.block import BlockBuilder, Family


def add_block(block: BlockBuilder) -> None:
    """Add attention, residual, LayerNorm, feed-forward, residual, LayerNorm."""
    config = block.config
    bias = config.attention_bias is not False
    x = block.block_input()
    q = block.linear("q", x, block.heads, "mha_projection", bias=bias)
    k = block.linear("k", x, block.key_heads, "mha_projection", bias=bias)
    v = block.linear("v", x, block.key_heads, "mha_projection", bias=bias)
    context = attention(block, q, k, v)
    out = block.linear("out", context, block.channels, "mha_projection", bias=bias)
    attended = block.norm("attention_norm", block.residual("attention_add", out, x))
    inner = block.activation(
        "ffn_activation", block.linear("ffn1", attended, block.hidden, "ffn_projection", bias=True)
    )
    ffn = block.linear("ffn2", inner, block.channels, "ffn_projection", bias=True)
    block.norm("ffn_norm", block.residual("ffn_add", ffn, attended))


FAMILY = Family("bert", add_block)
