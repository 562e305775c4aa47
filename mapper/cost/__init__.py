"""What a mapping costs: action counts, cache lines, cycles and energy, by formulas."""
