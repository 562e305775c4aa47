"""Where tensors lie in DRAM, and where the instances of a matmul find them."""

from __future__ import annotations

from itertools import pairwise

import workloads
from mapper.graph.dram_layout import lay_out, matmul_problem
from mapper.graph.fusion_cuts import fusion_groups
from mapper.mapping.matmul_problem import PAGE_BYTES
from tests.mapper.tiny import machine


def test_layout_gives_every_tensor_its_own_pages() -> None:
    graph = workloads.build("bert-base", seq=32)
    layout = lay_out(fusion_groups(graph, machine("gemmini_ibert")))
    allocations = sorted(layout.allocations.values(), key=lambda allocation: allocation.address)
    assert all(allocation.address % PAGE_BYTES == 0 for allocation in allocations)
    for low, high in pairwise(allocations):
        assert low.address + low.size_bytes <= high.address
    assert layout.workspace >= allocations[-1].address + allocations[-1].size_bytes


def test_instances_follow_the_views() -> None:
    graph = workloads.build("bert-base", seq=32)
    groups = fusion_groups(graph, machine("gemmini_ibert"))
    layout = lay_out(groups)
    (scores,) = (group for group in groups if group.name == "scores")
    first, second = (matmul_problem(scores, layout, head, 8) for head in (0, 1))
    assert second.a.address - first.a.address == 64
    assert first.a.row_stride_bytes == 768
    assert first.b_axes == ("n", "k")
    assert second.c.address - first.c.address == 32 * 32 * 4


def test_a_cache_that_another_group_fills_lies_in_bytes() -> None:
    """Of 4 bits it lies packed, unless stores fill it, which write bytes."""
    spec = machine("gemmini_decoder")
    config = {"family": "gpt", "name": "small", "layers": 1, "d_model": 128, "heads": 1, "d_ffn": 128}
    graph = workloads.build(config, phase="decode", context=63, bits=workloads.Bits(kv=4))
    context = next(group for group in fusion_groups(graph, spec) if group.name == "context")
    cache = context.inputs[1]
    packed, written = lay_out([context], spec), lay_out([context], spec, [cache.name])
    assert [layout.allocation(cache).packed_bits for layout in (packed, written)] == [4, 8]
    assert written.allocation(cache).size_bytes == 2 * packed.allocation(cache).size_bytes
