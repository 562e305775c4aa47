"""How pictures look: sizes, colours and hatchings that mean the same everywhere; equal figures give equal files.

Matplotlib is imported inside the functions, and figures are built without pyplot: no window, no global state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from simulator.bottleneck import BANDWIDTH, BOUNDS, COMPUTE, LATENCY, PADDING, RAMPS
from simulator.units.execute import ARRAY_FILL
from simulator.units.host import Host
from simulator.units.normaliser import Normaliser
from simulator.units.store import StoreController

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Size:
    """For what a picture is made."""

    name: str
    width_inches: float
    font_points: float
    dots_per_inch: int

    @property
    def row_inches(self) -> float:
        """Height of a line of a table, or of a bar."""
        return self.font_points / 72 * 2.0


NOTEBOOK = Size("notebook", 10.0, 10.0, 100)
PAPER = Size("paper", 7.0, 7.5, 300)
"""The text width of a page with two columns, in the size of its captions."""

SIZES = {size.name: size for size in (NOTEBOOK, PAPER)}

BOUND_COLOURS = {
    COMPUTE: "#4477aa", PADDING: "#77aadd", BANDWIDTH: "#ee6677", LATENCY: "#ee7733", StoreController.bound: "#ccbb44",
    Normaliser.bound: "#aa3377", "simd": "#994455", Host.bound: "#222222", ARRAY_FILL: "#332288", RAMPS: "#777777",
}  # fmt: skip
BOUND_COLOURS |= zip([bound for bound in BOUNDS if bound not in BOUND_COLOURS], cycle(("#117733", "#882255")))
ENERGY_COLOURS = {
    "array": "#4477aa", "scratchpad": "#66ccee", "accumulator": "#228833", "dma": "#bbbbbb", "l2": "#44bb99",
    "llc": "#999933", "dram": "#ee6677", "vector": "#aa3377", "requantise": "#aa3377", "host": "#222222",
    "static": "#ddaa33",
}  # fmt: skip
"""Tol's bright scheme and two of his others: distinct for colour-blind readers, and the same in every figure.

What takes time has the colour of the energy it goes with: compute of the array, bandwidth of the DRAM, normaliser of
the vector unit, host of the host.
"""
OTHER_COLOUR = "#dddddd"

HATCHES = {
    COMPUTE: "", "array": "", PADDING: "....", BANDWIDTH: "////", "dram": "////", LATENCY: "\\\\\\\\",
    StoreController.bound: "xxx", Normaliser.bound: "+++", "simd": "++", "vector": "+++", "requantise": "+++",
    Host.bound: "", ARRAY_FILL: "ooo", RAMPS: "----", "scratchpad": "||||", "accumulator": "\\\\\\", "l2": "oo",
    "llc": "OO",
    "dma": "..", "static": "***",
}  # fmt: skip
"""Hatching of causes and units, so that neighbours differ on a grey printer, too; of others "///"."""
SERIES = (
    ("#4477aa", "", "o"), ("#ee6677", "////", "s"), ("#228833", "....", "^"), ("#ccbb44", "xxx", "D"),
    ("#66ccee", "\\\\\\\\", "v"), ("#aa3377", "+++", "P"), ("#332288", "ooo", "X"), ("#ee7733", "||||", "<"),
    ("#44bb99", "----", ">"), ("#882255", "**", "*"),
)  # fmt: skip
"""Colour, hatching and marker of what has no look of its own, by place."""


def filled(colour: str, hatch: str) -> dict[str, object]:
    """Return the properties of a filled area: the hatching is lighter than dark colours, and darker than light ones."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.55
    return {"facecolor": colour, "hatch": hatch, "edgecolor": "#555555" if light else "#ffffff", "linewidth": 0.0}


def series_look(place: int) -> dict[str, object]:
    """Return the look of the area at a place in a series; after all colours come the same with other hatchings."""
    rounds, colour = divmod(place, len(SERIES))
    return filled(SERIES[colour][0], SERIES[(colour + 3 * rounds) % len(SERIES)][1])


def bound_look(bound: str) -> dict[str, object]:
    """Return the look of a cause of cycles."""
    return filled(BOUND_COLOURS.get(bound, OTHER_COLOUR), HATCHES.get(bound, "///"))


