"""Clips of still faces, from pictures, for a corpus where there is no video."""

from pathlib import Path

from micron_jax.checks import within
from micron_jax.faces import landmarks
from micron_jax.faces.crop import warp
from micron_jax.files import whole_folder
from micron_jax.synthetic import people
from micron_jax.video import image_files

QUALITY = 97


def make_stills(
    pictures: str | Path, output: str | Path, *, size: int = 448, frames: int = 2
) -> tuple[int, list[dict]]:
    """Crops every face of every picture into a folder of its own, whole or not at all.

    A folder holds the crop several times, as a clip in which nothing moves: a corpus makes a pair
    fewer of it than it has frames. A corpus of the crop `whole` takes them as they are.

    Args:
      pictures: folder, searched with all folders below it; see `people.find_people`.
      size: side of the crops, pixels; 224 px of them, whatever the size, show brow to chin.
      frames: of each clip, 2 or more: beside films of hundreds of frames, a still of two would
        hardly be seen.

    Returns:
      (how many faces, [{"face", "reason"}] of those left out).

    Raises:
      UserError: no usable faces; `output` exists, lies in `pictures` or cannot be written.
    """
    pictures, output = Path(pictures), Path(output)
    within("", {"size": size, "frames": frames}, size=(16, 4096), frames=(2, 1000))
    people.check_outside(output, pictures)
    with whole_folder(output) as folder:
        everyone, left_out = people.find_people(pictures)
        for number, person in enumerate(everyone, 1):
            image = image_files.decode_jpeg((pictures / person.picture).read_bytes())
            transform = landmarks.canonical_transform(person.landmarks, size)
            jpeg = image_files.encode_jpeg(warp(image, transform, size), QUALITY)
            clip = folder / f"face_{number:04d}"
            clip.mkdir()
            for frame in range(1, frames + 1):
                (clip / f"img{frame}.jpg").write_bytes(jpeg)
    return len(everyone), left_out
