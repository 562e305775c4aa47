"""LLaMA decoder block [1]_: RMSNorm, rotary positions, grouped-query attention [2]_, SwiGLU; no biases.

Embedding, the final RMSNorm and the LM head are not part of the block.

References
----------
.. [1] H. Touvron et al., "Llama 2: Open Foundation and Fine-Tuned Chat Models", arXiv:2307.09288, section 2.2.
.. [2] J. Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models", arXiv:2305.13245.
"""

from __future__ import annotations

from workloads.models.attention import attention
from workloads.models.block import BlockBuilder, Family
from workloads.ops import RmsNorm, Silu


def add_block(block: BlockBuilder) -> None:
    """Add RMSNorm, attention on turned queries and keys, residual, RMSNorm, gated feed-forward, residual."""
    config = block.config
    bias = config.attention_bias is True
    x = block.block_input()
    normed = block.norm("attention_norm", x)
    q = block.linear("q", normed, block.heads, "mha_projection", bias=bias)
    k = block.linear("k", normed, block.key_heads, "mha_projection", bias=bias, kv=True)
    v = block.linear("v", normed, block.key_heads, "mha_projection", bias=bias, kv=True)
    context = attention(block, block.rope("rope_q", q), block.rope("rope_k", k), v)
    out = block.linear("out", context, block.channels, "mha_projection", bias=bias)
    attended = block.residual("attention_add", out, x)
    normed = block.norm("ffn_norm", attended)
    gate = block.activation("ffn_activation", block.linear("gate", normed, block.hidden, "ffn_projection", bias=False))
    up = block.linear("up", normed, block.hidden, "ffn_projection", bias=False)
    down = block.linear("down", block.product("ffn_mul", gate, up), block.channels, "ffn_projection", bias=False)
    block.residual("ffn_add", down, attended)


FAMILY = Family("llama", add_block, is_decoder=True, is_rotary=True, norm=RmsNorm, activation=Silu)
