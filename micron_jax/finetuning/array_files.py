"""Files of arrays in a run's workdir: written whole, and read only as they were written."""

import json
from pathlib import Path

import numpy as np

from micron_jax import npz
from micron_jax.files import write_npz, writing

_NAMES = "names"


def save(path: Path, **arrays) -> None:
    """Writes named arrays; raises `UserError` if they cannot be written."""
    with writing(path):
        write_npz(path, **{_NAMES: json.dumps(sorted(arrays))}, **arrays)


def read(path: Path) -> dict[str, np.ndarray] | None:
    """Reads all arrays of a file; None: there is no file, or it is damaged."""
    try:
        with np.load(path) as file:
            arrays = dict(file)  # their CRC-32 is checked with it
    except npz.DAMAGE:
        return None
    # The contents list of a zip file has no CRC-32; damaged, it may end too early, but not before
    # the first entry, our own list. Files of earlier versions have none.
    names = arrays.pop(_NAMES, None)
    whole = names is None or json.loads(str(names)) == sorted(arrays)
    return arrays if whole else None
