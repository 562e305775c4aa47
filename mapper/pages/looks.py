"""Colours and hatchings of the pictures as a style sheet writes them."""

from __future__ import annotations

from simulator.views.style import BOUND_COLOURS, ENERGY_COLOURS, HATCHES, OTHER_COLOUR

GRADIENTS = {"/": "45deg", "\\": "135deg", "|": "90deg", "-": "0deg"}
"""Direction of the lines of a hatching."""

DOTS = {".": 5, "o": 8, "O": 11, "*": 6}
"""Distance of the dots of one [pixels]."""


def looks() -> list[tuple[str, str, str]]:
    """Return class, colour and hatching of everything that has a look, as style sheets write them."""
    found = []
    for name, colour in {**ENERGY_COLOURS, **BOUND_COLOURS}.items():
        found.append((name.replace(" ", "-"), colour, _gradient(HATCHES.get(name, "///"), colour)))
    return [*found, ("other", OTHER_COLOUR, "none")]


def _gradient(hatch: str, colour: str) -> str:
    light = sum(int(colour[place : place + 2], 16) * weight for place, weight in ((1, 0.3), (3, 0.59), (5, 0.11))) > 140
    line = "#0009" if light else "#fffb"
    if not hatch:
        return "none"
    lines = {"x": "/\\", "+": "|-"}.get(hatch[0], hatch[0])
    if lines[0] in DOTS:
        step = DOTS[lines[0]]
        return f"radial-gradient({line} {step // 4 + 0.5}px, transparent {step // 4 + 1}px) 0 0 / {step}px {step}px"
    return ", ".join(f"repeating-linear-gradient({GRADIENTS[one]}, {line} 0 1px, transparent 1px 5px)" for one in lines)
