"""A generation as text and as plain data."""

from __future__ import annotations

from mapper.generation.engine import Generation, Pass
from mapper.generation.runtime_model import ThreeTerms, through_steps
from mapper.reports.quantities import size
from mapper.reports.text import columns, wrapped

HEADINGS = ("phase", "time", "tokens/s", "J/token", "W", "of array", "of DRAM", "bound: tokens/s", "host")
"""Shares are those of the machine's best: multiply-accumulates of a full array, bytes read once at the port's rate."""

SCHEMA = "tilewright.generation/1"


def text(done: Generation) -> str:
    """Return what ``generate`` prints."""
    spec, batch = done.spec, done.batch
    title = f"{done.name} on {spec.name}: prompt of {done.prompt} tokens, {done.tokens} tokens out, batch {batch}"
    rows: list[tuple[str, ...]] = [HEADINGS]
    rows.append(_row(done, f"prompt of {done.prompt}", done.first, batch * done.prompt))
    rows += [_row(done, f"step at {context}", step, batch) for context, step in sorted(done.steps.items())]
    return "\n".join([*wrapped(title), "", *columns(rows, rules=(1,), right=range(1, 9)), "", *_summary(done)])


def _row(done: Generation, name: str, run: Pass, tokens: int) -> tuple[str, ...]:
    seconds, joules = done.seconds(run.cycles), run.energy_pj * 1e-12
    floor = done.seconds(max(run.floors.dram_cycles, run.floors.array_cycles))
    return (
        name, f"{seconds * 1e3:,.3f} ms", f"{tokens / seconds:,.2f}", f"{joules / tokens:.4g}",
        f"{joules / seconds:.3g}", f"{run.floors.array_cycles / run.cycles:.1%}",
        f"{run.floors.dram_cycles / run.cycles:.1%}", f"{tokens / floor:,.2f}", f"{run.host_cycles / run.cycles:.0%}",
    )  # fmt: skip


def _summary(done: Generation) -> list[str]:
    seconds, made = done.seconds(done.cycles), done.batch * done.tokens
    lines = [f"time to first token {done.seconds(done.first.cycles):.4g} s, whole generation {seconds:.4g} s"]
    if done.steps:
        each = done.seconds(done.step_cycles) / (done.tokens - 1)
        lines += wrapped(
            f"time per token {each * 1e3:.4g} ms on average, {done.batch / each:.4g} tokens/s; {len(done.steps)} of "
            f"{done.tokens - 1} steps simulated, the others on the lines between: off by at most {done.bound:.2%} "
            "together if no step is faster than one with a shorter cache"
        )
    lines += wrapped(
        f"{made / seconds:.4g} tokens/s with the prompt, {done.energy_j / made:.4g} J/token, "
        f"{done.energy_j / seconds:.4g} W; weights {size(done.first.weight_bytes)} read by the prompt, keys and values "
        f"{size(done.peak_kv_bytes)} at the end"
    )
    return lines + _formulas(done)


def _formulas(done: Generation) -> list[str]:
    """Return the two formulas of the runtime."""
    if len(done.steps) < 2:
        return []
    first, mean = done.seconds(done.first.cycles), done.seconds(done.step_cycles) / (done.tokens - 1)
    terms = three_terms(done)
    return wrapped(
        f"T(o) = F + g (o - 1) with F = {first:.4g} s, g = {mean:.4g} s; or F + g0 (o - 1) + g1 [(o - 1) p + o (o - 1)"
        f" / 2] with g0 = {terms.fixed:.4g} s, g1 = {terms.per_position:.3g} s: {_share(done, terms):+.2%} at o = "
        f"{done.tokens}"
    )


def three_terms(done: Generation) -> ThreeTerms:
    """Return the formula with a term for the growing cache."""
    contexts = sorted(done.steps)
    seconds = [done.seconds(done.steps[context].cycles) for context in contexts]
    return through_steps(done.seconds(done.first.cycles), [context + 1 for context in contexts], seconds)


def _share(done: Generation, terms: ThreeTerms) -> float:
    return terms.seconds(done.prompt, done.tokens) / done.seconds(done.cycles) - 1


def as_dict(done: Generation) -> dict[str, object]:
    """Return a generation as plain data."""
    seconds = done.seconds(done.cycles)
    terms = three_terms(done) if len(done.steps) > 1 else None
    return {
        "schema": SCHEMA, "model": done.name, "machine": done.spec.name, "prompt": done.prompt,
        "tokens": done.tokens, "batch": done.batch,
        "time_to_first_token_s": done.seconds(done.first.cycles), "generation_s": seconds,
        "tokens_per_s": done.batch * done.tokens / seconds,
        "step_tokens_per_s": done.batch * (done.tokens - 1) / done.seconds(done.step_cycles) if done.steps else None,
        "step_error_bound": done.bound, "energy_per_token_j": done.energy_j / (done.batch * done.tokens),
        "power_w": done.energy_j / seconds, "peak_kv_bytes": done.peak_kv_bytes, "weights": done.parameters,
        "g0_s": terms and terms.fixed, "g1_s": terms and terms.per_position,
        "passes": [
            _pass_dict(done, None, done.first),
            *(_pass_dict(done, context, step) for context, step in sorted(done.steps.items())),
        ],
    }  # fmt: skip


def _pass_dict(done: Generation, context: int | None, run: Pass) -> dict[str, object]:
    return {
        "context": context, "cycles": run.cycles, "seconds": done.seconds(run.cycles),
        "energy_j": run.energy_pj * 1e-12, "macs": run.macs, "kv_bytes": run.kv_bytes,
        "weight_bytes": run.weight_bytes, "dram_floor_cycles": run.floors.dram_cycles,
        "array_floor_cycles": run.floors.array_cycles, "host_cycles": run.host_cycles,
    }  # fmt: skip
