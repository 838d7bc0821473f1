"""Fine-tuning on a benchmark, with an evaluation that tests on unseen subjects only."""

import importlib

_HOMES = {"FinetuneConfig": "config", "finetune": "run"}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:  # jax takes a second to import
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
