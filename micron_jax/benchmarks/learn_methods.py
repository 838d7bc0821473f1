"""Ways to see motion, each a function of a batch of pairs to maps: read-outs, controls, rivals."""

import concurrent.futures
import functools
import os
from collections.abc import Callable, Iterator
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


Way = Callable[[Pairs], dict[str, np.ndarray]]  # -> name -> float32 [B, 28, 28]


def see(ways: dict[str, Way], truth: Truth, *, label: str) -> dict[str, np.ndarray]:
    """All maps of all clips: name -> float32 [C, 28, 28]; a way named `x` gives `x` + its names."""
    found: dict[str, list[np.ndarray]] = {}
    for pairs in tqdm(list(_numbers(len(truth))), desc=label, unit=" batches", leave=False):
        batch = _read(truth, pairs)
        for prefix, way in ways.items():
            for name, maps in way(batch).items():
                found.setdefault(prefix + name, []).append(np.asarray(maps, np.float32))
    return {name: np.concatenate(maps) for name, maps in found.items()}


def read_out(model: MicronBert) -> Way:
    """Each heat of a checkpoint: `KIND` of registered frames, `KIND_raw` of frames as they are.

    And `same_frame`, `release_same_frame`, the default heat and the release's of each onset
    against itself: no motion at all.
    """
    size = model.config.img_size

    def see_pairs(pairs: Pairs) -> dict[str, np.ndarray]:
        onset, apex, registered = (
            _resized(x, size) for x in (pairs.onset, pairs.apex, pairs.registered)
        )
        maps = {}
        for kind in model.map_kinds:
            maps[kind] = _heat(model, kind, onset, registered)
            maps[f"{kind}_raw"] = _heat(model, kind, onset, apex)
        maps["same_frame"] = _heat(model, model.map_kinds[0], onset, onset)
        maps["release_same_frame"] = _heat(model, "release", onset, onset)
        return maps

    return see_pairs


def one_heat(model: MicronBert, kind: str) -> Way:
    """One heat of registered frames, named with nothing."""
    size = model.config.img_size

    def see_pairs(pairs: Pairs) -> dict[str, np.ndarray]:
        frames = _resized(pairs.onset, size), _resized(pairs.registered, size)
        return {"": _heat(model, kind, *frames)}

    return see_pairs


def random_model(model: MicronBert, seed: int) -> MicronBert:
    """The same network before any training."""
    drawn = jax.jit(init_params, static_argnums=0)(model.config, jax.random.key(seed))
    return MicronBert(Weights(model.config, drawn, {}, np.zeros((1, 0), np.float32), model.info))


def flows(finder: learn_flow.Finder) -> Way:
    """Optical flow of registered frames: `median`, `affine` and so on; see `flow_maps`."""
    return functools.partial(_of_each, functools.partial(learn_flow.flow_maps, finder))


def differences(pairs: Pairs) -> dict[str, np.ndarray]:
    """Pixel differences of registered frames, and `_raw` of frames as they are."""
    maps = _of_each(learn_flow.difference_maps, pairs)
    raw = Pairs(pairs.onset, pairs.apex, pairs.apex)
    return maps | {f"{k}_raw": v for k, v in _of_each(learn_flow.difference_maps, raw).items()}


def to_grid(maps: np.ndarray) -> np.ndarray:
    """Maps [B, h, w] of a network's own patches -> float32 [B, 28, 28]."""
    grid = learn_flow.GRID
    if maps.shape[1:] == (grid, grid):
        return np.asarray(maps, np.float32)
    smooth = cv2.INTER_AREA if maps.shape[1] > grid else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.float32(x), (grid, grid), interpolation=smooth) for x in maps])


def _heat(model: MicronBert, kind: str, frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    # The release divides by the largest value of all that it is given at once.
    step = 1 if kind == "release" else BATCH
    count = len(frames)
    short = -count % step  # the last batch is filled up: another shape would compile once more
    frames, reference = (np.concatenate([x, x[:1].repeat(short, 0)]) for x in (frames, reference))
    parts = [
        model.motion_map(frames[n : n + step], reference[n : n + step], kind=kind)
        for n in range(0, len(frames), step)
    ]
    return to_grid(np.concatenate([np.asarray(part) for part in parts])[:count])


def _of_each(make, pairs: Pairs) -> dict[str, np.ndarray]:
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(make, pairs.onset, pairs.registered))
    return {name: np.stack([maps[name] for maps in made]) for name in made[0]}


def _numbers(count: int) -> Iterator[range]:
    for first in range(0, count, BATCH):
        yield range(first, min(first + BATCH, count))


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
