"""Public names of a package that are imported when somebody asks for them."""

import importlib
from collections.abc import Callable


def public_names(package: str, **modules: str) -> tuple[Callable, Callable, list[str]]:
    """Returns `__getattr__`, `__dir__` and `__all__` of a package (PEP 562).

    A help text must not wait for jax, OpenCV or matplotlib, which the modules import.

    Args:
      package: its `__name__`.
      modules: of each module of the package its public names, with spaces.
    """
    module_of = {name: module for module, names in modules.items() for name in names.split()}

    def __getattr__(name: str):
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)

    return __getattr__, lambda: sorted(module_of), [*module_of]
