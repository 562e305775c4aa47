"""Operators other than matmul, as programs: row-wise and elementwise ones on the accelerator, the rest on the host."""
