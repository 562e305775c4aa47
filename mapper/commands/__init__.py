"""The subcommands of ``tilewright``, one file each, imported only when called."""
