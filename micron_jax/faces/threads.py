"""Threads, of OpenCV and of our own beside them."""

import concurrent.futures
import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import cv2

T, Result = TypeVar("T"), TypeVar("Result")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keeps OpenCV on one thread, for work that is dealt out to as many as there are cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def in_threads(function: Callable[[T], Result], items: Iterable[T]) -> Iterator[Result]:
    """Yields function(item) in the order of the items, from a thread for each core.

    Items are read a few ahead, four for each core, so that any number of them needs little memory.
    """
    count = os.cpu_count() or 1
    with one_thread(), concurrent.futures.ThreadPoolExecutor(count) as pool:
        ahead: deque[concurrent.futures.Future] = deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) > 4 * count:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
