"""Methods of the motion benchmark: read-outs, controls, flow; each turns pairs into answers.

A method is a function of registered pairs that returns, by name, a dict of
`score`, float [B, 28, 28], larger where more moved; `vector`, [B, 28, 28, 2], the displacement of
each patch of the onset until the apex without the motion of the head, px of 224; `scale`,
[B, 28, 28], px, the Laplace scale of its own error. One of the first two must be there: without a
score, patches are ranked by the vectors' lengths.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import jax
import numpy as np
from tqdm import tqdm

from micron_jax.benchmarks import learn_flow
from micron_jax.benchmarks.learn_truth import Truth, read_pair
from micron_jax.checkpoints.weights import Weights
from micron_jax.faces.registration import register, register_crops
from micron_jax.faces.threads import in_threads
from micron_jax.pretrained import MicronBert
from micron_jax.training.state import init_params

BATCH = 16


@dataclass(frozen=True)
class Pairs:
    """Onsets, apexes, and apexes registered onto the onset, uint8 [B, 224, 224, 3] each."""

    onset: np.ndarray
    apex: np.ndarray
    registered: np.ndarray


Answers = dict[str, dict[str, np.ndarray]]
Method = Callable[[Pairs], Answers]


@dataclass(frozen=True)
class Readout:
    """The answer of a method for C clips, float32; see the module."""

    score: np.ndarray
    vector: np.ndarray | None = None
    scale: np.ndarray | None = None


def compute(methods: dict[str, Method], truth: Truth, *, label: str) -> dict[str, Readout]:
    """Computes the answers for all clips; every frame is read once.

    A read-out's name is that of the method and the name that the method gives it, joined.
    """
    parts: dict[str, list[dict[str, np.ndarray]]] = {}
    batches = [range(n, min(n + BATCH, len(truth))) for n in range(0, len(truth), BATCH)]
    for numbers in tqdm(batches, desc=label, unit=" batches", leave=False):
        pairs = _read(truth, numbers)
        for prefix, method in methods.items():
            for name, answer in method(pairs).items():
                parts.setdefault(prefix + name, []).append(answer)
    return {name: _joined(answers) for name, answers in parts.items()}


def read_out(model: MicronBert) -> Method:
    """Returns the maps of a checkpoint: `KIND` of registered frames, `KIND_raw` of raw frames.

    `same_frame` and `release_same_frame` are its default map and the release's of each onset
    against itself, without any motion. The default map comes with the displacement.
    """
    size = model.config.img_size

    def method(pairs: Pairs) -> Answers:
        onset, apex, registered = (
            _resized(x, size) for x in (pairs.onset, pairs.apex, pairs.registered)
        )
        answers = {}
        first, *others = model.map_kinds
        answers[first] = _default(model, onset, registered)
        for kind in others:
            answers[kind] = {"score": _map(model, kind, onset, registered)}
        for kind in model.map_kinds:
            answers[f"{kind}_raw"] = {"score": _map(model, kind, onset, apex)}
        answers["same_frame"] = {"score": _map(model, model.map_kinds[0], onset, onset)}
        answers["release_same_frame"] = {"score": _map(model, "release", onset, onset)}
        return answers

    return method


def displacement(model: MicronBert, onset: np.ndarray, registered: np.ndarray) -> dict:
    """Returns what a checkpoint says of the displacement: {"vector", "scale"}, or nothing.

    Frames uint8 [B, S, S, 3] at the network's size; see the module for the arrays.
    """
    if not model.config.displacement_width:
        return {}
    vector, scale = _in_batches(lambda *frames: model.motion(*frames)[:2], registered, onset, BATCH)
    px = learn_flow.SIZE / onset.shape[1]
    # The components of an error of the Laplace distribution in the plane are 4 / π scales long.
    return {"vector": to_grid(vector) * px, "scale": to_grid(scale) * (px * 4 / np.pi)}


def one_map(model: MicronBert, kind: str) -> Method:
    """Returns one map of registered frames, with an empty name."""
    size = model.config.img_size

    def method(pairs: Pairs) -> Answers:
        frames = _resized(pairs.onset, size), _resized(pairs.registered, size)
        return {"": {"score": _map(model, kind, *frames)}}

    return method


def default_map(model: MicronBert) -> Method:
    """Returns the default map of registered frames and the displacement, with an empty name."""
    size = model.config.img_size

    def method(pairs: Pairs) -> Answers:
        frames = _resized(pairs.onset, size), _resized(pairs.registered, size)
        return {"": _default(model, *frames)}

    return method


def _default(model: MicronBert, onset: np.ndarray, registered: np.ndarray) -> dict:
    """The displacement, whose length is the default map of a model that has one, or that map."""
    return displacement(model, onset, registered) or {
        "score": _map(model, model.map_kinds[0], onset, registered)
    }


def random_model(model: MicronBert, seed: int) -> MicronBert:
    """Returns the same network before any training."""
    params = jax.jit(init_params, static_argnums=0)(model.config, jax.random.key(seed))
    return MicronBert(Weights(model.config, params, {}, np.zeros((1, 0), np.float32), model.info))


def flows(*names: str) -> Method:
    """Returns flows of registered frames with the head's motion, by names in `FINDERS`."""

    def one(onset: np.ndarray, registered: np.ndarray, name: str) -> np.ndarray:
        return learn_flow.motion(learn_flow.FINDERS[name], onset, registered)

    def method(pairs: Pairs) -> Answers:
        count = len(pairs.onset)
        tasks = zip(
            [x for x in pairs.onset for _ in names],
            [x for x in pairs.registered for _ in names],
            names * count,
            strict=True,
        )
        vectors = np.stack([*in_threads(lambda task: one(*task), tasks)])
        vectors = vectors.reshape(count, len(names), *vectors.shape[1:])
        return {name: {"vector": vectors[:, n]} for n, name in enumerate(names)}

    return method


