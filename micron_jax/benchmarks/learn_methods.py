"""Methods of the motion benchmark: read-outs, controls, flow; each turns pairs into maps."""

import concurrent.futures
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import jax
import numpy as np
from tqdm import tqdm

from micron_jax.benchmarks import learn_flow
from micron_jax.benchmarks.learn_truth import Truth, read_pair
from micron_jax.checkpoints.weights import Weights
from micron_jax.faces.registration import register
from micron_jax.pretrained import MicronBert
from micron_jax.training.state import init_params

BATCH = 16


@dataclass(frozen=True)
class Pairs:
    """Onsets, apexes, and apexes registered onto the onset, uint8 [B, 224, 224, 3] each."""

    onset: np.ndarray
    apex: np.ndarray
    registered: np.ndarray


Method = Callable[[Pairs], dict[str, np.ndarray]]  # returns name -> float32 [B, 28, 28]


def compute(methods: dict[str, Method], truth: Truth, *, label: str) -> dict[str, np.ndarray]:
    """Computes the maps of all clips, float32 [C, 28, 28] each.

    A map's name is that of the method and the name that the method gives it, joined.
    """
    parts: dict[str, list[np.ndarray]] = {}
    batches = [range(n, min(n + BATCH, len(truth))) for n in range(0, len(truth), BATCH)]
    for numbers in tqdm(batches, desc=label, unit=" batches", leave=False):
        pairs = _read(truth, numbers)
        for prefix, method in methods.items():
            for name, maps in method(pairs).items():
                parts.setdefault(prefix + name, []).append(np.asarray(maps, np.float32))
    return {name: np.concatenate(maps) for name, maps in parts.items()}


def read_out(model: MicronBert) -> Method:
    """Returns the maps of a checkpoint: `KIND` of registered frames, `KIND_raw` of raw frames.

    `same_frame` and `release_same_frame` are its default map and the release's of each onset
    against itself, without any motion.
    """
    size = model.config.img_size

    def method(pairs: Pairs) -> dict[str, np.ndarray]:
        onset, apex, registered = (
            _resized(x, size) for x in (pairs.onset, pairs.apex, pairs.registered)
        )
        maps = {}
        for kind in model.map_kinds:
            maps[kind] = _map(model, kind, onset, registered)
            maps[f"{kind}_raw"] = _map(model, kind, onset, apex)
        maps["same_frame"] = _map(model, model.map_kinds[0], onset, onset)
        maps["release_same_frame"] = _map(model, "release", onset, onset)
        return maps

    return method


def one_map(model: MicronBert, kind: str) -> Method:
    """Returns one map of registered frames, with an empty name."""
    size = model.config.img_size

    def method(pairs: Pairs) -> dict[str, np.ndarray]:
        frames = _resized(pairs.onset, size), _resized(pairs.registered, size)
        return {"": _map(model, kind, *frames)}

    return method


def random_model(model: MicronBert, seed: int) -> MicronBert:
    """Returns the same network before any training."""
    params = jax.jit(init_params, static_argnums=0)(model.config, jax.random.key(seed))
    return MicronBert(Weights(model.config, params, {}, np.zeros((1, 0), np.float32), model.info))


def flows(finder: learn_flow.Finder) -> Method:
    """Returns optical flow of registered frames; see `flow_maps` for the names."""
    return functools.partial(_of_each, functools.partial(learn_flow.flow_maps, finder))


def differences(pairs: Pairs) -> dict[str, np.ndarray]:
    """Returns pixel differences of registered frames, and `_raw` of frames as they are."""
    maps = _of_each(learn_flow.difference_maps, pairs)
    raw = Pairs(pairs.onset, pairs.apex, pairs.apex)
    return maps | {f"{k}_raw": v for k, v in _of_each(learn_flow.difference_maps, raw).items()}


def to_grid(maps: np.ndarray) -> np.ndarray:
    """Resizes maps [B, h, w] of a network's own patches to float32 [B, 28, 28]."""
    grid = learn_flow.GRID
    if maps.shape[1:] == (grid, grid):
        return np.asarray(maps, np.float32)
    smooth = cv2.INTER_AREA if maps.shape[1] > grid else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.float32(x), (grid, grid), interpolation=smooth) for x in maps])


def _map(model: MicronBert, kind: str, frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    # The release divides by the largest value of its batch.
    step = 1 if kind == "release" else BATCH
    count = len(frames)
    short = -count % step  # fill up the last batch: another shape would compile again
    frames, reference = (np.concatenate([x, x[:1].repeat(short, 0)]) for x in (frames, reference))
    parts = [
        model.motion_map(frames[n : n + step], reference[n : n + step], kind=kind)
        for n in range(0, len(frames), step)
    ]
    return to_grid(np.concatenate([np.asarray(part) for part in parts])[:count])


def _of_each(make, pairs: Pairs) -> dict[str, np.ndarray]:
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(make, pairs.onset, pairs.registered))
    return {name: np.stack([maps[name] for maps in results]) for name in results[0]}


def _read(truth: Truth, numbers: range) -> Pairs:
    def one(number: int) -> tuple[np.ndarray, ...]:
        onset, apex = read_pair(truth, number)
        return onset, apex, register(apex, onset)[0]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return Pairs(*(np.stack(x) for x in zip(*pool.map(one, numbers), strict=True)))


def _resized(frames: np.ndarray, size: int) -> np.ndarray:
    if frames.shape[1] == size:
        return frames
    smooth = cv2.INTER_AREA if frames.shape[1] > size else cv2.INTER_CUBIC
    return np.stack([cv2.resize(x, (size, size), interpolation=smooth) for x in frames])
