"""The table of kernels: every fact about a kernel that is not a matmul, once.

A kernel is the arithmetic of an operator: softmax, GELU, an addition. Its row says which units can evaluate it, how
often they read a row, what they count and what they compute. Placement, lowering, front end, normaliser, cost model,
energy and the execution on numbers read this table and keep no lists of their own:

* a further kernel on the normaliser or in the epilogue is one more row of `KERNELS`;
* an operator that only ever runs on the host needs no row: `kernel_named` answers for any name.

The table stands in the lowest package because machine files name kernels and misspelt names are refused where files
are read; `hwconfigs` imports nothing of ours, and everybody may import it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from hwconfigs.integer_arithmetic import GELU, LAYERNORM, SOFTMAX, IntegerKernel
from hwconfigs.kernel_arithmetic import RealRows, gelu, identity, layernorm, product, relu, rmsnorm, silu, softmax
from hwconfigs.limits import one_of, shortened

UNNAMED_HOST_CYCLES = 125.0
"""Host cycles per element of a kernel that a machine does not name in ``host.kernel_cycles``. [cycles/element]

An estimate, unmeasured: one transcendental function in fp32 with its (de)quantisation takes 100 to 150 cycles on
Rocket; the midpoint, as for softmax in gemmini.yaml. Simple kernels are cheaper, so the default does not flatter.
"""


class Site(Enum):
    """Where on chip a kernel may run; every kernel may run on the host."""

    EPILOGUE = "epilogue"
    """Within the stores of the operator that produces its input, element by element."""
    ACCUMULATOR = "accumulator"
    """As an operator of its own that streams through the accumulator, element by element."""
    NORMALISER = "normaliser"
    """As an operator of its own whose complete rows are normalised on their way out of the accumulator."""
    SIMD = "simd"
    """As an operator of its own that a vector unit beside the normaliser reads out of the accumulator."""


class Statistic(Enum):
    """What a pass of the normaliser over a row can gather; `simulator.units.normaliser` knows its time."""

    MAXIMUM = "maximum"
    """Largest element."""
    MEAN = "mean"
    """Sum of the elements, divided by their number."""
    INVERSE_DEVIATION = "inverse deviation"
    """Mean of squares, its root and the reciprocal of that."""
    INVERSE_SUM = "inverse sum"
    """Sum of exponentials and its reciprocal."""
    MEAN_SQUARE = "mean square"
    """Sum of squares, its root and the reciprocal of that."""
    RUNNING_SUM = "running sum"
    """Largest element so far, sum of exponentials below it, and the reciprocal of the last sum: online softmax."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One row of the table.

    Raises
    ------
    ValueError
        When the row contradicts itself.
    """

    name: str
    """The operator's ``kind``, the name in machine files and the action in energy tables."""
    sites: frozenset[Site] = frozenset()
    """Where on chip it may run; empty: on the host only."""
    needs_unit: bool = False
    """Only machines that list it in ``vector.kernels`` or ``simd.kernels`` evaluate it on chip.

    Such a kernel works behind the scaling of the store pipeline, so that it gives narrow results only, and each of
    its elements is counted as one action of the vector unit. Others are part of every store pipeline.
    """
    statistics: tuple[Statistic, ...] = ()
    """What each pass over a row gathers before the last pass, which gives the results."""
    operands: int = 1
    """Equally shaped inputs, which lie one below the other in the accumulator."""
    integer: IntegerKernel | None = None
    """What the unit's integers make of int32 sums; None if that is what ``reference`` makes of them."""
    reference: Callable[[RealRows], RealRows] | None = None
    """Real values (rows, cols) to results (rows, cols), as the unit computes; None if no store evaluates it."""
    part_of: str = ""
    """Kernel of which this is one way through rows that do not fit the accumulator; empty: a kernel of its own."""
    in_gemmini: bool = True
    """Whether a unit of Gemmini that has it can be asked for it; only a machine of one's own can have others there."""
    operations: tuple[int, int] | None = None
    """int32 multiplies and additions per element, for energy tables that do not name it.

    None: every energy table has to name it.
    """

    def __post_init__(self) -> None:
        gathers = bool(self.statistics)
        if gathers != (Site.NORMALISER in self.sites) and not (gathers and self.on_simd):
            raise ValueError(f"kernel {self.name}: runs on the normaliser if, and only if, it gathers statistics")
        if self.is_activation and self.reference is None:
            raise ValueError(f"kernel {self.name}: a store evaluates it, so it needs a reference")

    @property
    def passes(self) -> int:
        """Times each row is read from the accumulator."""
        return len(self.statistics) + 1

    @property
    def whole_rows(self) -> bool:
        """Whether complete rows must lie in the accumulator before the first result leaves."""
        return bool(self.statistics)

    @property
    def is_activation(self) -> bool:
        """Whether the store pipeline evaluates it: what the ``activation`` of a hardware loop may say."""
        return Site.EPILOGUE in self.sites or Site.NORMALISER in self.sites

    @property
    def gathers(self) -> bool:
        """Whether it gathers statistics of parts of rows and stores nothing."""
        return self.part_of != "" and self.name == gathering(self.part_of)

    @property
    def on_simd(self) -> bool:
        """Whether a vector unit beside the normaliser can have it: then single mvouts may ask for it."""
        return Site.SIMD in self.sites

    @property
    def activation(self) -> str:
        """What the stores of its operator carry: its name, or ``"none"`` for a sum formed in the accumulator."""
        return self.name if self.is_activation or self.on_simd else IDENTITY.name


