"""The computations that can be exported: their inputs and outputs, and the function of each."""

import dataclasses
from collections.abc import Callable

from micron_jax import functions
from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.weights import Weights
from micron_jax.checks import choose
from micron_jax.data.views import IMAGENET
from micron_jax.errors import UserError

BATCH = "B"  # stands for any number of frames in a shape
WHAT = ("features", "motion", "classify")
_FACE = "RGB, 0 to 255: square crops of faces, as the training had them"


@dataclasses.dataclass(frozen=True)
class Array:
    """An input or an output: its name, its shape with `BATCH` in it, dtype, unit and meaning."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    unit: str
    meaning: str


@dataclasses.dataclass(frozen=True)
class Computation:
    """A function of uint8 frames that holds its weights.

    Attributes:
      function: arrays in the order of `inputs` -> an array, or a tuple of them.
      facts: what else a user must know of it, as JSON holds it.
    """

    what: str
    function: Callable
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    facts: dict

    def described(self) -> dict:
        """The computation without its function, as JSON holds it."""
        mean, deviation = IMAGENET
        arrays = {
            name: [dataclasses.asdict(array) for array in getattr(self, name)]
            for name in ("inputs", "outputs")
        }
        inside = {"inside": True, "mean": mean, "deviation": deviation, "of": "frames / 255"}
        return {"what": self.what, **arrays, "normalization": inside, **self.facts}


def computation(weights: Weights, classifier: Classifier | None, what: str) -> Computation:
    """A computation of a checkpoint.

    Args:
      what: `features`, the encoder's patch tokens of a frame; `motion`, the displacement of each
        patch and the scale of its error where the checkpoint has a displacement branch, and else
        its first map of `MicronBert.motion_map`; `classify`, probabilities of its classes.

    Raises:
      UserError: there is no such computation, or the checkpoint has no classifier.
    """
    choose("", {"what": what}, what=WHAT)
    if what == "classify":
        return _classify(weights, classifier)
    config, params = weights.config, weights.params
    frames = _frames("frames", config.img_size, _FACE)
    if what == "features":
        tokens = (BATCH, config.grid**2, config.width)
        meaning = "tokens of the patches, row by row over the face"
        return Computation(
            what,
            lambda x: functions.features(config, params, x),
            (frames,),
            (Array("tokens", tokens, "float32", "", meaning),),
            {},
        )
    pair = frames, _frames("reference", config.img_size, "a frame of the same face before it")
    grid = (BATCH, config.grid, config.grid)
    if config.displacement_width:
        moved = "motion (x, y) of each patch of the reference until the frame, without the head's"
        half = "scale of its error: half of the errors are shorter than 1.68 times that"
        return Computation(
            what,
            lambda x, y: functions.motion(config, params, x, y)[:2],
            pair,
            (
                Array("displacement", (*grid, 2), "float32", "px", moved),
                Array("scale", grid, "float32", "px", half),
            ),
            {"map": "displacement"},
        )
    kind = functions.map_kinds(params)[0]
    return Computation(
        what,
        lambda x, y: functions.motion_map(config, params, x, y, kind=kind),
        pair,
        (Array("motion", grid, "float32", "", f"{kind} map; larger is more motion"),),
        {"map": kind},
    )


def _classify(weights: Weights, classifier: Classifier | None) -> Computation:
    if classifier is None:
        raise UserError(
            "what='classify': the checkpoint has no classifier; `micron-jax finetune` makes one"
        )
    pairs = classifier.pairs
    registered = ", registered onto the onset" if pairs.registered else ""
    probabilities = Array(
        "probabilities",
        (BATCH, len(classifier.classes)),
        "float32",
        "",
        "of the classes; NaN where nothing moved above the noise: no class",
    )
    return Computation(
        "classify",
        lambda x, y: functions.classify(weights.config, weights.params, classifier, x, y),
        (
            _frames("onset", pairs.size, f"{_FACE} (crop: {pairs.crop})"),
            _frames("apex", pairs.size, f"of the same clip and crop{registered}"),
        ),
        (probabilities,),
        {
            "classes": list(classifier.classes),
            "pairs": dataclasses.asdict(pairs),
            "evidence": dict(classifier.evidence),
        },
    )


def _frames(name: str, size: int, meaning: str) -> Array:
    return Array(name, (BATCH, size, size, 3), "uint8", "", meaning)
