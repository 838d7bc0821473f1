"""Threads of OpenCV."""

import contextlib
from collections.abc import Iterator

import cv2


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keeps OpenCV on one thread, for work that is dealt out to as many as there are cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
