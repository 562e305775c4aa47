"""Whole generations: a prompt, then token after token over a growing cache."""
