"""Steady-state detection: which hardware loops need not be simulated one by one."""
