"""Micro-expressions with known truth: pictures of faces -> a data set laid out as CASME II's.

```
OUTPUT/CASME2-coding-20140508.xlsx          Subject, Filename, OnsetFrame, ApexFrame, ...
OUTPUT/CASME2-RAW/sub01/EP01_01/img1.jpg    224 px crops, aligned, 200 frames a second
OUTPUT/truth.json                           a line of facts a clip: split, kind, units, amplitude
OUTPUT/truth/sub01/EP01_01.npz              what moved between the onset's and the apex's frame
```
A truth holds, for the 28 x 28 patches of 8 px of the onset's frame, in px, (x, y): `displacement`
by the expression alone (mean vectors, [28, 28, 2]), `magnitude`, `lowest` and `highest` of its
length in the patch, `distraction` by blinks and turns; `head` [2, 3], the similarity from onset
to apex (in px of the crop); `pose` [T, 4] and `intensity` [T] (see `render.Motion`).
"""

import concurrent.futures
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

from micron_jax.errors import UserError
from micron_jax.files import whole_folder
from micron_jax.synthetic import expressions, people, render
from micron_jax.video import images

SHEET = "CASME2-coding-20140508.xlsx"
HEADER = ("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None)
HEADER += ("Action Units", "Estimated Emotion")
LONG_AGO = datetime.datetime(2000, 1, 1)


@dataclass(frozen=True)
class Task:
    """A clip to be made; `key` is (seed, person's number, clip's number); the rest as in `make`."""

    key: tuple[int, int, int]
    kind: str
    split: str
    person: people.Person
    subject: str
    clip: str
    amplitudes: tuple[float, ...]
    keep: str


def make(
    faces: str | Path,
    output: str | Path,
    *,
    subjects: int | None = None,
    clips: int = 8,
    seed: int = 0,
    amplitudes: Sequence[float] = (),
    split: str | None = None,
    keep: str = "clip",
) -> dict:
    """Makes the data set, whole or not at all; the same arguments make the same bytes.

    Args:
      faces: folder of pictures of faces, searched with all folders below it.
      output: folder to be made.
      subjects: how many people; None: everyone in the pictures.
      clips: of each person; 8 are one of each kind, and two motionless ones.
      seed: of everything drawn, 0 or more.
      amplitudes: how far, in px, an expression moves the face at most, one of these; empty: any
        within `expressions.AMPLITUDE`.
      split: of everyone; None: people are parted into `people.SPLITS`.
      keep: `clip`, all frames, or `pair`, the onset's and the apex's, which is quicker by far.

    Returns:
      What `truth.json` holds.

    Raises:
      UserError: no usable faces or too few; a number out of range; `output` is there already, or
        cannot be written.
    """
    for name, value, least in (("subjects", subjects, 1), ("clips", clips, 1), ("seed", seed, 0)):
        if value is not None and value < least:
            raise UserError(f"--{name} {value}: needed is {least} or more")
    for amplitude in amplitudes:
        if not 0.1 <= amplitude <= 6:
            raise UserError(f"--amplitudes {amplitude:g}: needed are px, 0.1 to 6")
    faces, output = Path(faces), Path(output)
    if output.resolve().is_relative_to(faces.resolve()):
        raise UserError(f"--output {output} lies in --faces: it would be taken for faces next time")
    found, left_out = people.find_people(
        faces, functools.partial(tqdm, desc="pictures", unit=" pictures", leave=False)
    )
    chosen = people.choose(found, subjects, np.random.default_rng([seed, 0]))
    groups = [person.group for person in chosen]
    parted = people.part(groups, np.random.default_rng([seed, 1]))
    splits = [split or part for part in parted]
    tasks = [
        Task(
            (seed, n, c),
            kind,
            splits[n],
            person,
            f"{n + 1:02d}",
            f"EP{c // 10 + 1:02d}_{c % 10 + 1:02d}",
            tuple(amplitudes),
            keep,
        )
        for n, person in enumerate(chosen)
        for c, kind in enumerate(expressions.kinds((seed, n), clips))
    ]
    with whole_folder(output) as folder:
        entries = _make_all(tasks, faces, folder)
        index = {
            "about": "ground truth of synthetic micro-expressions; units are px of a 224 px crop",
            "seed": seed,
            "size": render.SIZE,
            "patch": render.PATCH,
            "fps": expressions.FPS,
            "layout": people.faces.LAYOUT,
            "people": [
                {"subject": f"{n + 1:02d}", "face": person.name, "split": split}
                for n, (person, split) in enumerate(zip(chosen, splits, strict=True))
            ],
            "left_out": left_out,
            "clips": entries,
        }
        (folder / SHEET).write_bytes(sheet(entries))
        text = json.dumps(index, indent=1, ensure_ascii=False)
        (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    return index


def make_clip(task: Task, faces: Path, folder: Path) -> dict:
    """Writes one clip's frames and its truth below `folder`; returns its entry in the index."""
    picture = images.decode_jpeg((faces / task.person.picture).read_bytes())
    canvas, landmarks = render.face_canvas(picture, task.person.landmarks)
    drawn = expressions.draw(task.key, task.kind, task.split, landmarks, task.amplitudes)
    name = f"sub{task.subject}/{task.clip}"
    frames = folder / "CASME2-RAW" / name
    frames.mkdir(parents=True)
    kept = range(drawn.frames) if task.keep == "clip" else (drawn.onset, drawn.apex)
    for t in kept:
        jpeg = render.render_jpeg(canvas, drawn.motion, t, drawn.camera, drawn.noise)
        (frames / f"img{t + 1}.jpg").write_bytes(jpeg)
    truth = folder / "truth" / f"{name}.npz"
    truth.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(truth, **patch_truth(drawn))
    return {
        "clip": name,
        "subject": task.subject,
        "filename": task.clip,
        "split": task.split,
        "emotion": drawn.emotion,
        **drawn.label,
        "onset": drawn.onset + 1,
        "apex": drawn.apex + 1,
        "offset": drawn.offset + 1,
        "frames": len(kept),
    }


def patch_truth(drawn: expressions.Drawn) -> dict[str, np.ndarray]:
    """What a clip's file in `truth` holds; see above. All float32."""
    flow = render.flow(drawn.motion, drawn.onset, drawn.apex)
    length = np.hypot(*np.moveaxis(flow["displacement"], -1, 0))
    return {
        "displacement": render.per_patch(flow["displacement"]),
        "magnitude": render.per_patch(length),
        "lowest": render.per_patch(length, np.min),
        "highest": render.per_patch(length, np.max),
        "distraction": render.per_patch(flow["distraction"]),
        "head": flow["head"].astype(np.float32),
        "pose": drawn.motion.pose.astype(np.float32),
        "intensity": drawn.motion.intensity.astype(np.float32),
    }


def sheet(entries: list[dict]) -> bytes:
    """The coding sheet as an .xlsx file; equal entries give equal bytes."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Sheet1"
    book.active.append(HEADER)
    for entry in entries:
        row = [entry[name] for name in ("subject", "filename", "onset", "apex", "offset")]
        row = [*row[:2], None, *row[2:], None, entry["units"] or None, entry["emotion"]]
        book.active.append(row)
    book.properties.created = LONG_AGO
    written = io.BytesIO()
    book.save(written)
    # openpyxl puts the time of saving into the properties and into every name of the archive.
    repacked = io.BytesIO()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(repacked, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":
                stamp = LONG_AGO.strftime(r"\g<1>%Y-%m-%dT%H:%M:%SZ<").encode()
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*<", stamp, data)
            new.writestr(
                zipfile.ZipInfo(name, LONG_AGO.timetuple()[:6]), data, zipfile.ZIP_DEFLATED
            )
    return repacked.getvalue()


def _make_all(tasks: list[Task], faces: Path, folder: Path) -> list[dict]:
    # Threads: OpenCV and NumPy let go of the interpreter for nearly all of a frame's time.
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    try:
        made = pool.map(lambda task: make_clip(task, faces, folder), tasks)
        return list(tqdm(made, total=len(tasks), desc="clips", unit=" clips"))
    finally:
        pool.shutdown(cancel_futures=True)
