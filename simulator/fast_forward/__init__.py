"""Steady-state fast-forward: which hardware loops need not be simulated one by one."""
