"""Micro-expressions with known truth: pictures of faces -> a data set laid out as CASME II's.

```
OUTPUT/CASME2-coding-20140508.xlsx          Subject, Filename, OnsetFrame, ApexFrame, ...
OUTPUT/CASME2-RAW/sub01/EP01_01/img1.jpg    224 px crops, aligned, 200 frames a second
OUTPUT/truth.json                           a line of facts a clip: split, kind, units, amplitude
OUTPUT/truth/sub01/EP01_01.npz              the motion from the onset's to the apex's frame
```
A truth's arrays are about the 28 x 28 patches of 8 px of the onset's frame, in px, (x, y):
`displacement` by the expression alone (mean vectors, [28, 28, 2]), `magnitude`, `lowest` and
`highest` of its length in the patch, `distraction` by blinks and turns; `head` [2, 3], the
similarity from onset to apex; `pose` [T, 4] and `intensity` [T] (see `render.Motion`).
"""

import datetime
import functools
import io
import json
import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm
from tqdm.contrib.concurrent import thread_map

from micron_jax.checks import at_least
from micron_jax.errors import UserError
from micron_jax.files import whole_folder, write_npz
from micron_jax.synthetic import expressions, people, render
from micron_jax.video import image_files

SHEET = "CASME2-coding-20140508.xlsx"
HEADER = ("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None)
HEADER += ("Action Units", "Estimated Emotion")
LONG_AGO = datetime.datetime(2000, 1, 1)


@dataclass(frozen=True)
class ClipTask:
    """A clip to be made, all of which is drawn from its key.

    Attributes:
      key: (seed, person's number, clip's number).
      kind: one of `expressions.DECK`.
      person, split: whose face it is, and that person's split.
      amplitudes, pair_only: see `make_dataset`.
    """

    key: tuple[int, int, int]
    kind: str
    person: people.Person
    split: str
    amplitudes: tuple[float, ...] = ()
    pair_only: bool = False

    @property
    def subject(self) -> str:
        """The person as CASME II numbers them: `01`."""
        return f"{self.key[1] + 1:02d}"

    @property
    def filename(self) -> str:
        """The clip as CASME II names them: `EP01_01`."""
        tens, ones = divmod(self.key[2], 10)
        return f"EP{tens + 1:02d}_{ones + 1:02d}"


def make_dataset(
    faces: str | Path,
    output: str | Path,
    *,
    subjects: int | None = None,
    clips: int = 8,
    seed: int = 0,
    amplitudes: Sequence[float] = (),
    split: str | None = None,
    pair_only: bool = False,
) -> dict:
    """Makes the data set, whole or not at all; the same arguments make the same bytes.

    Args:
      faces: folder of pictures of faces, searched with all folders below it.
      subjects: how many people; None: everyone in the pictures.
      clips: of each person; 8 are one of each kind, and two motionless ones.
      seed: of everything drawn, 0 or more.
      amplitudes: how far, in px, an expression moves the face at most, one of these; empty: any
        within `expressions.AMPLITUDE`.
      split: of everyone; None: people are divided into `people.SPLITS`.
      pair_only: write the onset's and the apex's frame of each clip alone, which is quicker by far.

    Returns:
      The contents of `truth.json`.

    Raises:
      UserError: no usable faces or too few; a number out of range; `output` exists, lies in
        `faces` or cannot be written.
    """
    arguments = {"subjects": 1 if subjects is None else subjects, "clips": clips, "seed": seed}
    at_least("", arguments, subjects=1, clips=1, seed=0)
    for amplitude in amplitudes:
        if not 0.1 <= amplitude <= 6:
            raise UserError(f"amplitudes={amplitude:g}: must lie in 0.1..6 px")
    faces, output = Path(faces), Path(output)
    people.check_outside(output, faces)
    with whole_folder(output) as folder:
        everyone, left_out = people.find_people(faces)
        chosen = people.draw_people(everyone, subjects, np.random.default_rng([seed, 0]))
        groups = [person.group for person in chosen]
        splits = people.draw_splits(groups, np.random.default_rng([seed, 1]))
        splits = [split or own for own in splits]
        tasks = [
            ClipTask((seed, n, c), kind, person, splits[n], tuple(amplitudes), pair_only)
            for n, person in enumerate(chosen)
            for c, kind in enumerate(expressions.kinds((seed, n), clips))
        ]
        # Threads: OpenCV and NumPy let go of the interpreter for nearly all of a frame's time.
        bar = {"max_workers": os.cpu_count(), "desc": "clips", "unit": " clips"}
        make = functools.partial(make_clip, faces=faces, folder=folder)
        entries = thread_map(make, tasks, tqdm_class=tqdm, **bar)
        truth = {
            "about": "ground truth of synthetic micro-expressions; units are px of a 224 px crop",
            "seed": seed,
            "size": render.SIZE,
            "patch": render.PATCH,
            "fps": expressions.FPS,
            "layout": people.faces.LAYOUT,
            "people": [
                {"subject": f"{n + 1:02d}", "face": person.name, "split": splits[n]}
                for n, person in enumerate(chosen)
            ],
            "left_out": left_out,
            "clips": entries,
        }
        (folder / SHEET).write_bytes(coding_sheet(entries))
        text = json.dumps(truth, indent=1, ensure_ascii=False)
        (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    return truth


def make_clip(task: ClipTask, faces: Path, folder: Path) -> dict:
    """Writes one clip's frames and its truth below `folder`; returns its entry in `truth.json`."""
    picture = image_files.decode_jpeg((faces / task.person.picture).read_bytes())
    canvas, landmarks = render.face_canvas(picture, task.person.landmarks)
    clip = expressions.draw_clip(task.key, task.kind, task.split, landmarks, task.amplitudes)
    name = f"sub{task.subject}/{task.filename}"
    frames = folder / "CASME2-RAW" / name
    frames.mkdir(parents=True)
    numbers = (clip.onset, clip.apex) if task.pair_only else range(clip.frames)
    for t in numbers:
        frame = render.render(canvas, clip.motion, t, clip.camera, clip.noise)
        jpeg = image_files.encode_jpeg(frame, clip.camera.quality)
        (frames / f"img{t + 1}.jpg").write_bytes(jpeg)
    write_npz(folder / "truth" / f"{name}.npz", compressed=True, **patch_truth(clip))
    return {
        "clip": name,
        "subject": task.subject,
        "filename": task.filename,
        "split": task.split,
        "emotion": clip.emotion,
        **clip.label,
        "onset": clip.onset + 1,
        "apex": clip.apex + 1,
        "offset": clip.offset + 1,
        "frames": len(numbers),
    }


def patch_truth(clip: expressions.Clip) -> dict[str, np.ndarray]:
    """The arrays of a clip's file in `truth`, all float32; see the module."""
    flow = render.flow(clip.motion, clip.onset, clip.apex)
    length = np.hypot(*np.moveaxis(flow["displacement"], -1, 0))
    return {
        "displacement": render.per_patch(flow["displacement"]),
        "magnitude": render.per_patch(length),
        "lowest": render.per_patch(length, np.min),
        "highest": render.per_patch(length, np.max),
        "distraction": render.per_patch(flow["distraction"]),
        "head": flow["head"].astype(np.float32),
        "pose": clip.motion.pose.astype(np.float32),
        "intensity": clip.motion.intensity.astype(np.float32),
    }


def coding_sheet(entries: list[dict]) -> bytes:
    """The coding sheet as an .xlsx file; equal entries give equal bytes."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Sheet1"
    book.active.append(HEADER)
    for entry in entries:
        numbers = entry["onset"], entry["apex"], entry["offset"]
        units = entry["units"] or None
        row = entry["subject"], entry["filename"], None, *numbers, None, units, entry["emotion"]
        book.active.append(row)
    book.properties.created = LONG_AGO
    xlsx = io.BytesIO()
    book.save(xlsx)
    # openpyxl puts the time of saving into the properties and into every name of the archive.
    timeless = io.BytesIO()
    stamp = LONG_AGO.strftime(r"\g<1>%Y-%m-%dT%H:%M:%SZ<").encode()
    with zipfile.ZipFile(xlsx) as old, zipfile.ZipFile(timeless, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*<", stamp, data)
            member = zipfile.ZipInfo(name, LONG_AGO.timetuple()[:6])
            new.writestr(member, data, zipfile.ZIP_DEFLATED)
    return timeless.getvalue()
