"""The shipped units keep what every unit promises."""

from __future__ import annotations

import pytest

import hwconfigs
from mapper.testing.units import ReadoutUnitConformance, UnitConformance
from simulator.units import UNITS
from simulator.units.execute import ExecuteController
from simulator.units.host import Host
from simulator.units.load import LoadController
from simulator.units.normaliser import Normaliser
from simulator.units.simd import Simd
from simulator.units.store import StoreController
from simulator.units.unit import Unit

TESTED = (Host, LoadController, ExecuteController, StoreController, Normaliser, Simd)


class TestUnits(UnitConformance):
    @pytest.fixture(params=[Host, LoadController, ExecuteController, StoreController], ids=lambda unit: unit.name)
    def unit(self, request: pytest.FixtureRequest) -> type[Unit]:
        chosen: type[Unit] = request.param
        return chosen


class TestNormaliser(ReadoutUnitConformance):
    @pytest.fixture
    def unit(self) -> type[Unit]:
        return Normaliser


class TestSimd(ReadoutUnitConformance):
    @pytest.fixture
    def unit(self) -> type[Unit]:
        return Simd

    @pytest.fixture
    def machine(self) -> hwconfigs.HardwareSpec:
        """Return one without a normaliser, which would take its kernels over."""
        return hwconfigs.load("gemmini_decoder", {"vector": None})


def test_no_unit_is_left_out() -> None:
    assert set(UNITS) == set(TESTED)
