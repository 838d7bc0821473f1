"""Spot, then recognize: the class of each candidate, by a checkpoint that `finetune` made."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from micron_jax.faces.crop import detector
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.pieces import Pieces
from micron_jax.video.inputs import InputClip
from micron_jax.video.timing import ASSUMED_FPS
from micron_jax.visualization.cropped_clip import crop_clips


def recognize(model: MicronBert, clip: InputClip, found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The class of each candidate of a film, from its onset and its apex.

    It is empty where nothing moves, or no face is seen.

    Args:
      model: with a classifier; the film is cropped as that was trained.
      found: the candidates, as dicts of `Spotted`.

    Raises:
      UserError: the film has no face.
    """
    if not found:
        return []
    pairs = model.classifier.pairs
    (cropped,) = crop_clips([clip], pairs.crop, pairs.size)
    pieces = Pieces(clip, cropped.crop, detector(pairs.crop), ASSUMED_FPS)
    wanted = {number for one in found for number in one["frames"][:2]}
    frames = itertools.chain.from_iterable(pieces)
    crops = {number: crop for number, _, crop in frames if number in wanted}
    classes = []
    for one in found:  # one by one: however many there are, one compilation
        pair = [crops[number][None] for number in one["frames"][:2] if number in crops]
        (probabilities,) = np.asarray(model.classify(*pair)) if len(pair) == 2 else ([np.nan],)
        if np.isnan(probabilities).any():
            classes.append("")
        else:
            classes.append(model.classifier.classes[int(np.argmax(probabilities))])
    return classes
