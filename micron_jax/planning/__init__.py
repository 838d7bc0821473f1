"""Needs of a pretraining on machines that are not here: memory, arithmetic, time."""

import importlib

_MODULES = {
    "CHIPS": "chips",
    "compile_step": "steps",
    "devices_of": "steps",
    "estimate_step": "steps",
    "largest_batch": "batch",
    "make_report": "report",
    "parse_topology": "chips",
    "prepare": "steps",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
