"""What the search of a cut takes a group to cost is what the group costs in a run."""

from __future__ import annotations

import pytest

import workloads
from mapper.compiler import Compiler
from mapper.graph.dram_layout import lay_out
from mapper.graph.fusion_candidates import candidates
from mapper.graph.fusion_cuts import fusion_groups
from mapper.search.options import SearchOptions
from mapper.search.strategies import SearchStrategy
from tests.mapper.tiny import machine, prices


def test_an_operand_is_as_wide_as_its_writer_leaves_it() -> None:
    """Sums of 32 bits for softmax and LayerNorm, where these are not applied by the matmul before them."""
    spec = machine("gemmini_ibert")
    graph = workloads.build("bert-base", seq=32, overrides={"d_model": 128, "heads": 2, "d_ffn": 256})
    groups = fusion_groups(graph, spec)
    strategy = SearchStrategy(options=SearchOptions(finalists=0))
    compiler = Compiler(spec, prices(spec), lay_out(groups, spec), strategy)
    alone = [led[0] for led in candidates(graph, spec).values()]
    softmax = next(group for group in groups if group.name == "softmax")
    dearer, cheaper = compiler.price(softmax, alone), compiler.price(softmax)
    assert dearer[1] > 1.2 * cheaper[1]
    # In the layout of the whole graph its operands have other addresses, and nothing else differs.
    assert dearer[1] == pytest.approx(compiler._stream_price(softmax)[1], rel=0.02)
    norm = next(group for group in groups if group.name == "attention_norm")
    assert compiler.price(norm, alone) == compiler.price(norm), "an addition has rounded what it reads"
