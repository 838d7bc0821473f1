"""Pretraining: settings, jitted functions, loop, checkpoints and telemetry."""

import importlib

_MODULES = {
    "PretrainConfig": "config",
    "PretrainResult": "loop",
    "parse": "config",
    "pretrain": "loop",
    "read_metrics": "telemetry",
    "read_weights": "checkpoint",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
