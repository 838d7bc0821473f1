"""Arrays of one shape, one after another, that wait on disk instead of in memory."""

import tempfile

import numpy as np


class Rows:
    """Rows of float32, all of the shape of the first; the file is gone when they are."""

    def __init__(self):
        """Opens the file; OSError if there is no room for one."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115, as it lives as long as the array
        self._shape, self._count = (), 0
        self.last = np.zeros((), np.float32)

    def add(self, row: np.ndarray) -> None:
        """Appends a row."""
        self.last = np.ascontiguousarray(row, np.float32)
        self._file.write(self.last.tobytes())
        self._shape, self._count = self.last.shape, self._count + 1

    def array(self) -> np.ndarray:
        """Returns the rows so far, [n, …], which are read from disk where they are looked at."""
        self._file.flush()
        return np.memmap(self._file, np.float32, "r", shape=(self._count, *self._shape))
