"""Parity with the PyTorch release: live runs of it, recordings, checks layer by layer."""

import importlib

_HOMES = {
    "Check": "recorded",
    "Recording": "recorded",
    "read": "recorded",
    "write": "recorded",
    "record": "live",
    "make_views": "inputs",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
