"""Micro-expressions in real film, with known truth: films and pictures of faces -> films.

```
OUTPUT/films/NAME.mp4            or .webm, .mkv: the codec tells; the face, with expressions
OUTPUT/films/NAME_control.mp4    the same without the expressions
OUTPUT/truth/NAME.npz            displacement, distraction, landmarks, valid, seconds
OUTPUT/truth.json                an entry a film: source, group, split, kind, codec, expressions
OUTPUT/intervals.csv             onset, apex and offset of every expression
```
The arrays of a truth are those of `film_clips.FilmClip`, displacement and distraction as float16;
frames count from 0, seconds from the first frame.
"""

import csv
import io
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from micron_jax.checks import at_least, choose
from micron_jax.errors import UserError
from micron_jax.faces import landmarks as faces
from micron_jax.files import whole_folder, write_json, write_npz, write_whole
from micron_jax.synthetic import codecs, face_track, film_clips, film_spans, insertion, people
from micron_jax.synthetic.film_sources import Source, find_films, find_persons
from micron_jax.synthetic.still_camera import RATES

SECONDS = (2.0, 8.0)  # length of a clip
COLUMNS = ("film", "onset", "apex", "offset", "onset_frame", "apex_frame", "offset_frame", "kind")
WORKERS = 4
_PLACE, _CODEC, _SPLIT = range(100, 103)  # streams of chance
_SEARCHED = 8  # frames that place the face of a still


@dataclass(frozen=True)
class Settings:
    """What `make_films` was asked for; see there."""

    clips: int
    seed: int
    seconds: float | None
    amplitudes: tuple[float, ...]
    codecs: tuple[str, ...]


def make_films(
    films: str | Path,
    output: str | Path,
    *,
    faces_folder: str | Path | None = None,
    clips: int = 8,
    seed: int = 0,
    seconds: float | None = None,
    amplitudes: Sequence[float] = (),
    codec_names: Sequence[str] = (*codecs.CODECS,),
    split: str | None = None,
) -> dict:
    """Makes the folder, whole or not at all; the same arguments make the same bytes.

    Args:
      films: folder of films, searched with all folders below it; those of one folder are one
        group, which never is in two splits.
      faces_folder: folder of pictures of faces, of which clips are made, too.
      clips: of each film and of each person in a picture.
      seed: of everything drawn, 0 or more.
      seconds: length of the clips; None: any within `SECONDS`.
      amplitudes: px, one of which an expression has; empty: any within 0.25 to 5 px.
      codec_names: of `codecs.CODECS`; a clip goes through one. Other codecs do not change what
        else is drawn.
      split: of everyone; None: groups are divided into `people.SPLITS`.

    Returns:
      The contents of `truth.json`.

    Raises:
      UserError: no usable face in any film; a value out of range; `output` exists, lies in a
        folder of sources or cannot be written.
    """
    at_least("", {"clips": clips, "seed": seed}, clips=1, seed=0)
    for name in codec_names:
        choose("", {"codecs": name}, codecs=codecs.CODECS)
    if seconds is not None and not film_spans.SHORTEST <= seconds <= 60:
        raise UserError(f"seconds={seconds:g}: must lie in {film_spans.SHORTEST:g}..60")
    for amplitude in amplitudes:
        if not 0.1 <= amplitude <= 6:
            raise UserError(f"amplitudes={amplitude:g}: must lie in 0.1..6 px")
    settings = Settings(clips, seed, seconds, tuple(amplitudes), tuple(codec_names))
    films, output = Path(films), Path(output)
    for folder in (films, *([Path(faces_folder)] if faces_folder else [])):
        people.check_outside(output, folder)
    with whole_folder(output) as folder:
        sources, left_out = find_films(films)
        if faces_folder:
            persons, reasons = find_persons(Path(faces_folder), len(sources))
            sources, left_out = sources + persons, left_out + reasons
        splits = people.draw_splits(
            [source.group for source in sources], np.random.default_rng([seed, _SPLIT])
        )
        splits = [split or own for own in splits]
        (folder / "films").mkdir()
        entries = _write_clips(folder, sources, splits, settings)
        entries.sort(key=lambda entry: entry["name"])
        truth = {
            "about": "ground truth of micro-expressions in film; px of a 224 px crop of the face, "
            "frames from 0, seconds from the first frame",
            "seed": seed,
            "size": insertion.SIZE,
            "patch": insertion.PATCH,
            "layout": faces.LAYOUT,
            "films": entries,
            "left_out": left_out,
        }
        write_json(folder / "truth.json", truth)
        write_whole(folder / "intervals.csv", _intervals(entries))
    return truth


