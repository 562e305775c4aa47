"""What the mapper asks of a graph: where each operator runs and where its tensors lie in DRAM."""
