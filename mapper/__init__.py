"""The compiler: searches mappings, lowers them to programs, runs and reports them; home of the command."""
