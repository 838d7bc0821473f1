"""A trained Micron-BERT as an object with methods."""

import functools
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.checkpoints import classifier
from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.load import locate, read
from micron_jax.checkpoints.weights import Weights
from micron_jax.data.views import denormalize, normalize
from micron_jax.deprecation import warn_renamed
from micron_jax.faces.registration import register
from micron_jax.models.classifier import classify
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import patchify, unpatchify
from micron_jax.models.micron_bert import MAP_KINDS, bound
from micron_jax.models.poi import patch_scores
from micron_jax.training.losses import patch_moments


def load(checkpoint: str | Path, *, weights: str = "student") -> "MicronBert":
    """Loads a checkpoint of any kind.

    Args:
      checkpoint: the name of weights that come with the package, `micron-tiny`; a run's workdir
        (of a fine-tuning: with its classifier); a folder or a `.safetensors` that
        `micron-jax convert` wrote; a `.pth` of the PyTorch release; or the name of such a folder
        on the Hugging Face Hub, `OWNER/NAME` or `OWNER/NAME@REVISION`. A local path
        wins over a name.
      weights: `student`, the trained network, or `teacher`, its moving average, of checkpoints
        trained with DINO.

    Raises:
      UserError: no such checkpoint, or a damaged one, or one without a teacher.
    """
    path = locate(checkpoint)
    network = read(path, weights=weights)
    return MicronBert(network, classifier.read(path, network.config))


