"""Arrays that must be equal but for rounding; `pytest -s` shows how near they are."""

import numpy as np


def check_close(name: str, array, expected, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Prints the largest difference of two arrays beside the largest number, and bounds it."""
    array, expected = np.asarray(array), np.asarray(expected)
    error = np.nanmax(np.abs(array - expected), initial=0.0)
    largest = np.nanmax(np.abs(expected), initial=0.0)
    print(f"\n{name:<50} error {error:7.1e}, of {largest:7.1e}", end="")
    np.testing.assert_allclose(array, expected, rtol=rtol, atol=atol, err_msg=name)
