"""Pictures and traces of one run."""
