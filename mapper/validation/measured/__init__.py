"""Measured rows and the bare-metal programs that they were measured with."""
