"""Many files, one after the other; the command line and the dock are two faces of it."""
