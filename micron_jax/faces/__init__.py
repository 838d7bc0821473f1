"""Faces: finding and aligning them, cropping frames, registering pairs of frames."""

import importlib

_MODULES = {
    "Crop": "crop",
    "all_faces_detector": "landmarks",
    "crop_all": "crop_clips",
    "find_landmarks": "landmarks",
    "place_crop": "crop",
    "register": "registration",
}
__all__ = [*_MODULES]


def __getattr__(name: str):
    if name in _MODULES:  # OpenCV takes a while to import
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
