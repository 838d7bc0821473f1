"""`python -m micron_jax` is `micron-jax`."""

import sys

from micron_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
