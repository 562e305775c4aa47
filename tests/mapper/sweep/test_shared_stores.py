"""A store that several sweeps share, one whose notes are damaged, and sweeps that could never run."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mapper.errors import StoreError
from mapper.settings import RunSettings
from mapper.sweep import Store, Sweep, run
from tests.mapper.sweep.points import counted, trivial_sweep

FILE = "model: 8x8x8\nmachine: m.yaml\nfinalists: 0\naxes: {dram.latency: [20]}\n"


def sweep_over(**axes: object) -> Sweep:
    return Sweep.of("16x16x16", "tiny_4x4", RunSettings(), axes={name.replace("_", "."): axes[name] for name in axes})


def changed(store: Path | str, statement: str) -> None:
    connection = sqlite3.connect(store)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("value", ["'x'", "'[]'", "'{'"])
@pytest.mark.parametrize("name", ["plans", "plan 1"])
def test_damaged_notes_of_a_store_are_told(tmp_path: Path, name: str, value: str) -> None:
    store = tmp_path / "s.sqlite"
    run(trivial_sweep(2), store, work=counted)
    changed(store, f"UPDATE about SET value = {value} WHERE name = '{name}'")
    with pytest.raises(StoreError, match="what it knows of its sweeps is damaged"):
        run(trivial_sweep(2), store, work=counted)


def test_rows_of_a_model_that_nobody_knows_are_never_added_to(tmp_path: Path) -> None:
    """An empty store that no driver has claimed, as after a kill at its first moment, is one to begin with."""
    store = tmp_path / "s.sqlite"
    run(trivial_sweep(2), store, work=counted)
    changed(store, "DELETE FROM about")
    with pytest.raises(StoreError, match="results of two models are never mixed"):
        run(trivial_sweep(3), store, work=counted)
    changed(store, "DELETE FROM points")
    assert run(trivial_sweep(3), store, work=counted).done == 3
    with Store.to_read(store) as opened:
        assert opened.model_version
