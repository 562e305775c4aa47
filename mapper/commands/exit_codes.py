"""Exit codes of the command; nothing is imported here, for ``--help`` must answer at once."""

GATE_FAILED = 1
"""A comparison with measurements is outside its tolerance."""
DRIFTED = 1
"""A reference mapping does not give the numbers of its file."""
CHECK_FAILED = 1
"""A program computed wrong numbers."""
NOTHING_RAN = 1
"""No point of a sweep, or machine of an exploration, could be computed; their rows say why."""
BAD_INPUT = 2
INTERRUPTED = 130
TERMINATED = 143
