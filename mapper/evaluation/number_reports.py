"""What a check on numbers found: how much ran, what was wrong, and how near each kernel is to its float definition."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwconfigs.kernels import kernel_named
from simulator.arrays import Ints
from simulator.functional import Scaling


@dataclass(frozen=True, slots=True)
class Wrong:
    """A group whose programs wrote something else than its operators make."""

    group: str
    what: str
    wrong: int
    """Elements that differ."""
    elements: int

    @classmethod
    def found(cls, group: str, written: Ints, expected: Ints) -> Wrong:
        """Return how the written rows differ, with the first element that does."""
        differs = written != expected
        row, col = (int(place) for place in np.argwhere(differs)[0])
        first = f"row {row}, column {col} is {written[row, col]}, not {expected[row, col]}"
        return cls(group, first, int(differs.sum()), written.size)

    def __str__(self) -> str:
        return f"{self.group}: {self.wrong:,} of {self.elements:,} results are wrong; {self.what}"


@dataclass(frozen=True, slots=True)
class KernelNumbers:
    """How near a kernel's results are to its float definition."""

    group: str
    kernel: str
    rows: int
    cols: int
    step: float
    """Real value of a step of its input."""
    largest: float
    """Mean of the largest result of each row [real units]."""
    float_largest: float
    largest_error: float
    """Difference of the largest result of the worst row [real units]."""
    tolerance: float
    """What that difference may be [real units]."""
    row_sum: float
    """Mean sum of a row [real units]."""
    float_row_sum: float

    @classmethod
    def of(cls, group: str, kernel: str, written: Ints, sums: Ints, scaling: Scaling) -> KernelNumbers:
        """Compare int8 results with the float definition of the kernel on the same sums, cut to what int8 holds."""
        real = written / scaling.output
        most = 127.0 / scaling.output
        unit = kernel_named(kernel).integer
        definition = unit.definition if unit is not None else kernel_named(kernel).reference
        assert definition is not None, "a kernel that a store evaluates has a reference"
        exact = np.clip(definition(sums.astype(np.float64) * scaling.input), -most, most)
        largest, expected = real.max(axis=1), exact.max(axis=1)
        rows, cols = written.shape
        off, allowed = np.abs(largest - expected), np.full(rows, 0.5 / scaling.output)
        if unit is not None:
            allowed = allowed + unit.error(sums, scaling.input, expected)
        worst = int(np.argmax(off / allowed))
        return cls(
            group,
            kernel,
            rows,
            cols,
            scaling.input,
            float(largest.mean()),
            float(expected.mean()),
            float(off[worst]),
            float(allowed[worst]),
            float(real.sum(axis=1).mean()),
            float(exact.sum(axis=1).mean()),
        )

    @property
    def is_near(self) -> bool:
        """Whether the largest result of every row is as near to its float definition as the unit's numbers allow."""
        return self.largest_error <= self.tolerance

    def __str__(self) -> str:
        largest = (
            f"largest result {self.largest:.3f} (float {self.float_largest:.3f}, at worst {self.largest_error:.3f} "
            f"off, {self.tolerance:.3f} allowed)"
        )
        sums = f"row sum {self.row_sum:.3f} (float {self.float_row_sum:.3f})"
        return f"{self.kernel} in {self.group}: {self.rows:,} rows of {self.cols:,}, {largest}, {sums}"


@dataclass(slots=True)
class NumbersCheck:
    """The programs of a block, run on integers."""

    programs: int = 0
    elements: int = 0
    """Results compared."""
    wrong: list[Wrong] = field(default_factory=list)
    kernels: list[KernelNumbers] = field(default_factory=list)
    on_host: list[str] = field(default_factory=list)
    """Groups of the host: there is no program to check, and their results are the float definition's."""
    not_executed: list[str] = field(default_factory=list)
    """Groups of the vector unit whose results depend on positions or choices: their programs are not executed."""

    @property
    def passed(self) -> bool:
        """Whether every result is equal, and every kernel near its definition."""
        return not self.wrong and all(numbers.is_near for numbers in self.kernels)
