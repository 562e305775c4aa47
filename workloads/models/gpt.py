"""GPT-2 decoder block (pre-norm, learned positions) [1]_.

Embeddings, the final LayerNorm and the LM head are not part of the block.

References
----------
.. [1] A. Radford et al., "Language Models are Unsupervised Multitask Learners", OpenAI, 2019, section 2.3.
"""

from __future__ import annotations

from workloads.models.attention import attention
from workloads.models.block import BlockBuilder, Family


def add_block(block: BlockBuilder) -> None:
    """Add LayerNorm, attention, residual, LayerNorm, feed-forward, residual."""
    config = block.config
    kv = block.family.is_decoder
    bias = config.attention_bias is not False
    x = block.block_input()
    normed = block.norm("attention_norm", x)
    q = block.linear("q", normed, block.heads, "mha_projection", bias=bias)
    k = block.linear("k", normed, block.key_heads, "mha_projection", bias=bias, kv=kv)
    v = block.linear("v", normed, block.key_heads, "mha_projection", bias=bias, kv=kv)
    context = attention(block, q, k, v)
    out = block.linear("out", context, block.channels, "mha_projection", bias=bias)
    attended = block.residual("attention_add", out, x)
    inner = block.linear("ffn1", block.norm("ffn_norm", attended), block.hidden, "ffn_projection", bias=True)
    ffn = block.linear("ffn2", block.activation("ffn_activation", inner), block.channels, "ffn_projection", bias=True)
    block.residual("ffn_add", ffn, attended)


FAMILY = Family("gpt", add_block, is_decoder=True)