def energy_look(unit: str) -> dict[str, object]:
    """Return the look of a unit that takes energy."""
    return filled(ENERGY_COLOURS.get(unit, OTHER_COLOUR), HATCHES.get(unit, "///"))


def new_figure(size: Size, height_inches: float) -> Figure:
    """Return an empty figure of a size's width."""
    from matplotlib.figure import Figure

    return Figure(figsize=(size.width_inches, height_inches), layout="constrained", dpi=size.dots_per_inch)


def drawn_at(size: Size, draw: Callable[[], Figure]) -> Figure:
    """Return a figure that was made for no size, at one: as wide as it, and in its letters."""
    import matplotlib

    with matplotlib.rc_context({"font.size": size.font_points}):
        figure = draw()
    if size != NOTEBOOK:
        width, height = figure.get_size_inches()
        figure.set_dpi(size.dots_per_inch)
        figure.set_size_inches(size.width_inches, height * size.width_inches / width * LOOSER)
    return figure


LOOSER = 1.2
"""How much higher than its width asks a figure becomes that is made narrower: its letters shrink less."""


def dress(
    axes: Axes, size: Size, *, x: str = "", y: str = "", title: str = "", grid: Literal["x", "y", "both", ""] = ""
) -> None:
    """Give a panel its labels, in the letters of a size, and a thin grid behind what is drawn."""
    axes.tick_params(which="both", labelsize=size.font_points * 0.9)
    if x:
        axes.set_xlabel(x, fontsize=size.font_points)
    if y:
        axes.set_ylabel(y, fontsize=size.font_points)
    if title:
        axes.set_title(title, fontsize=size.font_points)
    for texts in (axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()):
        texts.set_fontsize(size.font_points * 0.9)
    if grid:
        axes.grid(axis=grid, linewidth=0.4, alpha=0.5)
        axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def plain_log(axis: Axis) -> None:
    """Let a logarithmic axis show 1, 2, 5, 10, 20, ... as plain numbers; over many powers of ten only these."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    steps = (1.0, 2.0, 5.0) if high / low < 2e3 else (1.0,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=30))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_formatter(NullFormatter())


def legend_below(
    figure: Figure, size: Size, handles: Sequence[Artist], *, title: str = "", columns: int | None = None,
    place: Literal["outside lower left", "outside lower center", "outside lower right"] = "outside lower center",
) -> None:  # fmt: skip
    """Put a legend below the panels, where it covers nothing."""
    if handles:
        figure.legend(
            handles=list(handles), title=title or None, loc=place, ncols=columns or len(handles),
            fontsize=size.font_points * 0.85, title_fontsize=size.font_points * 0.9, frameon=False,
            handlelength=1.6, handleheight=1.1, columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip


def scaled(longest: float, units: Sequence[str]) -> tuple[float, str]:
    """Return factor and unit for an axis, from units a factor of 1,000 apart: the next larger one from 10,000 on."""
    steps = sum(longest >= 10.0 * 1e3**step for step in range(1, len(units)))
    return 1e-3**steps, units[steps]


def short(value: float) -> str:
    """Return a number for a place beside a bar: three digits."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write ``figure`` as ``"png"``, ``"svg"`` or ``"pdf"``, without dates: equal figures give equal files."""
    import matplotlib

    undated: Mapping[str, dict[str, str | None]] = {
        "png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None},
    }  # fmt: skip
    with matplotlib.rc_context({"svg.hashsalt": "tilewright", "hatch.linewidth": 0.6}):
        _freeze(figure)
        figure.savefig(path, format=kind, dpi=figure.dpi, metadata=undated[kind])


def _freeze(figure: Figure) -> None:
    """Let the panels stay where the layout puts them, in steps of a ten-thousandth of the figure.

    The solver of the layout orders its variables by where they lie in the computer's memory, so that its last digits
    differ from run to run; in an SVG they would make other names for equal things.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(float(value), 4) for value in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))
    title = figure._suptitle  # type: ignore[attr-defined]
    if title is not None:
        title.set_position(tuple(round(float(value), 4) for value in title.get_position()))
