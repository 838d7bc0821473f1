"""Extraction from end to end: a checkpoint, inputs, an output that the same call goes on with."""

import dataclasses
import hashlib
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from tqdm import tqdm

from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError
from micron_jax.extraction.store import Store
from micron_jax.extraction.stream import WHAT, Batch, batches, features, make_step
from micron_jax.faces.crop import KINDS, NO_FACE, detector
from micron_jax.faces.crop import settings as crop_settings
from micron_jax.training.sharding import MeshConfig, make_mesh
from micron_jax.video.inputs import InputClip

CHUNK = 32 << 20  # bytes of features that are held before they are written


def extract(
    weights: Weights,
    clips: list[InputClip],
    output: str | Path,
    *,
    what: tuple[str, ...] = ("cls", "pooled"),
    delta: int = 1,
    crop: str = "face",
    dtype: str = "float32",
    batch: int = 32,
) -> dict:
    """Writes features of every frame, or goes on doing so; memory does not grow with the input.

    Args:
      weights: as `checkpoints.load.read` gives them.
      clips: from `inputs.find_inputs` or `inputs.find_in_set`.
      output: `FILE.npz` or `FOLDER.array_record`; see `store`.
      what: some of `stream.WHAT`.
      delta: frames between the two of a pair, of which `dma` is.
      crop: one of `faces.crop.KINDS`.
      dtype: of the computation, `float32` or `bfloat16`; what is written is float32.
      batch: frames at a time, over all devices; made a multiple of their number.

    Returns:
      What the output tells of itself: {"settings", "rows", "pairs", "clips", "skipped",
      "dropped"}, and of this call "fresh", rows that were computed, and "seconds", without the
      first batch, which compiles, for the "timed" rows after it.

    Raises:
      UserError: a setting is out of range; nothing can be used; `output` holds something else or
        cannot be written.
    """
    unknown = set(what) - set(WHAT)
    if unknown or not what:
        raise UserError(f"--what {','.join(what)}: name some of {','.join(WHAT)}")
    for name, value in (("delta", delta), ("batch", batch)):
        if value < 1:
            raise UserError(f"--{name} {value}: needed is 1 or more")
    if crop not in KINDS:
        raise UserError(f"--crop {crop}: needed is one of {', '.join(KINDS)}")
    what = tuple(name for name in WHAT if name in what)
    mesh = make_mesh(MeshConfig())
    batch = -(-batch // mesh.size) * mesh.size
    config = _for_this_machine(weights.config, dtype)
    settings = {
        "what": list(what),
        "delta": delta if "dma" in what else None,
        "dtype": dtype,
        "weights": _digest(weights.params),
        "input": _fingerprint(clips),
        "patch": config.patch_size,
        **crop_settings(crop, config.img_size),
    }
    store = Store(Path(output), settings)
    if (about := store.about()) is not None:
        return about | {"fresh": 0, "timed": 0, "seconds": 0.0}
    detect = detector(crop)
    with store.hold():
        parts = {part: weights.params[part] for part in ("encoder", "dma")}
        params = jax.device_put(parts, NamedSharding(mesh, P()))
        held = delta if "dma" in what else 0
        tokens = (held, 1 + config.grid**2, config.width)
        window = jax.device_put(jnp.zeros(tokens, config.dtype), NamedSharding(mesh, P()))
        start = store.place
        stream = batches(
            clips,
            crop=crop,
            size=config.img_size,
            detect=detect,
            batch=batch,
            delta=delta,
            start=start,
        )
        total = sum(clip.count for clip in clips)
        with tqdm(total=total, initial=start.rows, unit=" frames", desc="frames") as bar:
            done = features(make_step(config, what, mesh), params, window, stream)
            timed, seconds = _write(done, store, delta, "dma" in what, bar)
        if not store.place.rows:
            skipped = store.clear()
            reasons = "; ".join(f"{skip['clip']}: {skip['reason']}" for skip in skipped[:3])
            faceless = any(skip["reason"] == NO_FACE for skip in skipped)
            mend = "; --crop whole takes frames as they are" if faceless else ""
            if len(clips) > 1:
                reasons = f"none of the {len(clips)} inputs can be used ({reasons})"
            raise UserError(f"{reasons}{mend}")
        about = store.finish()
    return about | {"fresh": about["rows"] - start.rows, "timed": timed, "seconds": seconds}


def _write(done, store: Store, delta: int, paired: bool, bar: tqdm) -> tuple[int, float]:
    """Gathers batches into chunks; -> (rows after the first batch, seconds they took)."""
    gathered: list[tuple[Batch, dict]] = []
    began, first, size = None, 0, 0
    for batch, values in done:
        gathered.append((batch, values))
        size += sum(value.nbytes for value in values.values())
        bar.update(len(batch.number))
        if began is None:
            began, first = time.perf_counter(), len(batch.number)
        if size >= CHUNK:
            store.add(*_chunk(gathered, store.place.rows, delta, paired))
            gathered, size = [], 0
    if gathered:
        store.add(*_chunk(gathered, store.place.rows, delta, paired))
    ended = time.perf_counter()
    return bar.n - bar.initial - first, ended - (ended if began is None else began)


def _chunk(gathered: list[tuple[Batch, dict]], before: int, delta: int, paired: bool):
    """(arrays, notes, place) of batches, the first row of which is number `before`."""
    rows = [batch for batch, _ in gathered]
    arrays = {
        "clip": np.array([clip for batch in rows for clip in batch.clip], np.int64),
        "frame": np.array([number for batch in rows for number in batch.number], np.int64),
        "seconds": np.array([second for batch in rows for second in batch.seconds], np.float64),
    }
    for name in gathered[0][1]:
        arrays[name] = np.concatenate([values[name] for _, values in gathered])
    if paired:
        pairs = np.array([pair for batch in rows for pair in batch.paired], bool)
        last = before + np.flatnonzero(pairs)
        arrays["dma"] = arrays["dma"][pairs]
        arrays["dma_rows"] = np.stack([last - delta, last], axis=1)
    notes = {
        name: [entry for batch in rows for entry in getattr(batch, name)]
        for name in ("clips", "skipped", "dropped")
    }
    return arrays, notes, rows[-1].place


def _for_this_machine(config, dtype: str):
    fused = config.attention == "cudnn" and dtype == "bfloat16" and jax.default_backend() == "gpu"
    attention = config.attention if fused or config.attention != "cudnn" else "auto"
    return dataclasses.replace(config, dtype=dtype, attention=attention)


def _digest(params: dict) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        digest.update(np.ascontiguousarray(leaf))
    return digest.hexdigest()


def _fingerprint(clips: list[InputClip]) -> str:
    lines = [f"{clip.name}\t{clip.fps}\t{clip.facts}\n" for clip in clips]
    return hashlib.sha256("".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
