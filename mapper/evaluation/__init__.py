"""Estimate and simulate lowered programs in order, and add up their reports."""
