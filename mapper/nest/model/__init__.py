"""What a loop nest costs: problem, memory hierarchy, accounting rules, access counts."""
