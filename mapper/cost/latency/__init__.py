"""The latency model of hardware loops: load, compute and store times, and the pipeline they form."""
