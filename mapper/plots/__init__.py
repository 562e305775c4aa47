"""Pictures of many mappings; `simulator.views` draws those of one run."""
