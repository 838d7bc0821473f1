"""Films, image folders and image files: finding them, and reading their frames."""

import importlib

_MODULES = {
    "ClipFiles": "clip_files",
    "InputClip": "inputs",
    "Unreadable": "image_files",
    "decode_jpeg": "image_files",
    "encode_jpeg": "image_files",
    "find_clips": "clip_files",
    "find_inputs": "inputs",
    "read_frames": "reader",
}
__all__ = [*_MODULES]


def __getattr__(name: str):
    if name in _MODULES:  # OpenCV takes a while to import
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