_ELEMENTWISE = frozenset({Site.EPILOGUE, Site.ACCUMULATOR})
_NORMALISED = frozenset({Site.NORMALISER})
_SIMD = frozenset({Site.SIMD})

IDENTITY = Kernel("none", frozenset({Site.EPILOGUE}), reference=identity)
"""A store that changes nothing but scale and width."""

KERNELS: tuple[Kernel, ...] = (
    Kernel(
        "softmax",
        _NORMALISED | _SIMD,
        needs_unit=True,
        statistics=(Statistic.MAXIMUM, Statistic.INVERSE_SUM),
        reference=softmax,
        integer=SOFTMAX,
    ),
    Kernel(
        "layernorm",
        _NORMALISED | _SIMD,
        needs_unit=True,
        statistics=(Statistic.MEAN, Statistic.INVERSE_DEVIATION),
        reference=layernorm,
        integer=LAYERNORM,
    ),
    Kernel("gelu", _ELEMENTWISE | _SIMD, needs_unit=True, reference=gelu, integer=GELU),
    # No Gemmini has a unit for SiLU, and none for those that only a vector unit beside the normaliser runs. Operations
    # per element, where energy tables have none, are counted from the formulas: rotary two products and a sum, a
    # product one multiply.
    Kernel("rmsnorm", _SIMD, needs_unit=True, statistics=(Statistic.MEAN_SQUARE,), reference=rmsnorm),
    Kernel("silu", _ELEMENTWISE | _SIMD, needs_unit=True, reference=silu, in_gemmini=False),
    Kernel("relu", _ELEMENTWISE, reference=relu),
    Kernel("add", frozenset({Site.ACCUMULATOR})),
    Kernel("mul", _SIMD, needs_unit=True, operands=2, reference=product, operations=(1, 0)),
    Kernel("rope", _SIMD, needs_unit=True, operations=(2, 1)),
    # As gelu: one exponential more is one polynomial more.
    Kernel("xielu", _SIMD, needs_unit=True, operations=(6, 8)),
    # A sorted store of eight, one comparison with each: what published routers choose at most.
    Kernel("topk", _SIMD, needs_unit=True, operations=(0, 8)),
    # Rows that other rows choose: copies, and sums that the scaler of the loads has weighted.
    Kernel("dispatch", _SIMD, needs_unit=True, operations=(0, 0)),
    Kernel("combine", _SIMD, needs_unit=True, operations=(1, 1)),
    Kernel("lookup", _SIMD, needs_unit=True, operations=(0, 0)),
    Kernel("maxpool"),
    Kernel("avgpool"),
    Kernel("quantise"),
)
"""All kernels that machine files may name without being told that they are unknown."""

LONG_NAME = 8
"""Letters of a name in which two wrong ones are still a slip; ``softmin`` is another kernel than ``softmax``."""


