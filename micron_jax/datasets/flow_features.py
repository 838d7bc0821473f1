"""Optical flow of a built set's clips, as the recognition networks of the field read it.

u, v and strain of each clip, pooled to 28 × 28 px: an `.npz` of numbers, or a folder of pictures
(STSTNet, HTNet, CausalNet) whose channels are stretched, each from its least to its largest value.
"""

import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from micron_jax.checks import choose
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.clips import built_keep, describe_clips, open_clips
from micron_jax.datasets.face_pairs import one_pair
from micron_jax.datasets.synthetic_names import marked
from micron_jax.errors import UserError
from micron_jax.faces.crop import KINDS, detector
from micron_jax.faces.flow import METHODS, gray_of, strain
from micron_jax.faces.registration import register
from micron_jax.files import whole_folder, write_json, write_npz, write_whole, writing
from micron_jax.locks import sole_writer
from micron_jax.video.image_files import Unreadable

SIDE = 28  # px, of the results
CROP = 224  # px, of the face crops that flow is measured on, and its unit
PHASES = {
    "onset-apex": ("onset_apex",),
    "apex-offset": ("apex_offset",),
    "both": ("onset_apex", "apex_offset"),
}


@dataclasses.dataclass(frozen=True)
class FlowConfig:
    """Settings of the flow.

    Attributes:
      method: one of `faces.flow.METHODS`.
      phases: `onset-apex`, `apex-offset` or `both`.
      crop: one of `faces.crop.KINDS`.
      registered: move the later frame onto the earlier one and match its light first.
    """

    method: str = "tvl1"
    phases: str = "onset-apex"
    crop: str = "face"
    registered: bool = False

    def __post_init__(self):
        choose("", self, method=METHODS, phases=PHASES, crop=KINDS)


def write_flow(
    data_dir: Path,
    name: str,
    output: Path,
    config: FlowConfig,
    *,
    progress: Callable = lambda numbers: numbers,
) -> int:
    """Writes the flow of all clips of a built set, whole or not at all; goes on where it stopped.

    Args:
      output: `FILE.npz` for `set, clip, subject, label` [n] and `x`, float32 [n, 28, 28, 3 P] (u
        and v in px of a 224 px crop, and strain, of each of P phases); else a folder for
        `PHASE/SET/CLIP.png`, 28 × 28 px, RGB = u, v, strain, and `clips.csv`.
      progress: wraps the numbers of the clips, as `tqdm` does.

    Returns:
      The number of clips.

    Raises:
      UserError: no such set is built; it lacks the frames; a frame cannot be read; the output
        exists, or cannot be written.
    """
    source, samples = open_clips(data_dir, name)
    if describe_clips(data_dir, name).get("synthetic"):
        samples = [dataclasses.replace(one, dataset=marked(one.dataset)) for one in samples]
    phases = PHASES[config.phases]
    if phases != ("onset_apex",) and built_keep(data_dir, name) == "pair":
        raise UserError(
            f"{name} in {data_dir} holds onset and apex alone; for apex to offset build it with "
            "all frames (keep: clip)"
        )
    if output.exists():
        raise UserError(f"{output} exists; remove it, or name another")
    parts = output.with_name(f".{output.name}.parts")
    busy = f"{output}: another run is writing it; wait for its end"
    with writing(output), sole_writer(parts, busy=busy):
        facts = [f"{sample} {sample.split}" for sample in samples]
        settings = json.dumps([dataclasses.asdict(config), facts])
        _claim(parts, settings)
        detect = detector(config.crop)
        for number in progress(range(len(samples))):
            path = parts / f"{number:06}.npz"
            if not path.exists():
                maps = _maps(samples[number], source[number], config, phases, detect)
                write_npz(path, maps=maps)
        arrays = [np.load(parts / f"{n:06}.npz")["maps"] for n in range(len(samples))]
        if output.suffix == ".npz":
            _write_arrays(output, samples, np.stack(arrays))
        else:
            with whole_folder(output) as folder:
                _write_pictures(folder, samples, arrays, phases)
    shutil.rmtree(parts, ignore_errors=True)
    return len(samples)


def _claim(parts: Path, settings: str) -> None:
    """Removes what an earlier run with other settings, or of another set, has left."""
    path = parts / "settings.json"
    if path.exists() and json.loads(path.read_text("utf-8")) == settings:
        return
    for old in parts.glob("*.npz"):
        old.unlink()
    write_json(path, settings)


def _maps(
    sample: Sample, record: Mapping[str, Any], config: FlowConfig, phases: tuple[str, ...], detect
) -> np.ndarray:
    """u, v and strain of each phase of a clip, float32 [P, 28, 28, 3]."""
    ends = {"onset_apex": (sample.onset, sample.apex), "apex_offset": (sample.apex, sample.offset)}
    maps = []
    for phase in phases:
        first, last = ends[phase]
        pair = dataclasses.replace(sample, onset=first, apex=last)
        try:
            frame, other = one_pair(pair, record, size=CROP, crop=config.crop, detect=detect)
        except Unreadable as error:
            reason = str(error).replace("config.data.crop=whole", "the crop `whole`")
            raise UserError(f"{sample.dataset} {sample.clip}: {reason}") from None
        if config.registered:
            other = register(other, frame)[0]
        maps.append(flow_maps(METHODS[config.method](gray_of(frame), gray_of(other))))
    return np.stack(maps)


def flow_maps(flow: np.ndarray) -> np.ndarray:
    """Returns u, v and strain, means of the parts of a flow: [H, W, 2] -> float32 [28, 28, 3]."""
    channels = np.dstack([flow, strain(flow)]).astype(np.float32)
    return cv2.resize(channels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def stretched(maps: np.ndarray) -> np.ndarray:
    """Returns maps [28, 28, 3] as a picture, uint8: each channel from its least to its largest."""
    low, high = maps.min((0, 1)), maps.max((0, 1))
    span = np.where(high > low, high - low, 1)
    return np.rint(255 * (maps - low) / span).astype(np.uint8)


def _write_arrays(output: Path, samples: list[Sample], maps: np.ndarray) -> None:
    """The file that fine-tuning takes as `config.features`."""
    count, phases = maps.shape[:2]
    x = np.moveaxis(maps, 1, 3).reshape(count, SIDE, SIDE, 3 * phases)
    texts = {"set": "dataset", "clip": "clip", "subject": "subject", "label": "emotion"}
    columns = {
        name: np.array([getattr(sample, field) for sample in samples], str)
        for name, field in texts.items()
    }
    write_npz(output, **columns, x=x)


def _write_pictures(
    folder: Path, samples: list[Sample], arrays: list[np.ndarray], phases: tuple[str, ...]
) -> None:
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "set", "clip", "subject", "label"])
    files = set()
    for sample, maps in zip(samples, arrays, strict=True):
        name = f"{sample.dataset}/{sample.clip.replace('/', '_').replace(chr(92), '_')}.png"
        if name.casefold() in files:
            raise UserError(f"{name}: two clips would have this file; name the clips otherwise")
        files.add(name.casefold())
        writer.writerow([name, sample.dataset, sample.clip, sample.subject, sample.emotion])
        for phase, values in zip(phases, maps, strict=True):
            path = folder / phase / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = cv2.imencode(".png", stretched(values)[..., ::-1])[1]
            write_whole(path, picture.tobytes())
    write_whole(folder / "clips.csv", table.getvalue().encode())
