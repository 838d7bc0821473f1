"""Evaluation of predictions: metrics, intervals, paired tests, the report."""

import importlib

_HOMES = {
    "Prediction": "prediction",
    "read_predictions": "predictions",
    "summarize": "summary",
    "compare": "significance",
    "write_report": "report",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    # numpy, scipy and jinja2 take a while to import: a help text does not wait for them.
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
