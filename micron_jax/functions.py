"""Pure functions of a network's parameters and of frames, to wrap, transform or export.

`MicronBert` gives the same as methods. Parameters are `MicronBert.params`, or the `params` of
`checkpoints.read`; frames are RGB, uint8 [B, H, W, 3], as `MicronBert` takes them. Nothing here is
compiled or checked, so that each function goes into a `jax.jit`, `jax.grad` or `jax.vmap` of the
user's own, into `flax.nnx`, and into `export`.
"""

import jax
import jax.numpy as jnp

from micron_jax.checkpoints.classifier import Classifier
from micron_jax.data.views import normalize
from micron_jax.faces.parts import oval
from micron_jax.models import classifier as classifiers
from micron_jax.models.config import ModelConfig
from micron_jax.models.micron_bert import MAP_KINDS, bound
from micron_jax.models.motion import Motion


def features(config: ModelConfig, params: dict, frames):
    """The encoder's patch tokens: [B, H, W, 3] -> float32 [B, N, D]."""
    return bound(config, params).encode(normalize(frames))[:, 1:].astype(jnp.float32)


def map_kinds(params: dict) -> tuple[str, ...]:
    """The kinds of `motion_map`, of tokens, that parameters have, the one to show first."""
    return MAP_KINDS if "dma" in params else ("cosine",)


def motion_map(config: ModelConfig, params: dict, frames, reference, *, kind: str):
    """Maps of the motion of each patch against a reference frame, by tokens; larger is more.

    Args:
      frames, reference: [B, H, W, 3].
      kind: one of `map_kinds`, see `MicronBertModule.motion_map`.

    Returns:
      float32 [B, H / patch, W / patch].

    Raises:
      ValueError: no such kind.
    """
    network = bound(config, params)
    tokens = [network.encode(normalize(x)) for x in (frames, reference)]
    rows, columns = (side // config.patch_size for side in frames.shape[1:3])
    return network.motion_map(*tokens, kind).reshape(frames.shape[0], rows, columns)


def motion(config: ModelConfig, params: dict, frames, reference) -> Motion:
    """The motion of each patch of a reference until another frame, [B, H, W, 3] twice.

    Of a network with a displacement branch; see `Motion`.
    """
    return bound(config, params).motion(normalize(frames), normalize(reference))


def classify(config: ModelConfig, params: dict, classifier: Classifier, onset, apex):
    """Probabilities of a classifier's classes, of frames cropped and registered as its `pairs` say.

    Args:
      onset, apex: [B, S, S, 3].

    Returns:
      float32 [B, C]; NaN where `nothing_moved`: there is no class.
    """
    settings = config, classifier.config, len(classifier.classes), params, classifier.params
    probabilities = classifiers.classify(*settings, normalize(onset), normalize(apex))
    still = nothing_moved(config, params, onset, apex, faces=classifier.pairs.crop == "face")
    return jnp.where(still[:, None], jnp.nan, probabilities)


def nothing_moved(config: ModelConfig, params: dict, onset, apex, *, faces: bool) -> jax.Array:
    """If nothing moved between onset and apex, [B, H, W, 3] twice: bool [B].

    Two equal frames; of a network with a displacement branch also frames between which no patch is
    displaced by more than the noise floor (`Motion.floor`).

    Args:
      faces: the frames are aligned faces, and only patches of the face's oval count; else all do.
    """
    equal = jnp.all(onset == apex, axis=(1, 2, 3))
    if not config.displacement_width:
        return equal
    above = motion(config, params, apex, onset).above_floor
    above = above * oval(above.shape[1]) if faces else above
    return equal | jnp.all(above == 0, axis=(1, 2))
