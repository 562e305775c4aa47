"""ONNX files as workloads: what an exported encoder or decoder computes, as operators.

file       read without weights          dimensions, values   what is stored, and views of it
axes       a number for every axis       products, rows,      one function for each kind of node
shapes     by the onnx library           attending, moving
patterns   several nodes, one operator   records, classes,    operators at the end, and blocks that repeat
                                         repeats, importing
"""

from __future__ import annotations

from pathlib import Path


def is_onnx(model: object) -> bool:
    """Return whether a model is named by the path of such a file."""
    return isinstance(model, str | Path) and str(model).lower().endswith(".onnx")
