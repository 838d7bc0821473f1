"""Clips -> folders of aligned face crops, one transform a clip, to be looked at or read by others.

```
OUTPUT/crops.json            settings, and of each clip: transform, landmarks, frames, fps, ...
OUTPUT/<clip>/<n>.jpg        n: the frame's number in the video, or in the image's file name
OUTPUT/<clip>/.crop.json     the clip's entry of crops.json: a clip that has it is finished
OUTPUT/contact_sheet.png     on demand: a tile a clip
```
The kinds of crop are those of `faces.crop`.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from tqdm import tqdm

from micron_jax.errors import UserError
from micron_jax.faces import contact_sheet, crop_folder
from micron_jax.faces.crop import KINDS, detector, place_crop, settings
from micron_jax.faces.landmarks import Detector
from micron_jax.files import sole_writer, write_whole
from micron_jax.video import clip_files, image_files, reader, timing
from micron_jax.video.timing import frame_numbers

QUALITY = 95  # of the JPEGs
SCRATCH = ".incomplete"  # the clip that is being written


def crop_all(
    source: str | Path,
    output: str | Path,
    *,
    size: int = 224,
    kind: str = "face",
    sheet: bool = False,
) -> dict[str, Any]:
    """Crops every clip below a folder; finished clips of an earlier run are left as they are.

    Args:
      source: folder of videos and image folders; see `clip_files.find_clips`.
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
    clips = clip_files.find_clips(source)
    if output.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"--output {output} lies in --source: it would be taken for clips next time"
        )
    recorded = settings(kind, size) | {"quality": QUALITY}
    detect = detector(kind)
    try:
        busy = f"--output {output}: another run is writing it; wait"
        with sole_writer(output, busy=busy):
            report = crop_folder.earlier(output, recorded)
            done = {entry["clip"]: entry for entry in report["clips"]}
            # The settings are there before the first crop is, for the run after one that is killed.
            crop_folder.write_json(output / clip_files.CROPS, report)
            fresh, skipped = _crop_each(clips, output, recorded, detect, done)
            if not done:
                (output / clip_files.CROPS).unlink()
                why = "; ".join(f"{skip['clip']}: {skip['reason']}" for skip in skipped[:3])
                raise UserError(
                    f"--source {source}: none of {len(clips)} clips can be used ({why})"
                )
            entries = [done[name] for name in sorted(done)]
            report |= {"clips": entries, "skipped": skipped}
            crop_folder.write_json(output / clip_files.CROPS, report)
            if sheet:
                write_whole(output / clip_files.SHEET, contact_sheet.png(output, entries))
    except OSError as error:
        raise UserError(f"--output {output}: cannot write it: {error.strerror}") from None
    return report | {"fresh": fresh}


def _crop_each(
    clips: list[clip_files.ClipFiles],
    output: Path,
    recorded: dict,
    detect: Detector | None,
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
    lengths = [timing.rate_and_length(clip)[1] for clip in left]
    with tqdm(total=sum(lengths), unit=" frames", desc="frames", mininterval=1.0) as bar:
        for clip, length in zip(left, lengths, strict=True):
            place = places[clip.name]
            try:
                done[clip.name] = _crop_one(clip, output, place, recorded, detect, bar)
            except image_files.Unreadable as error:
                skipped.append({"clip": clip.name, "reason": str(error)})
                bar.total -= length
                bar.refresh()
    return len(left) - len(skipped), skipped


def _crop_one(
    clip: clip_files.ClipFiles,
    output: Path,
    place: str,
    recorded: dict,
    detect: Detector | None,
    bar: tqdm,
) -> dict:
    """Writes a clip's crops, all of them or none; -> its entry.

    Raises:
      Unreadable: not a frame can be read, or none shows a face.
    """
    frames = (frame for _, _, frame in reader.read_frames(clip))
    crop = place_crop(frames, recorded["crop"], recorded["size"], detect)
    scratch, folder = output / SCRATCH, output / place
    scratch.mkdir()
    numbers, dropped, count = frame_numbers(clip), [], 0
    try:
        for index, _, frame in reader.read_frames(clip):
            bar.update()
            number = numbers[index] if numbers else index
            if isinstance(frame, image_files.Unreadable):
                dropped.append({"frame": number, "reason": str(frame)})
                continue
            jpeg = image_files.encode_jpeg(crop(frame), QUALITY)
            (scratch / f"{number}.jpg").write_bytes(jpeg)
            count += 1
        entry = {
            "clip": clip.name,
            "folder": place,
            "frames": count,
            "fps": timing.rate_and_length(clip)[0],  # null: the files do not say
            "frame_size": [*crop.frame_size],
            "crop": crop.kind,
            "size": crop.size,
            "landmarks": None if crop.landmarks is None else crop.landmarks.tolist(),
            "transform": crop.transform.tolist(),
            "dropped": dropped,
            "source": crop_folder.facts(clip),
        }
        crop_folder.write_json(scratch / crop_folder.MARK, entry)
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return entry