def gathering(name: str) -> str:
    """Return the name of a kernel's way through parts of rows that gathers statistics and stores nothing."""
    return f"{name}_gather"


def giving_results(name: str) -> str:
    """Return the name of a kernel's way through parts of rows whose statistics are known."""
    return f"{name}_results"


def _in_parts(kernel: Kernel) -> tuple[Kernel, Kernel]:
    """Statistics of long rows run along, part after part: maximum and rescaled sum, sum and sum of squares [1]_.

    .. [1] M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867, Algorithm 3.
    """
    row = Kernel(gathering(kernel.name), _SIMD, needs_unit=True, part_of=kernel.name)
    return row, replace(row, name=giving_results(kernel.name), reference=kernel.reference, integer=kernel.integer)


PARTS: tuple[Kernel, ...] = tuple(
    part for kernel in KERNELS if kernel.on_simd and kernel.statistics for part in _in_parts(kernel)
)
"""Ways of a vector unit through rows that do not fit half of the accumulator; machines list the whole kernel."""

_BY_NAME = {kernel.name: kernel for kernel in (IDENTITY, *KERNELS, *PARTS)}

UNIT_KERNELS: tuple[str, ...] = tuple(kernel.name for kernel in KERNELS if kernel.needs_unit)
"""What energy tables price."""

NORMALISER_KERNELS: tuple[str, ...] = tuple(
    kernel.name for kernel in KERNELS if kernel.needs_unit and (kernel.sites - {Site.SIMD} or kernel.operations is None)
)
"""What ``vector.kernels`` may list: builds may have the arithmetic of a kernel that no command asks for."""

SIMD_KERNELS: tuple[str, ...] = tuple(kernel.name for kernel in KERNELS if kernel.on_simd)
"""What ``simd.kernels`` may list."""


ON_THE_ARRAY = ("matmul", "conv2d")
"""Operators that no host kernel stands for: the mapper runs them on the array of every machine."""


def kernel_named(name: str) -> Kernel:
    """Return the row of a kernel; one without a row runs on the host only."""
    return _BY_NAME.get(name) or Kernel(name)


def unit_kernel(name: str) -> str:
    """Return the name of a kernel that a vector unit may have.

    Raises
    ------
    ValueError
        When no unit can have it.
    """
    return one_of(name, NORMALISER_KERNELS)


def simd_kernel(name: str) -> str:
    """Return the name of a kernel that a vector unit beside the normaliser may have.

    Raises
    ------
    ValueError
        When no unit can have it.
    """
    return one_of(name, SIMD_KERNELS)


def host_kernel(name: str) -> str:
    """Return the name of a host kernel: one of the table, or a new one that cannot be a misspelt one of the table.

    Raises
    ------
    ValueError
        When the operator runs on the array; when the name differs from a known one by one letter, by two letters in
        wrong order, in case and underscores only, or, if it is long, by two letters in one place; or when it is no
        identifier.
    """
    if not name.isidentifier():
        raise ValueError(f"{shortened(repr(name))} is no name of a kernel")
    if name in ON_THE_ARRAY:
        raise ValueError(f"'{name}' runs on the array, never on the host")
    known = [kernel.name for kernel in KERNELS]
    near = next((kernel for kernel in known if _one_slip(_folded(name), kernel)), None)
    if name not in known and near is not None:
        hint = "a kernel of its own with so similar a name needs a row in hwconfigs.kernels"
        raise ValueError(f"{shortened(repr(name))} is not known; did you mean '{near}'? ({hint})")
    return name


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _one_slip(word: str, known: str) -> bool:
    """Whether one letter too many, too few or wrong, or two neighbours swapped, separate the words at most.

    In a long word two wrong letters side by side are one slip, too.
    """
    if abs(len(word) - len(known)) > 1:
        return False
    is_long = len(word) >= LONG_NAME
    # Without their common beginning and end, at most one letter or one swapped pair is left.
    while word and known and word[0] == known[0]:
        word, known = word[1:], known[1:]
    while word and known and word[-1] == known[-1]:
        word, known = word[:-1], known[:-1]
    left = max(len(word), len(known))
    return left <= 1 or (left == 2 and (is_long or word == known[::-1]))
