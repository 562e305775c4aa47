"""Which of the numbered deviations of `simulator/DEVIATIONS.md` touch a run, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mapper.reports.saved_run import SavedRun

ENCODERS = ("bert", "vit")
"""Families without a causal mask."""

WITH_CONVOLUTIONS = ("resnet", "vit")


@dataclass(frozen=True, slots=True)
class Deviation:
    """Something that is not modelled."""

    number: str
    what: str
    applies: bool
    why: str
    """Why it touches the run, or does not."""


def deviations(run: SavedRun) -> list[Deviation]:
    """Return all deviations in their order; those that leave a run untouched say why."""
    return [*_of_the_workload(run), *_of_the_machine(run), *_of_the_simulation(run)]


def _of_the_workload(run: SavedRun) -> list[Deviation]:
    config, settings = run.document.section("workload").section("config").values, _settings(run)
    is_model, family = "family" in config, str(config.get("family", ""))
    masked = is_model and family not in ENCODERS and config.get("phase") == "prefill"
    skipped = settings.get("causal") == "skip"
    mask = "masked blocks are skipped" if skipped else "a decoder's prompt" if masked else "no masked prompt"
    fusion = f"--fusion {settings.get('fusion', 'none')}"
    return [
        Deviation("D1", "causal masks: a prompt multiplies its masked pairs", masked and not skipped, mask),
        Deviation("D2", "fusion of two products, and any that --fusion does not name", is_model, fusion),
    ]


def _of_the_machine(run: SavedRun) -> list[Deviation]:
    pages = run.machine.section("dram").values.get("pages")
    memory = "rows and banks are modelled, refresh is not" if pages else "one latency and a bus"
    constants = run.document.section("host_constants") if "host_constants" in run.document else None
    share = constants.number("share_of_cycles") if constants is not None else 0.0
    host = f"constants of the machine file are {share:.0%} of the cycles"
    return [
        Deviation("D3", "instruction fetch, virtual memory and TLB", True, "in no run"),
        Deviation("D4", "DRAM refresh, rows and banks", True, memory),
        Deviation("D5", "host kernels in detail", share > 0, host),
    ]


def _of_the_simulation(run: SavedRun) -> list[Deviation]:
    config, settings = run.document.section("workload").section("config").values, _settings(run)
    family, exact = config.get("family"), bool(settings.get("exact") or settings.get("spans"))
    convolved, head = family in WITH_CONVOLUTIONS, bool(settings.get("lm_head"))
    blocks = "embedding and LM head are in it, sampling is not" if head else "a model is its blocks"
    return [
        Deviation(
            "D6", "a convolution's data layout: its im2col matrix lies in memory", convolved,
            "has convolutions" if convolved else "no convolutions",
        ),
        Deviation("D7", "loop nests other than hardware loops, by formulas only", False, "all of it is simulated"),
        Deviation("D8", "embedding, pooler, LM head, sampling", "family" in config, blocks),
        Deviation(
            "D9", "every repetition", not exact, "simulated exactly" if exact else "steady loops are passed over"
        ),
        Deviation("D10", "clock domains, thermal limits, several accelerators, sparsity, accuracy", True, "in no run"),
        _written_before_it_leaves(run),
    ]  # fmt: skip


def _written_before_it_leaves(run: SavedRun) -> Deviation:
    port = run.machine.section("dram").number("bytes_per_cycle")
    over = [part.name for part in run.simulation.by_op or (run.simulation,) if part.dram_bytes > port * part.cycles]
    why = f"above the port's peak: {', '.join(over)}" if over else "no operator is above the port's peak"
    return Deviation("D11", "one bus for DRAM reads and writes: stored lines count at once", bool(over), why)


def _settings(run: SavedRun) -> dict[str, Any]:
    return dict(run.document.section("settings").values) if "settings" in run.document else {}
