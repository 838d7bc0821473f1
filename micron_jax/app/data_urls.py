"""Files as text for the page, which may load pictures from `data:` and from nowhere else."""

import base64
import io
import zipfile
from pathlib import Path

import numpy as np

from micron_jax.video.image_files import encode_jpeg


def jpeg_url(image: np.ndarray, quality: int) -> str:
    """A picture, uint8 [H, W, 3], as the data URL of a JPEG."""
    return f"data:image/jpeg;base64,{_base64(encode_jpeg(image, quality))}"


def archive_of(folder: Path) -> str:
    """All files of a folder as a zip in base64; the page takes single ones out of it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:  # they are compressed already
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return _base64(data.getvalue())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
