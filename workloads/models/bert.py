"""BERT encoder block (post-norm) [1]_.

Embedding and pooler are not part of the block.

References
----------
.. [1] J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", arXiv:1810.04805, section 3.
"""

from __future__ import annotations

from workloads.models.attention import attention
from workloads.models.block import BlockBuilder


def add_block(block: BlockBuilder) -> None:
    """Add attention, residual, LayerNorm, feed-forward, residual, LayerNorm."""
    config = block.config
    bias = config.attention_bias is not False
    width = config.heads * config.head_size
    kv_width = config.key_value_heads * config.head_size
    x = block.block_input()
    q = block.linear("q", x, width, "mha_projection", bias=bias)
    k = block.linear("k", x, kv_width, "mha_projection", bias=bias)
    v = block.linear("v", x, kv_width, "mha_projection", bias=bias)
    context = attention(block, q, k, v)
    out = block.linear("out", context, config.d_model, "mha_projection", bias=bias)
    attended = block.norm("attention_norm", block.residual("attention_add", out, x))
    inner = block.activation(
        "ffn_activation", block.linear("ffn1", attended, config.d_ffn, "ffn_projection", bias=True)
    )
    ffn = block.linear("ffn2", inner, config.d_model, "ffn_projection", bias=True)
    block.norm("ffn_norm", block.residual("ffn_add", ffn, attended))