class MicronBert:
    """A trained Micron-BERT.

    Frames are RGB, uint8 [B, H, W, 3], H and W multiples of the patch size. They should be square
    crops of faces at `config.img_size`, as the corpus builder cuts them; at another size the
    positions are resized. Frames of another dtype or shape raise a `ValueError`.
    """

    def __init__(self, weights: Weights, classifier: Classifier | None = None):
        """Puts the student's weights, and those of a classifier, on the default device."""
        self.config: ModelConfig = weights.config
        self.classifier = classifier
        self.info: dict = weights.info
        self._params = jax.tree.map(jnp.asarray, weights.params)
        self._head = jax.tree.map(jnp.asarray, classifier.params) if classifier else None

    def features(self, frames) -> jax.Array:
        """The encoder's patch tokens: uint8 [B, H, W, 3] -> float32 [B, patches, dim].

        The release's `extract_features` (models/mae.py, line 585).
        """
        tokens = _tokens(self.config, self._params, self._checked(frames))
        return tokens[:, 1:].astype(jnp.float32)

    @property
    def map_kinds(self) -> tuple[str, ...]:
        """The kinds of `motion_map` that this checkpoint has, the one to show first."""
        return ("motion", *MAP_KINDS) if self.config.band else MAP_KINDS

    @property
    def heats(self) -> tuple[str, ...]:
        """The old name of `map_kinds`."""
        warn_renamed("MicronBert.heats", "map_kinds")
        return self.map_kinds

    def micro_attention(self, frames, reference, *, heat: str | None = None) -> jax.Array:
        """The old name of `motion_map`."""
        warn_renamed("MicronBert.micro_attention(heat=…)", "motion_map(kind=…)")
        return self.motion_map(frames, reference, kind=heat)

    def motion_map(self, frames, reference, *, kind: str | None = None) -> jax.Array:
        """Maps of the motion of each patch against a reference frame of the same face.

        Args:
          frames: uint8 [B, H, W, 3].
          reference: the frames they are compared with, uint8 [B, H, W, 3].
          kind: one of `map_kinds`; None is the first of them. `motion`, of checkpoints trained on
            known motion, is the probability that the patch moved by itself; for `symmetric`,
            `cosine` and `release` see `MicronBertModule.motion_map`.

        Returns:
          float32 [B, H / patch, W / patch]; larger is more motion.

        Raises:
          ValueError: no such kind.
        """
        kind = kind or self.map_kinds[0]
        if kind not in self.map_kinds:
            raise ValueError(f"kind={kind!r}: choose one of {', '.join(self.map_kinds)}")
        arguments = self.config, self._params, *self._checked_pair(frames, reference)
        motion = _motion(*arguments)[0] if kind == "motion" else _motion_map(*arguments, kind)
        return motion.reshape(-1, *self._grid(frames))

    def displacement(self, frames, reference) -> jax.Array:
        """The motion of each patch of a reference until another frame of the same face.

        Args:
          frames: uint8 [B, H, W, 3].
          reference: the frames they are compared with, uint8 [B, H, W, 3].

        Returns:
          float32 [B, H / patch, W / patch, 2], (x, y) in px, without the motion of the head.

        Raises:
          ValueError: the checkpoint was not trained on known motion.
        """
        if not self.config.band:
            raise ValueError("this checkpoint has no motion branch, which pretrain_ours trains")
        pair = self._checked_pair(frames, reference)
        return _motion(self.config, self._params, *pair)[1].reshape(-1, *self._grid(frames), 2)

    def cls_attention(self, frames) -> jax.Array:
        """Attention of the CLS token in the encoder's last block, head by head.

        uint8 [B, H, W, 3] -> float32 [B, heads, H / patch, W / patch].
        """
        weights = _cls_attention(self.config, self._params, self._checked(frames))
        return weights.reshape(*weights.shape[:2], *self._grid(frames))

    def interest(self, frames) -> jax.Array:
        """The Patch of Interest scores, also of a checkpoint that was trained without them.

        uint8 [B, H, W, 3] -> float32 [B, H / patch, W / patch] in [-1, 1]; see `models.poi`.
        """
        scores = _interest(self.config, self._params, self._checked(frames))
        return scores.reshape(-1, *self._grid(frames))

    def reconstruct(self, frames, reference) -> jax.Array | None:
        """Frames as the decoder draws them from their micro-attention to a reference.

        Args:
          frames: uint8 [B, S, S, 3] with S = `config.img_size`, in the role of frame t.
          reference: of the same shape, in the role of frame t + δ.

        Returns:
          uint8 [B, S, S, 3]; None: the checkpoint has no decoder.
        """
        if "decoder" not in self._params:
            return None
        norm_pix = self.info.get("config", {}).get("objective", {}).get("norm_pix", False)
        pair = self._checked_pair(frames, reference)
        return _reconstruct(self.config, self._params, *pair, norm_pix)

    def classify(self, onset, apex) -> jax.Array:
        """Probabilities of the classes of the checkpoint's classifier.

        Args:
          onset, apex: uint8 [B, S, S, 3], cropped as `classifier.pairs` says. The apex is
            registered onto the onset here if the training did so.

        Returns:
          float32 [B, C], in the order of `classifier.classes`. `classifier.evidence` holds the
          scores on people that the training did not see.

        Raises:
          ValueError: the checkpoint has no classifier.
        """
        if self.classifier is None:
            raise ValueError("this checkpoint has no classifier: `micron-jax finetune` makes one")
        onset, apex = self._checked_pair(onset, apex)
        pairs = self.classifier.pairs
        if onset.shape[1:3] != (pairs.size, pairs.size):
            raise ValueError(f"frames are {onset.shape[1:3]}; the classifier's are {pairs.size} px")
        if pairs.registered:
            apex = np.stack([register(*pair)[0] for pair in zip(apex, onset, strict=True)])
        settings = self.config, self.classifier.config, len(self.classifier.classes)
        pair = normalize(onset), normalize(apex)
        return _classify(*settings, self._params, self._head, *pair)

    def _checked_pair(self, frames, reference):
        frames, reference = self._checked(frames), self._checked(reference)
        if frames.shape != reference.shape:
            raise ValueError(f"frames are {frames.shape} and reference is {reference.shape}")
        return frames, reference

    def _checked(self, frames):
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(
                f"frames are {frames.dtype} {tuple(frames.shape)}; expected uint8 [B, H, W, 3]"
            )
        return frames

    def _grid(self, frames) -> tuple[int, int]:
        return tuple(side // self.config.patch_size for side in frames.shape[1:3])


def _jit(*static: str) -> Callable:
    """Jits a function of hashable settings, parameters and frames."""
    return functools.partial(jax.jit, static_argnames=("config", *static))


_classify = jax.jit(classify, static_argnames=("model", "config", "classes"))


@_jit()
def _tokens(config: ModelConfig, params: dict, frames):
    return bound(config, params).encode(normalize(frames))


@_jit("kind")
def _motion_map(config: ModelConfig, params: dict, frames, reference, kind: str):
    network = bound(config, params)
    tokens = (network.encode(normalize(x)) for x in (frames, reference))
    return network.motion_map(*tokens, kind)


@_jit()
def _motion(config: ModelConfig, params: dict, frames, reference):
    logit, displacement = bound(config, params).motion(normalize(frames), normalize(reference))
    return jax.nn.sigmoid(logit), displacement


@_jit()
def _cls_attention(config: ModelConfig, params: dict, frames):
    attention = bound(config, params).encoder.last_attention(normalize(frames))
    return attention[:, :, 0, 1:].astype(jnp.float32)


@_jit()
def _interest(config: ModelConfig, params: dict, frames):
    return patch_scores(bound(config, params).encode(normalize(frames)))


@_jit("norm_pix")
def _reconstruct(config: ModelConfig, params: dict, frames, reference, norm_pix: bool):
    network, images = bound(config, params), normalize(frames)
    latent = network.attend(network.encode(images), network.encode(normalize(reference)))
    patches = network.decode(latent)
    if norm_pix:  # the network was trained on patches without mean and deviation
        mean, deviation = patch_moments(patchify(images, config.patch_size))
        patches = patches * deviation + mean
    return denormalize(unpatchify(patches, config.patch_size, (config.grid, config.grid)))