def _write_clips(
    folder: Path, sources: list[Source], splits: list[str], settings: Settings
) -> list[dict]:
    """Writes the clips of all sources; returns their entries in `truth.json`."""
    stopping = threading.Event()
    with tqdm(total=len(sources) * settings.clips, desc="clips", unit=" clips") as bar:

        def make(source: Source, split: str) -> list[dict]:
            entries = []
            for name, kind, codec, clip in _clips_of(source, split, settings):
                if stopping.is_set():
                    break
                entries.append(_write(folder, source, split, name, kind, codec, clip))
                bar.update()
            return entries

        # Threads: FFmpeg, OpenCV and NumPy let go of the interpreter. Few: clips are large.
        with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
            try:
                return [entry for some in pool.map(make, sources, splits) for entry in some]
            except BaseException:
                stopping.set()
                raise


def _clips_of(
    source: Source, split: str, settings: Settings
) -> Iterator[tuple[str, str, str, film_clips.FilmClip]]:
    """Yields (name, kind, codec, clip) of a source, in the order of their numbers."""
    number, seed = source.number, settings.seed
    kinds = [source.kinds[n % len(source.kinds)] for n in range(settings.clips)]
    order = np.random.default_rng([seed, number, _CODEC])
    shares = -(-settings.clips // len(settings.codecs))
    chosen = [
        settings.codecs[i] for _ in range(shares) for i in order.permutation(len(settings.codecs))
    ]
    common = {"split": split, "amplitudes": settings.amplitudes}
    rngs = [np.random.default_rng([seed, number, n, _PLACE]) for n in range(settings.clips)]
    names = [f"{number + 1:04d}_{n + 1:02d}_{kind}" for n, kind in enumerate(kinds)]
    if source.film is None:
        picture, points = source.picture()
        for n, kind in enumerate(kinds):
            times = _still_times(settings, rngs[n])
            key = (seed, number, n)
            clip = film_clips.still_clip(
                picture, points, times, key, turning=kind == "head_only", **common
            )
            yield names[n], kind, chosen[n], clip
        return
    spans = [film_spans.draw_span(source.runs, settings.seconds, SECONDS, rng) for rng in rngs]
    spans = [
        span if kind == "film" else replace(span, last=min(span.last, span.first + _SEARCHED - 1))
        for span, kind in zip(spans, kinds, strict=True)
    ]
    detect = faces.all_faces_detector()
    for n, frames, seconds in film_spans.read_spans(source.film, spans):
        kind, key = kinds[n], (seed, number, n)
        track = face_track.follow([detect(frame) for frame in frames], seconds)
        if track is None:
            continue
        if kind == "film":
            clip = film_clips.film_clip(frames, track, seconds, key, **common)
        else:
            times = _still_times(settings, rngs[n])
            points = track.landmarks[0]
            turning = kind == "head_only"
            clip = film_clips.still_clip(frames[0], points, times, key, turning=turning, **common)
        yield names[n], kind, chosen[n], clip


def _still_times(settings: Settings, rng: np.random.Generator) -> np.ndarray:
    length = rng.uniform(*SECONDS) if settings.seconds is None else settings.seconds
    rate = RATES[rng.integers(len(RATES))]
    return np.arange(max(2, round(length * rate))) / rate


def _write(folder: Path, source: Source, split, name, kind, codec, clip) -> dict:
    """Writes a clip, its control and its truth; returns its entry in `truth.json`."""
    suffix = codecs.CODECS[codec].suffix
    paths = {"film": f"films/{name}{suffix}", "control": f"films/{name}_control{suffix}"}
    codecs.write_film(folder / paths["film"], clip.frames, codec, clip.seconds)
    codecs.write_film(folder / paths["control"], clip.control, codec, clip.seconds)
    write_npz(
        folder / "truth" / f"{name}.npz",
        compressed=True,
        displacement=clip.displacement.astype(np.float16),
        distraction=clip.distraction.astype(np.float16),
        landmarks=clip.landmarks,
        valid=clip.valid,
        seconds=clip.seconds,
    )
    height, width = clip.frames.shape[1:3]
    expressions = []
    for each in clip.expressions:
        profile = each.profile
        expressions.append(
            {
                **profile.frames(clip.seconds),
                "onset_seconds": round(profile.onset, 4),
                "apex_seconds": round(profile.apex, 4),
                "offset_seconds": round(profile.offset, 4),
                **each.shape.facts(),
            }
        )
    return {
        "name": name,
        **paths,
        "truth": f"truth/{name}.npz",
        "source": source.name,
        "group": source.group,
        "split": split,
        "kind": kind,
        "codec": codec,
        "fps": round((len(clip.seconds) - 1) / float(clip.seconds[-1]), 3),
        "frames": len(clip.seconds),
        "size": [width, height],
        "expressions": expressions,
    }


def _intervals(entries: list[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        for each in entry["expressions"]:
            seconds = [each[f"{point}_seconds"] for point in ("onset", "apex", "offset")]
            frames = [each[point] for point in ("onset", "apex", "offset")]
            writer.writerow([Path(entry["film"]).name, *seconds, *frames, "micro"])
    return text.getvalue().encode()
