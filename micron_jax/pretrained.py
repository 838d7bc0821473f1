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
from micron_jax.models.micron_bert import MAP_KINDS, MicronBertModule, bound
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
    positions are resized.
    """

    def __init__(self, weights: Weights, classifier: Classifier | None = None):
        """Puts the student's weights, and those of a classifier, on the default device."""
        self.config: ModelConfig = weights.config
        self.classifier = classifier
        self.info: dict = weights.info
        self._params = jax.tree.map(jnp.asarray, weights.params)
        norm_pix = weights.info.get("config", {}).get("objective", {}).get("norm_pix", False)
        jitted = functools.partial(_jitted, weights.config)
        self._tokens = jitted(_tokens)
        self._maps = {kind: jitted(_motion_map, kind) for kind in MAP_KINDS}
        if weights.config.band:
            self._find_motion = jitted(_find_motion)
            self._maps = {"motion": lambda *args: self._find_motion(*args)[0]} | self._maps
        self._cls_attention = jitted(_cls_attention)
        self._interest = jitted(_interest)
        self._reconstruct = jitted(_reconstruct, norm_pix)
        if classifier:
            self._head = jax.tree.map(jnp.asarray, classifier.params)
            settings = weights.config, classifier.config, len(classifier.classes)
            self._classify = jax.jit(functools.partial(classify, *settings))

    def features(self, frames) -> jax.Array:
        """The encoder's patch tokens: uint8 [B, H, W, 3] -> float32 [B, patches, dim].

        The release's `extract_features` (models/mae.py, line 585).

        Raises:
          ValueError: frames of another dtype or shape.
        """
        return self._tokens(self._params, self._checked(frames))[:, 1:].astype(jnp.float32)

    @property
    def map_kinds(self) -> tuple[str, ...]:
        """The kinds of `motion_map` that this checkpoint has, the one to show first."""
        return tuple(self._maps)

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
          ValueError: no such kind, or frames of another dtype or shape.
        """
        kind = kind or self.map_kinds[0]
        if kind not in self._maps:
            raise ValueError(f"kind={kind!r}: choose one of {', '.join(self._maps)}")
        frames, reference = self._checked_pair(frames, reference)
        return self._maps[kind](self._params, frames, reference).reshape(-1, *self._grid(frames))

    def displacement(self, frames, reference) -> jax.Array:
        """The motion of each patch of a reference until another frame of the same face.

        Args:
          frames: uint8 [B, H, W, 3].
          reference: the frames they are compared with, uint8 [B, H, W, 3].

        Returns:
          float32 [B, H / patch, W / patch, 2], (x, y) in px, without the motion of the head.

        Raises:
          ValueError: the checkpoint was not trained on known motion, or frames of another dtype
            or shape.
        """
        if not self.config.band:
            raise ValueError("this checkpoint has no motion branch, which pretrain_ours trains")
        frames, reference = self._checked_pair(frames, reference)
        displacement = self._find_motion(self._params, frames, reference)[1]
        return displacement.reshape(-1, *self._grid(frames), 2)

    def cls_attention(self, frames) -> jax.Array:
        """Attention of the CLS token in the encoder's last block, head by head.

        Args:
          frames: uint8 [B, H, W, 3].

        Returns:
          float32 [B, heads, H / patch, W / patch].
        """
        weights = self._cls_attention(self._params, self._checked(frames))
        return weights.reshape(*weights.shape[:2], *self._grid(frames))

    def interest(self, frames) -> jax.Array:
        """The Patch of Interest scores, also of a checkpoint that was trained without them.

        Args:
          frames: uint8 [B, H, W, 3].

        Returns:
          float32 [B, H / patch, W / patch] in [-1, 1]; see `models.poi.patch_scores`.
        """
        scores = self._interest(self._params, self._checked(frames))
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
        return self._reconstruct(self._params, self._checked(frames), self._checked(reference))

    def classify(self, onset, apex) -> jax.Array:
        """Probabilities of the classes of the checkpoint's classifier.

        Args:
          onset, apex: uint8 [B, S, S, 3], cropped as `classifier.pairs` says. The apex is
            registered onto the onset here if the training did so.

        Returns:
          float32 [B, C], in the order of `classifier.classes`. `classifier.evidence` holds the
          scores on people that the training did not see.

        Raises:
          ValueError: the checkpoint has no classifier, or frames of another dtype or shape.
        """
        if self.classifier is None:
            raise ValueError("this checkpoint has no classifier: `micron-jax finetune` makes one")
        onset, apex = self._checked_pair(onset, apex)
        pairs = self.classifier.pairs
        if onset.shape[1:3] != (pairs.size, pairs.size):
            raise ValueError(f"frames are {onset.shape[1:3]}; the classifier's are {pairs.size} px")
        if pairs.registered:
            apex = np.stack([register(*pair)[0] for pair in zip(apex, onset, strict=True)])
        return self._classify(self._params, self._head, normalize(onset), normalize(apex))

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


def _jitted(config: ModelConfig, function: Callable, *settings) -> Callable:
    """Jits `function(*settings, network, *frames)` as a function of the parameters and frames."""

    def run(params, *frames):
        return function(*settings, bound(config, params), *frames)

    return jax.jit(run)


def _tokens(network: MicronBertModule, frames):
    return network.encode(normalize(frames))


def _motion_map(kind: str, network: MicronBertModule, frames, reference):
    return network.motion_map(_tokens(network, frames), _tokens(network, reference), kind)


def _find_motion(network: MicronBertModule, frames, reference):
    logit, displacement = network.find_motion(normalize(frames), normalize(reference))
    return jax.nn.sigmoid(logit), displacement


def _cls_attention(network: MicronBertModule, frames):
    return network.last_attention(normalize(frames))[:, :, 0, 1:].astype(jnp.float32)


def _interest(network: MicronBertModule, frames):
    tokens = _tokens(network, frames)
    return patch_scores(tokens[:, 1:], tokens[:, 0])


def _reconstruct(norm_pix: bool, network: MicronBertModule, frames, reference):
    config, images = network.config, normalize(frames)
    latent = network.attend(network.encode(images), _tokens(network, reference))
    patches = network.decode(latent)
    if norm_pix:  # the network was trained on patches without mean and deviation
        mean, deviation = patch_moments(patchify(images, config.patch_size))
        patches = patches * deviation + mean
    return denormalize(unpatchify(patches, config.patch_size, (config.grid, config.grid)))
