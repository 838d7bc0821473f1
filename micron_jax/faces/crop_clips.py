"""Clips -> folders of aligned face crops, one transform a clip, to be looked at or read by others.

```
OUTPUT/crops.json            settings, and of each clip: transform, landmarks, frames, fps, ...
OUTPUT/<clip>/<n>.jpg        n: the frame's number in the video, or in the image's file name
OUTPUT/<clip>/.crop.json     the clip's entry of crops.json: a clip that has it is finished
OUTPUT/contact_sheet.png     on demand: a tile a clip
```
Two kinds of crop: `ours`, aligned (see `faces`), and `release`, as the PyTorch release reads a
frame (micron_bert.py line 22): all of it resized to a square, nothing detected or aligned.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from micron_jax.errors import UserError
from micron_jax.faces import contact_sheet, crop_folder
from micron_jax.faces import landmarks as faces
from micron_jax.files import sole_writer, write_whole
from micron_jax.video import images

KINDS = ("ours", "release")
QUALITY = 95  # of the JPEGs
SCRATCH = ".incomplete"  # the clip that is being written


def crop(frame: np.ndarray, transform: np.ndarray, size: int, kind: str) -> np.ndarray:
    """uint8 [H, W, 3] -> uint8 [size, size, 3], by one of the `KINDS`."""
    if kind == "release":
        return cv2.resize(frame, (size, size))  # bilinear without a filter: as the release does
    return faces.warp(frame, transform, size)


def whole_frame_transform(width: int, height: int, size: int) -> np.ndarray:
    """[2, 3], from pixels of a frame to pixels of it resized to a square of `size`."""
    x, y = size / width, size / height
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])


def frame_numbers(clip: images.ClipFiles) -> list[int] | None:
    """The numbers in the names of an image folder's files; None: count the frames from 0.

    They are counted for videos too, and where two files have one number, or a file has none.
    """
    if not clip.path.is_dir():
        return None
    numbers = [images.number_in(name) for name in images.frame_names(clip.path)]
    return numbers if len(set(numbers)) == len(numbers) and min(numbers) >= 0 else None


def crop_all(
    source: str | Path,
    output: str | Path,
    *,
    size: int = 224,
    kind: str = "ours",
    sheet: bool = False,
) -> dict[str, Any]:
    """Crops every clip below a folder; finished clips of an earlier run are left as they are.

    Args:
      source: folder of videos and image folders; see `images.find_clips`.
      output: folder to be made, or gone on with.
      size: side of the crops, in pixels.
      kind: one of `KINDS`.
      sheet: make a contact sheet, too.

    Returns:
      What `crops.json` holds, and "fresh": how many clips were cropped just now.

    Raises:
      UserError: no clips, or none that can be used; a setting is out of range; `output` holds
        something else or crops of other settings, lies in `source`, or cannot be written.
    """
    source, output = Path(source), Path(output)
    if not 16 <= size <= 4096:
        raise UserError(f"--size {size}: needed is 16 to 4096")
    if kind not in KINDS:
        raise UserError(f"--crop {kind}: needed is one of {', '.join(KINDS)}")
    clips = images.find_clips(source)
    if output.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"--output {output} lies in --source: it would be taken for clips next time"
        )
    layout = faces.LAYOUT if kind == "ours" else None
    settings = {"crop": kind, "size": size, "layout": layout, "quality": QUALITY}
    detect = faces.all_faces_detector() if kind == "ours" else None
    try:
        busy = f"--output {output}: another run is writing it; wait"
        with sole_writer(output, busy=busy):
            report = crop_folder.earlier(output, settings)
            done = {entry["clip"]: entry for entry in report["clips"]}
            # The settings are there before the first crop is, for the run after one that is killed.
            crop_folder.write_json(output / images.CROPS, report)
            fresh, skipped = _crop_each(clips, output, settings, detect, done)
            if not done:
                (output / images.CROPS).unlink()
                why = "; ".join(f"{skip['clip']}: {skip['reason']}" for skip in skipped[:3])
                raise UserError(
                    f"--source {source}: none of {len(clips)} clips can be used ({why})"
                )
            entries = [done[name] for name in sorted(done)]
            report |= {"clips": entries, "skipped": skipped}
            crop_folder.write_json(output / images.CROPS, report)
            if sheet:
                write_whole(output / images.SHEET, contact_sheet.png(output, entries))
    except OSError as error:
        raise UserError(f"--output {output}: cannot write it: {error.strerror}") from None
    return report | {"fresh": fresh}


def _crop_each(
    clips: list[images.ClipFiles],
    output: Path,
    settings: dict,
    detect: faces.Detector | None,
    done: dict[str, dict],
) -> tuple[int, list[dict]]:
    """Crops the clips that are not `done` and adds them to it; -> (how many, the skipped)."""
    shutil.rmtree(output / SCRATCH, ignore_errors=True)  # of a run that was killed
    places, skipped, left = crop_folder.folders([clip.name for clip in clips]), [], []
    for clip in clips:
        folder = output / places[clip.name]
        entry = crop_folder.finished(folder, clip)
        if entry:
            done[clip.name] = entry
            continue
        if os.path.lexists(folder):
            raise UserError(f"{folder} holds something else; remove it, or name another --output")
        done.pop(clip.name, None)
        left.append(clip)
    lengths = [images.clip_facts(clip)[1] for clip in left]
    with tqdm(total=sum(lengths), unit=" frames", desc="frames", mininterval=1.0) as bar:
        for clip, length in zip(left, lengths, strict=True):
            place = places[clip.name]
            try:
                done[clip.name] = _crop_one(clip, output, place, settings, detect, bar)
            except images.Unreadable as error:
                skipped.append({"clip": clip.name, "reason": str(error)})
                bar.total -= length
                bar.refresh()
    return len(left) - len(skipped), skipped


def _crop_one(
    clip: images.ClipFiles,
    output: Path,
    place: str,
    settings: dict,
    detect: faces.Detector | None,
    bar: tqdm,
) -> dict:
    """Writes a clip's crops, all of them or none; -> its entry.

    Raises:
      Unreadable: not a frame can be read, or none shows a face.
    """
    landmarks, transform, shape = _place_crop(clip, settings, detect)
    scratch, folder = output / SCRATCH, output / place
    scratch.mkdir()
    numbers, dropped, count = frame_numbers(clip), [], 0
    try:
        for index, frame in images.read_frames(clip):
            bar.update()
            number = numbers[index] if numbers else index
            if isinstance(frame, images.Unreadable):
                dropped.append({"frame": number, "reason": str(frame)})
                continue
            square = crop(frame, transform, settings["size"], settings["crop"])
            (scratch / f"{number}.jpg").write_bytes(images.encode_jpeg(square, QUALITY))
            count += 1
        entry = {
            "clip": clip.name,
            "folder": place,
            "frames": count,
            "fps": images.clip_facts(clip)[0],  # null: the files do not say
            "frame_size": [shape[1], shape[0]],
            "crop": settings["crop"],
            "size": settings["size"],
            "landmarks": None if landmarks is None else landmarks.tolist(),
            "transform": transform.tolist(),
            "dropped": dropped,
            "source": crop_folder.facts(clip),
        }
        crop_folder.write_json(scratch / crop_folder.MARK, entry)
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return entry


def _place_crop(
    clip: images.ClipFiles, settings: dict, detect: faces.Detector | None
) -> tuple[np.ndarray | None, np.ndarray, tuple]:
    """(landmarks [5, 2] or None, transform [2, 3], shape of a frame) of a clip."""

    def readable() -> Iterator[np.ndarray]:
        frames = (frame for _, frame in images.read_frames(clip))
        return (frame for frame in frames if not isinstance(frame, images.Unreadable))

    first = next(readable(), None)
    if first is None:
        raise next(images.read_frames(clip))[1]
    height, width, _ = first.shape
    if settings["crop"] == "release":
        return None, whole_frame_transform(width, height, settings["size"]), first.shape
    landmarks = faces.find_landmarks(readable(), detect)
    if landmarks is None:
        raise images.Unreadable("no face")
    return landmarks, faces.canonical_transform(landmarks, settings["size"]), first.shape
