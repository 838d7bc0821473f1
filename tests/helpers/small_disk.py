"""A disk of a few kB or MB, mounted for a test."""

import contextlib
import subprocess

import pytest


def mount(*arguments) -> bool:
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode == 0


@contextlib.contextmanager
def small_disk(folder, size: str, *, lazily: bool = False):
    """Mounts one on `folder`, which it makes; `lazily` lets go of it while it is still in use."""
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", f"size={size}", "none", folder):
        pytest.skip("only root may mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", *["-l"] * lazily, str(folder)], check=True)
