"""Whole generations: interpolated against simulated one by one, bounds, and the formulas of the runtime."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwconfigs
import workloads
from mapper import pipeline
from mapper.errors import MappingError
from mapper.generation.engine import Generation, generate
from mapper.generation.lines import as_dict, text, three_terms
from mapper.generation.runtime_model import ThreeTerms, Timing, fit, through_steps, timings
from mapper.settings import RunSettings

SEED = Path(__file__).resolve().parents[4] / "shared" / "data" / "seed_tables.json"
"""Measurements of others, beside the checkout where they are laid."""

MODEL: dict[str, Any] = {
    "family": "gpt", "layers": 2, "d_model": 64, "heads": 2, "d_ffn": 128, "vocabulary": 300, "activation": "gelu",
}  # fmt: skip
HW = "gemmini_ibert"
TOKENS = 8
SETTINGS = RunSettings(lm_head=True, finalists=0)


@pytest.fixture(scope="module")
def done() -> Generation:
    return generate(MODEL, HW, prompt=24, tokens=TOKENS, settings=SETTINGS)


def test_steps_between_lie_within_the_stated_bound(done: Generation) -> None:
    """The same steps, each simulated."""
    each = {context: generate(MODEL, HW, prompt=context, tokens=2, settings=SETTINGS) for context in done.contexts}
    exact = sum(one.step_cycles for one in each.values())
    assert abs(done.step_cycles - exact) <= done.bound * done.step_cycles + 1
    assert done.bound < 0.02


def test_no_pass_is_faster_than_the_machine(done: Generation) -> None:
    for run in (done.first, *done.steps.values()):
        assert run.cycles >= max(run.floors.dram_cycles, run.floors.array_cycles)
    assert done.first.macs == 2 * 24 * (64 * 64 * 4 + 2 * 64 * 128 + 2 * 24 * 64) + 64 * 300


def test_power_is_energy_over_time(done: Generation) -> None:
    figures = as_dict(done)
    rate, joules, watts = (figures[key] for key in ("tokens_per_s", "energy_per_token_j", "power_w"))
    assert isinstance(rate, float) and isinstance(joules, float)
    assert rate * joules == pytest.approx(watts)
    assert figures["peak_kv_bytes"] == 2 * 2 * 64 * (24 + TOKENS - 1)
    json.dumps(figures, allow_nan=False)
    assert "time to first token" in text(done) and "12 tokens" not in text(done)


def test_one_token_has_no_steps() -> None:
    alone = generate(MODEL, HW, prompt=8, tokens=1, settings=SETTINGS)
    assert (alone.step_cycles, alone.bound, dict(alone.steps)) == (0, 0.0, {})
    assert "steps simulated" not in text(alone)


def test_three_terms_meet_the_simulated_steps(done: Generation) -> None:
    terms = three_terms(done)
    whole = done.seconds(done.cycles)
    assert terms.seconds(24, TOKENS) == pytest.approx(whole, rel=0.01)


def test_three_terms_add_up_steps_that_grow() -> None:
    terms = ThreeTerms(first=5.0, fixed=1.0, per_position=0.5)
    assert terms.seconds(10, 4) == 5.0 + sum(1.0 + 0.5 * (10 + step) for step in (1, 2, 3))


@pytest.mark.parametrize("wrong", [{"prompt": 0}, {"tokens": 0}, {"batch": 0}])
def test_lengths_below_one_are_refused(wrong: dict[str, int]) -> None:
    (name,) = wrong
    with pytest.raises(MappingError, match=f"{name}=0: must be at least 1"):
        generate(MODEL, HW, **{"prompt": 1, "tokens": 1, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there are none"),
        ([Timing(8, 1, 1.0)], "prompt=8 has one output length only"),
        ([Timing(0, 1, 1.0), Timing(0, 2, 1.0)], "prompt=0, output=1: lengths are at least 1"),
        ([Timing(1, 0, 1.0), Timing(1, 2, 1.0)], "output=0: lengths are at least 1"),
    ],
)
def test_fits_of_nothing_are_refused(rows: list[Timing], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(rows)


def test_a_fit_finds_what_made_the_rows() -> None:
    rows = [Timing(p, o, 0.001 * p + 0.02 * (o - 1) + 0.1) for p in (10, 20) for o in (1, 5, 9)]
    found = fit(rows)
    assert found.step == 0.02 and found.first == pytest.approx({10: 0.11, 20: 0.12})
    assert found.seconds(15, 3) == pytest.approx(0.155)
    assert replace(found, step=0.0).seconds(20, 9) == pytest.approx(0.12)


@pytest.mark.skipif(not SEED.exists(), reason="the measurements of others are not beside this checkout")
def test_the_published_fits_are_reproduced() -> None:
    """All 293 values of F and 15 of g that the file has; 2.690 s of a 175 B network for 512 tokens in and 32 out."""
    tables = json.loads(SEED.read_text("utf-8"))["idealised_runtime_2305_02440"]
    firsts = steps = 0
    for machine in ("a100", "v100"):
        for model in tables[machine].values():
            published = model.get("published")
            if published is None:
                continue
            found = fit(rows_of(model))
            assert found.step == published["g_s"]
            assert [found.first[p] for p in model["prompt_tokens"]] == pytest.approx(published["F_s"], abs=1e-12)
            firsts, steps = firsts + len(published["F_s"]), steps + 1
    assert (firsts, steps) == (293, 15)
    davinci = tables["a100"]["openai_davinci"]
    found = fit(rows_of(davinci))
    # the first token as measured, 0.179 s; the fitted F is 0.178 s
    measured = davinci["T_s"][davinci["prompt_tokens"].index(512)][0]
    assert replace(found, first={512: measured}).seconds(512, 32) == pytest.approx(2.690)
    assert found.seconds(512, 32) == pytest.approx(2.689)


def rows_of(model: dict[str, Any]) -> list[Timing]:
    return timings(model["prompt_tokens"], model["output_tokens"], model["T_s"])


@pytest.mark.parametrize(
    ("prompts", "outputs", "seconds", "message"),
    [
        ([8, 4], [1], [[1.0], [2.0]], "prompts: [8, 4] must ascend"),
        ([4, 8], [1, 1], [[1.0, 1.0], [2.0, 2.0]], "outputs: [1, 1] must ascend"),
        ([0, 8], [1], [[1.0], [2.0]], "prompts: [0, 8] must ascend, from at least 1 on"),
        ([4, 8], [1, 2], [[1.0, 2.0]], "seconds: must have 2 rows of 2 times"),
    ],
)
def test_grids_that_are_none(prompts: list[int], outputs: list[int], seconds: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        timings(prompts, outputs, seconds)


@pytest.mark.slow
def test_formulas_fit_a_simulated_decoder() -> None:
    """GPT-2: few rows take the time of one, many take theirs; a third term is right to 1 % where two are to 6."""
    prompts, outputs = (16, 32, 128, 512), (1, 2, 4, 8, 16, 32, 64)
    runs = {
        prompt: generate("gpt2", "gemmini_decoder", prompt=prompt, tokens=64, settings=RunSettings(finalists=0))
        for prompt in prompts
    }
    steps = {at + 1: run.seconds(step.cycles) for run in runs.values() for at, step in run.steps.items()}
    first = {prompt: run.seconds(run.first.cycles) for prompt, run in runs.items()}
    grid = [
        [
            first[prompt] + sum(run.seconds(run.step_at(prompt + step)) for step in range(output - 1))
            for output in outputs
        ]
        for prompt, run in runs.items()
    ]
    rows = timings(prompts, outputs, grid)
    two, attended = fit(rows, unit=1e-9), sorted(steps)
    measured = np.array([row.seconds for row in rows])
    fitted = np.array([two.seconds(row.prompt, row.output) for row in rows])
    assert 1 - np.sum((measured - fitted) ** 2) / np.sum((measured - measured.mean()) ** 2) >= 0.99
    for row in rows:
        three = through_steps(first[row.prompt], attended, [steps[at] for at in attended])
        assert three.seconds(row.prompt, row.output) == pytest.approx(row.seconds, rel=0.01)
    assert first[16] < 1.1 * steps[17]
    assert first[128] / first[32] == pytest.approx(4, rel=0.05)


@pytest.mark.slow
def test_a_prompt_is_flat_until_the_array_is_full_and_linear_behind() -> None:
    """GPT-2: the weights cross the DRAM in any case, and 16 rows of the array wait for them; then rows take turns."""
    spec = hwconfigs.load("gemmini_decoder")
    prompts = {
        tokens: pipeline.run_graph(workloads.build("gpt2", seq=tokens), spec, finalists=0).simulation.cycles
        for tokens in (1, 16, 32, 64)
    }
    assert 1.0 < prompts[16] / prompts[1] < 1.1
    assert prompts[32] / prompts[16] > 1.5
    assert prompts[64] / prompts[32] == pytest.approx(2.0, rel=0.02)
