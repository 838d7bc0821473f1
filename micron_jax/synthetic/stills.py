"""Pictures of faces -> clips of a still face, for a corpus where there is no video."""

import functools
from pathlib import Path

from tqdm import tqdm

from micron_jax.errors import UserError
from micron_jax.faces import landmarks
from micron_jax.files import whole_folder
from micron_jax.synthetic import people
from micron_jax.video import images

QUALITY = 97


def make(pictures: str | Path, output: str | Path, *, size: int = 448) -> tuple[int, list[dict]]:
    """Crops every face of every picture into a folder of its own, whole or not at all.

    A folder holds the crop twice: two frames are the shortest clip, of which a corpus makes one
    pair. `data build frames --crop whole` takes them as they are.

    Args:
      pictures: folder, searched with all folders below it; see `people.find_people`.
      output: folder to be made.
      size: side of the crops, pixels; 224 px of them, whatever the size, show brow to chin.

    Returns:
      (how many faces, [{"face", "reason"}] of those left out).

    Raises:
      UserError: no usable faces; `output` is there already, or cannot be written.
    """
    pictures, output = Path(pictures), Path(output)
    if not 16 <= size <= 4096:
        raise UserError(f"--size {size}: needed is 16 to 4096")
    if output.resolve().is_relative_to(pictures.resolve()):
        raise UserError(f"--output {output} lies in --faces: it would be taken for faces next time")
    bar = functools.partial(tqdm, desc="pictures", unit=" pictures", leave=False)
    found, left_out = people.find_people(pictures, bar)
    with whole_folder(output) as folder:
        for number, person in enumerate(found, 1):
            image = images.decode_jpeg((pictures / person.picture).read_bytes())
            crop = landmarks.warp(
                image, landmarks.canonical_transform(person.landmarks, size), size
            )
            clip = folder / f"face_{number:04d}"
            clip.mkdir()
            for frame in (1, 2):
                (clip / f"img{frame}.jpg").write_bytes(images.encode_jpeg(crop, QUALITY))
    return len(found), left_out
