"""The shipped units keep what every unit promises."""

from __future__ import annotations

import pytest

from mapper.testing.units import ReadoutUnitConformance, UnitConformance
from simulator.units import UNITS
from simulator.units.execute import ExecuteController
from simulator.units.host import Host
from simulator.units.load import LoadController
from simulator.units.normaliser import Normaliser
from simulator.units.store import StoreController
from simulator.units.unit import Unit

TESTED = (Host, LoadController, ExecuteController, StoreController, Normaliser)


class TestUnits(UnitConformance):
    @pytest.fixture(params=[Host, LoadController, ExecuteController, StoreController], ids=lambda unit: unit.name)
    def unit(self, request: pytest.FixtureRequest) -> type[Unit]:
        chosen: type[Unit] = request.param
        return chosen


class TestNormaliser(ReadoutUnitConformance):
    @pytest.fixture
    def unit(self) -> type[Unit]:
        return Normaliser


def test_no_unit_is_left_out() -> None:
    assert set(UNITS) == set(TESTED)
