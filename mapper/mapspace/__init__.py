"""The mapspace of Gemmini's hardware loops: which tiles, orders and buffers may be chosen."""
