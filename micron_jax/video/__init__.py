"""Films, image folders and image files: finding them, and reading their frames."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__,
    clip_files="ClipFiles find_clips",
    inputs="InputClip find_inputs",
    image_files="Unreadable decode_jpeg encode_jpeg",
    reader="read_frames",
)
