"""Published experiments, repeated: one file each, with the published values beside ours."""
