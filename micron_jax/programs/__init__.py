"""One file a command; each has `main(argv) -> int`, the exit status."""
