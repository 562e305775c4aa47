"""Files that no block of this package describes: why, and the key that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_STATE = "state space: no scores over keys"
_DELTA = "linear attention with a recurrent state in most layers"

TYPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mamba": (_STATE, "state_size"), "mamba2": (_STATE, "state_size"), "falcon_mamba": (_STATE, "state_size"),
        "xlstm": ("recurrence: no scores over keys", "num_blocks"), "rwkv": ("recurrence: no scores over keys",
        "attention_hidden_size"),
        "jamba": ("state space in most layers", "attn_layer_period"),
        "bamba": ("state space in most layers", "attn_layer_indices"),
        "zamba": ("state space in most layers", "layers_block_type"),
        "zamba2": ("state space in most layers", "layers_block_type"),
        "nemotron_h": ("layers of state space, attention or feed-forward only", "hybrid_override_pattern"),
        "falcon_h1": ("state space and attention side by side in every layer", "mamba_d_ssm"),
        "recurrent_gemma": ("recurrence in two layers of three", "block_types"),
        "qwen3_next": (_DELTA, "full_attention_interval"), "qwen3_5": (_DELTA, "layer_types"),
        "qwen3_5_text": (_DELTA, "layer_types"), "qwen3_5_moe": (_DELTA, "layer_types"),
        "qwen3_5_moe_text": (_DELTA, "layer_types"), "kimi_linear": (_DELTA, "linear_attn_config"),
        "olmo_hybrid": (_DELTA, "layer_types"), "bailing_hybrid": (_DELTA, "layer_group_size"),
        "lfm2": ("short convolutions in place of attention in most layers", "layer_types"),
        "lfm2_moe": ("short convolutions in place of attention in most layers", "layer_types"),
        "deepseek_v32": ("a second attention picks the keys of each token", "index_topk"),
        "glm_moe_dsa": ("a second attention picks the keys of each token", "index_topk"),
        "deepseek_v4": ("compressed and picked keys", "index_topk"),
        "gemma3n": ("several residual streams, inputs of every layer", "altup_num_inputs"),
        "gemma3n_text": ("several residual streams, inputs of every layer", "altup_num_inputs"),
        "nemotron-nas": ("every layer has sizes of its own, and custom code", "block_configs"),
        "longformer": ("banded attention and global tokens", "attention_window"),
        "led": ("banded attention and global tokens", "attention_window"),
        "longt5": ("local attention in blocks with summaries", "encoder_attention_type"),
        "reformer": ("hashed attention", "attn_layers"),
        "nystromformer": ("landmark attention", "num_landmarks"),
        "bigbird_pegasus": ("block-sparse attention", "attention_type"),
        "fnet": ("Fourier transforms in place of attention", "model_type"),
        "squeezebert": ("grouped convolutions in place of projections", "q_groups"),
        "convbert": ("convolutions beside attention", "conv_kernel_size"),
        "mobilebert": ("a bottleneck and several feed-forward parts in every layer", "true_hidden_size"),
        "deberta": ("score products with a table of relative positions", "relative_attention"),
        "swin": ("windows of patches, and other sizes in every stage", "window_size"),
        "swinv2": ("windows of patches, and other sizes in every stage", "window_size"),
        "diffllama": ("two products of scores and of values in every layer", "lambda_std_dev"),
        "mllama": ("layers that attend to an image", "cross_attention_layers"),
        "mllama_text_model": ("layers that attend to an image", "cross_attention_layers"),
        "blip_text_model": ("attention to an image in every layer", "encoder_hidden_size"),
        "blip": ("attention to an image in every layer of the text model", "text_config"),
    }
)  # fmt: skip
"""Type -> reason, and the key that decides."""

KEYS: Mapping[str, str] = MappingProxyType(
    {
        "auto_map": "names code that is not the library's; remove the key if the library's own class is meant",
        "block_configs": "sizes of single layers",
        "index_topk": "a second attention picks the keys of each token",
        "altup_num_inputs": "several residual streams",
        "laurel_rank": "a low-rank branch beside every layer",
        "state_size": "state space",
        "ssm_state_size": "state space",
        "mamba_d_state": "state space",
        "linear_num_value_heads": "linear attention",
        "linear_attn_config": "linear attention",
        "hybrid_override_pattern": "layers of different kinds",
        "conv_L_cache": "short convolutions",
        "full_attn_idxs": "short convolutions",
        "attn_layer_period": "state space in some layers",
        "cross_attention_layers": "layers that attend to an image",
        "encoder_width": "attention to states of another model",
        "fusion_layer": "attention to states of another model",
        "feed_forward_type": "a feed-forward part that the library's class does not have",
        "attention_window": "banded attention",
        "activation_sparsity_pattern": "sparse activations",
        "q_groups": "grouped convolutions",
    }
)
"""Key that changes the block in any type -> what it does."""
