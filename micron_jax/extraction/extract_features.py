"""Extraction of features from clips into an output, which the same call goes on with."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from tqdm import tqdm

from micron_jax.checkpoints.weights import Weights, digest
from micron_jax.checks import at_least, choose
from micron_jax.errors import UserError
from micron_jax.extraction.batches import Batch, make_batches
from micron_jax.extraction.output import NOTES, Output
from micron_jax.extraction.pairing import Pairing
from micron_jax.extraction.step import FEATURES, compute_features, make_step
from micron_jax.faces import crop as crops
from micron_jax.training.sharding import MeshConfig, make_mesh
from micron_jax.video.inputs import InputClip

PART_BYTES = 32 << 20  # of features that are gathered before they are written


def extract(
    weights: Weights,
    clips: list[InputClip],
    output: str | Path,
    *,
    what: tuple[str, ...] = ("cls", "pooled"),
    delta: int = 1,
    delta_seconds: float | None = None,
    crop: str = "face",
    dtype: str = "float32",
    batch: int = 32,
) -> dict:
    """Writes features of every frame, or goes on doing so; memory does not grow with the input.

    Args:
      weights: of a checkpoint.
      clips: from `find_inputs` or `find_in_set`.
      output: `FILE.npz` or `FOLDER.array_record`; see `extraction.output`.
      what: some of `step.FEATURES`.
      delta: frames between the two of a pair, of which `dma` is.
      delta_seconds: seconds between them, in place of it; see `Pairing`.
      crop: one of `faces.crop.KINDS`.
      dtype: of the computation, `float32` or `bfloat16`; the output is float32.
      batch: frames at a time, over all devices; made a multiple of their number.

    Returns:
      The description in the output: {"settings", "rows", "pairs", "pair_seconds": the least and
      the most that two frames of a pair are apart, None where unknown, "clips", "skipped",
      "dropped", "identical": clips in which nothing changes, "pairless": clips that give no pair},
      and of this call "fresh", rows that were computed, and "seconds", without the first batch,
      which compiles, for the "timed" rows after it.

    Raises:
      UserError: a setting is out of range; nothing can be used; `output` holds something else or
        cannot be written.
    """
    if set(what) - set(FEATURES) or not what:
        raise UserError(f"what={','.join(what)}: name some of {','.join(FEATURES)}")
    if "dma" in what and "dma" not in weights.params:
        raise UserError("what=dma: the checkpoint is an encoder without micro-attention")
    at_least("", {"batch": batch}, batch=1)
    pairing = Pairing(delta, delta_seconds)
    choose("", {"crop": crop}, crop=crops.KINDS)
    what = tuple(name for name in FEATURES if name in what)
    mesh = make_mesh(MeshConfig())
    batch_size = -(-batch // mesh.size) * mesh.size
    config = weights.config.computed_in(dtype)
    settings = {
        "what": list(what),
        "delta": delta if "dma" in what and delta_seconds is None else None,
        "delta_seconds": delta_seconds if "dma" in what else None,
        "dtype": dtype,
        "weights": digest(weights.params),
        "input": _fingerprint(clips),
        "patch": config.patch_size,
        **crops.settings(crop, config.img_size),
    }
    rows = Output(Path(output), settings, pairing if "dma" in what else None)
    if (about := rows.about()) is not None:
        return about | {"fresh": 0, "timed": 0, "seconds": 0.0}
    detect = crops.detector(crop)
    with rows.opened():
        replicated, start = NamedSharding(mesh, P()), rows.place
        parts = {
            part: weights.params[part] for part in ("encoder", "dma") if part in weights.params
        }
        params = jax.device_put(parts, replicated)
        reach = pairing.reach(clips) if "dma" in what else 0
        shape = (reach, 1 + config.grid**2, config.width)
        window = jax.device_put(jnp.zeros(shape, config.dtype), replicated)
        batches = make_batches(
            clips,
            crop=crop,
            size=config.img_size,
            detect=detect,
            batch_size=batch_size,
            pairing=pairing,
            start=start,
        )
        features = compute_features(make_step(config, what, mesh), params, window, batches)
        total = sum(clip.count for clip in clips)
        with tqdm(total=total, initial=start.rows, unit=" frames", desc="frames") as bar:
            timed, seconds = _write(features, rows, bar)
        if not rows.place.rows:
            raise UserError(_no_rows(rows.clear(), len(clips)))
        about = rows.finish()
    return about | {"fresh": about["rows"] - start.rows, "timed": timed, "seconds": seconds}


def _no_rows(skipped: list[dict], clips: int) -> str:
    reasons = "; ".join(f"{skip['clip']}: {skip['reason']}" for skip in skipped[:3])
    if clips > 1:
        reasons = f"none of the {clips} inputs can be used ({reasons})"
    faceless = any(skip["reason"] == crops.NO_FACE for skip in skipped)
    return f"{reasons}; whole frames need none (crop=whole)" if faceless else reasons


def _write(features: Iterator[tuple[Batch, dict]], output: Output, bar: tqdm) -> tuple[int, float]:
    """Gathers batches into parts; returns (rows after the first batch, seconds they took)."""
    gathered, began, first, size = [], None, 0, 0
    for batch, values in features:
        gathered.append((batch, values))
        size += sum(value.nbytes for value in values.values())
        bar.update(len(batch.number))
        if began is None:
            began, first = time.perf_counter(), len(batch.number)
        if size >= PART_BYTES:
            output.add(*_part(gathered, output.place.rows))
            gathered, size = [], 0
    if gathered:
        output.add(*_part(gathered, output.place.rows))
    ended = time.perf_counter()
    return bar.n - bar.initial - first, ended - (ended if began is None else began)


def _part(gathered: list[tuple[Batch, dict]], before: int) -> tuple:
    """Returns (arrays, notes, place) of batches, the first row of which is number `before`."""
    batches = [batch for batch, _ in gathered]

    def column(name: str) -> list:
        return [entry for batch in batches for entry in getattr(batch, name)]

    arrays = {
        "clip": np.array(column("clip"), np.int64),
        "frame": np.array(column("number"), np.int64),
        "seconds": np.array(column("seconds"), np.float64),
    }
    for name in gathered[0][1]:
        arrays[name] = np.concatenate([values[name] for _, values in gathered])
    notes = {name: column(name) for name in NOTES}
    if "dma" in arrays:
        back = np.array(column("back"), np.int64)
        last = np.flatnonzero(back)
        arrays["dma"] = arrays["dma"][last]
        arrays["dma_rows"] = before + np.stack([last - back[last], last], axis=1)
        notes["paired"] = np.unique(arrays["clip"][last]).tolist()
    if apart := [seconds for seconds in column("apart") if seconds == seconds]:
        notes["pair_seconds"] = [min(apart), max(apart)]
    return arrays, notes, batches[-1].place


def _fingerprint(clips: list[InputClip]) -> str:
    lines = [f"{clip.name}\t{clip.fps}\t{clip.facts}\n" for clip in clips]
    return hashlib.sha256("".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
