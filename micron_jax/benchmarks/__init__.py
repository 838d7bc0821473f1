"""Measurements a user can repeat; a file each, behind `micron-jax bench NAME`."""
