"""Faces: finding and aligning them, cropping frames, registering pairs of frames."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__,
    crop="Crop place_crop",
    landmarks="all_faces_detector find_landmarks",
    crop_clips="crop_all",
    registration="register",
)
