"""Searches that prove an optimum or a Pareto front."""
