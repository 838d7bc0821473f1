"""Clips of a built benchmark as inputs, beside videos and image folders."""

from pathlib import Path

from micron_jax.datasets.clips import built_keep, open_clips
from micron_jax.errors import UserError
from micron_jax.video.image_files import Unreadable, decode_jpeg
from micron_jax.video.inputs import InputClip
from micron_jax.video.reader import Frames, of_one_size


def find_in_set(data_dir: str | Path, name: str, clip: str | None = None) -> list[InputClip]:
    """The clips of a built benchmark, or one of them.

    Raises:
      UserError: no such set is built there, or it has no such clip.
    """
    source, samples = open_clips(data_dir, name)
    pairs = built_keep(data_dir, name) == "pair"

    def read(number: int) -> Frames:
        sample, frames = samples[number], source[number]["frames"]
        for frame, data in zip(frames["number"], frames["image"], strict=True):
            try:
                image = decode_jpeg(data)
            except Unreadable as error:
                image = error
            yield int(frame), int(frame) / sample.fps, image

    chosen = [n for n, sample in enumerate(samples) if clip in (None, sample.clip)]
    if not chosen:
        some = ", ".join(sample.clip for sample in samples[:3])
        raise UserError(f"--clip {clip}: no such clip in {name}; it has {some}, ...")
    return [
        InputClip(
            name=f"{name}/{sample.clip}",
            fps=sample.fps,
            count=2 if pairs else sample.offset - sample.onset + 1,
            facts=f"{sample.onset} {sample.apex} {sample.offset}",
            read=lambda number=number: of_one_size(read(number)),
            stride=max(1, sample.apex - sample.onset) if pairs else 1,
        )
        for number, sample in ((number, samples[number]) for number in chosen)
    ]
