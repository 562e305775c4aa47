"""Formulas about models that need no machine, or only two numbers of one: experts, savings, serving."""

from __future__ import annotations
