"""Decoders on the machines for them: nothing for the host, and never faster than the machine, batch after batch."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import hwconfigs
import workloads
from mapper.generation.engine import Generation, generate
from mapper.graph.fusion_cuts import fusion_groups
from mapper.settings import RunSettings

MACHINES = ("gemmini_decoder", "gemmini_decoder_64", "gemmini_decoder_128")
SMALL = {
    "family": "llama", "name": "small", "source": "a test", "layers": 1, "d_model": 64, "heads": 2, "kv_heads": 1,
    "d_ffn": 96, "vocabulary": 100,
}  # fmt: skip
QWEN3_30B = {
    "model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936, "num_experts": 128, "num_experts_per_tok": 8,
    "moe_intermediate_size": 768, "intermediate_size": 6144, "max_position_embeddings": 40960,
}  # fmt: skip
"""Released configuration of Qwen/Qwen3-30B-A3B."""

MODELS = {"llama-3-8b": "llama-3-8b", "gpt2": "gpt2", "qwen3-30b-a3b": QWEN3_30B}
ESTIMATED = RunSettings(finalists=0, lm_head=True)


def keeps_the_bounds(done: Generation) -> None:
    """Weights and the cache cross the port once, and the array multiplies at its full rate at best."""
    byte_pj = hwconfigs.load_energy(done.spec.energy).bind(done.spec).pj["dram", "read_byte"]
    for each in (done.first, *done.steps.values()):
        floors = each.floors
        assert floors.compulsory_bytes >= each.weight_bytes
        assert each.cycles * done.spec.dram.bytes_per_cycle >= floors.compulsory_bytes
        assert each.cycles >= floors.array_cycles
        assert each.energy_pj >= byte_pj * floors.compulsory_bytes


@pytest.mark.parametrize(("machine", "batch"), [("gemmini_decoder", 1), ("gemmini_decoder", 8), (MACHINES[-1], 64)])
def test_a_small_decoder_keeps_the_bounds(machine: str, batch: int) -> None:
    keeps_the_bounds(generate(SMALL, machine, prompt=2, tokens=2, batch=batch, settings=ESTIMATED))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_left_to_the_host(model: str, machine: str) -> None:
    spec = hwconfigs.load(machine)
    asked: tuple[Mapping[str, object], ...] = (
        {"seq": 512}, {"phase": "decode", "context": 640}, {"phase": "decode", "context": 4096, "batch": 64}
    )  # fmt: skip
    for shape in asked:
        graph = workloads.build(MODELS[model], lm_head=True, **shape)  # type: ignore[arg-type]
        assert [group.name for group in fusion_groups(graph, spec) if group.unit == "host"] == []


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("machine", MACHINES)
def test_published_decoders_keep_the_bounds(model: str, machine: str, batch: int) -> None:
    done = generate(MODELS[model], machine, prompt=32, tokens=2, batch=batch, settings=ESTIMATED)  # type: ignore[arg-type]
    keeps_the_bounds(done)
    # Whose cycles are those of the host: it calls the library once per matmul of every head, and issues loops.
    for context in done.steps:
        graph = workloads.build(MODELS[model], phase="decode", context=context, batch=batch, lm_head=True)  # type: ignore[arg-type]
        assert [group.name for group in fusion_groups(graph, done.spec) if group.unit == "host"] == []


@pytest.mark.slow
def test_eight_sequences_share_the_weights() -> None:
    """DRAM-bound GPT-2 at 512 cached tokens: 8 (W + KV) / (W + 8 KV) = 4.71 times the tokens per second at most."""
    spec = hwconfigs.load("gemmini_decoder", {"dram.bandwidth": 8})
    estimated = RunSettings(finalists=0)
    runs = [generate("gpt2", spec, prompt=512, tokens=2, batch=batch, settings=estimated) for batch in (1, 8)]
    alone, eight = (run.steps[512].cycles for run in runs)
    assert 4.0 <= 8 * alone / eight <= 4.71
