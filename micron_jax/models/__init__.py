"""The networks, as Flax modules of frozen settings."""