def differences(pairs: Pairs) -> Answers:
    """Returns pixel differences of registered frames, and `_raw` of frames as they are."""
    answers = {}
    for suffix, others in (("", pairs.registered), ("_raw", pairs.apex)):
        both = zip(pairs.onset, others, strict=True)
        results = [*in_threads(lambda pair: learn_flow.difference_maps(*pair), both)]
        for name in results[0]:
            answers[name + suffix] = {"score": np.stack([maps[name] for maps in results])}
    return answers


def to_grid(maps: np.ndarray) -> np.ndarray:
    """Resizes maps [B, h, w] or [B, h, w, 2] of a network's own patches to float32 [B, 28, 28]."""
    grid = learn_flow.GRID
    if maps.shape[1:3] == (grid, grid):
        return np.asarray(maps, np.float32)
    smooth = cv2.INTER_AREA if maps.shape[1] > grid else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.float32(x), (grid, grid), interpolation=smooth) for x in maps])


def _map(model: MicronBert, kind: str, frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    # The release divides by the largest value of its batch.
    step = 1 if kind == "release" else BATCH
    function = functools.partial(model.motion_map, kind=kind)
    return to_grid(_in_batches(function, frames, reference, step))


def _in_batches(function, frames: np.ndarray, reference: np.ndarray, step: int):
    """Returns an array of all frames, or several, of a function that takes `step` of them."""
    count = len(frames)
    short = -count % step  # fill up the last batch: another shape would compile again
    frames, reference = (np.concatenate([x, x[:1].repeat(short, 0)]) for x in (frames, reference))
    parts = [
        function(frames[n : n + step], reference[n : n + step]) for n in range(0, len(frames), step)
    ]
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)


def _joined(answers: list[dict[str, np.ndarray]]) -> Readout:
    arrays = {
        name: np.concatenate([np.asarray(answer[name], np.float32) for answer in answers])
        for name in answers[0]
    }
    if "score" not in arrays:
        arrays["score"] = learn_flow.lengths(arrays["vector"])
    return Readout(**arrays)


def _read(truth: Truth, numbers: range) -> Pairs:
    def registered(item) -> np.ndarray:
        number, (onset, apex) = item
        whole = truth.rigid[number].all()  # else a wall stands still behind the head
        return (register if whole else register_crops)(apex, onset)[0]

    both = [read_pair(truth, number) for number in numbers]
    moved = [*in_threads(registered, zip(numbers, both, strict=True))]
    onsets, apexes = zip(*both, strict=True)
    return Pairs(np.stack(onsets), np.stack(apexes), np.stack(moved))


def _resized(frames: np.ndarray, size: int) -> np.ndarray:
    if frames.shape[1] == size:
        return frames
    smooth = cv2.INTER_AREA if frames.shape[1] > size else cv2.INTER_CUBIC
    return np.stack([cv2.resize(x, (size, size), interpolation=smooth) for x in frames])
