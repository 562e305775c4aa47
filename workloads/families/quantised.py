"""Bits of the weights of a file that was quantised, by its ``quantization_config``.

They hold for a whole model if the method converts all of its linear layers. A file that keeps some at 16 bits, as
those with experts of 4 bits do, is told about and built with the widths that are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from workloads.errors import GraphError

WIDTHS: Mapping[str, tuple[int, ...]] = MappingProxyType({"gptq": (2, 3, 4, 8), "awq": (4,)})
"""Bits that a method has formats of: of GPTQ's kernels, and of AWQ's."""

NO_LAYER = re.compile(r"lm_head|embed|norm|router|\bgate$")
"""Modules that every method leaves as they are, or that are no part of a layer's large products."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """What a file says about its weights."""

    bits: int | None = None
    """Of all of a layer's weights; None: not stated for all of them."""
    note: str | None = None
    """What a reader of the report must know."""


def quantised(raw: Mapping[str, object], origin: str) -> Quantised:
    """Return what ``quantization_config`` says.

    Raises
    ------
    GraphError
        For bits that the method has no format of.
    """
    section = raw.get("quantization_config")
    if not isinstance(section, Mapping):
        return Quantised()
    method = str(section.get("quant_method", "a method without a name"))
    bits = _bits(method, section, origin)
    kept = section.get("modules_to_not_convert") or ()
    names = [str(name) for name in kept] if isinstance(kept, list) else []
    in_layers = [name for name in names if not NO_LAYER.search(name)]
    said = f"{method:.40}, {bits} bits" if bits else f"{method:.40}"
    if bits is None or in_layers:
        why = f"; it keeps {in_layers[0]!r:.60} as it is" if in_layers else ""
        return Quantised(note=f"quantization_config ({said}) is not applied: tensors have the widths of --bits{why}")
    told = f"weights have {bits} bits by quantization_config ({method:.40}); of scales, what the machine stores"
    return Quantised(bits, told)


def _bits(method: str, section: Mapping[str, object], origin: str) -> int | None:
    """Return the bits of a weight, None if the method does not state one number for all."""
    if method in WIDTHS:
        bits = section.get("bits", 4)
        if isinstance(bits, bool) or bits not in WIDTHS[method]:
            known = ", ".join(map(str, WIDTHS[method]))
            raise GraphError(f"{origin}: quantization_config.bits={bits!r:.40}: {method} has formats of {known} bits")
        return int(str(bits))
    if method == "bitsandbytes":
        return 4 if section.get("load_in_4bit") else 8 if section.get("load_in_8bit") else None
    return 8 if method == "fp8" else None
