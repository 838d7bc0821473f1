"""A checkpoint you can call."""

import functools
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
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.models.poi import patch_scores
from micron_jax.training.losses import patch_moments


def load(checkpoint: str | Path, *, weights: str = "student") -> "MicronBert":
    """Loads whatever checkpoint a user has, ready to be called.

    Args:
      checkpoint: the name of weights that come with the package, `micron-tiny`; a run's workdir
        (of a fine-tuning: with the classifier that it kept); a folder or a `.safetensors` that
        `micron-jax convert` wrote; a `.pth` of the PyTorch release; or the name of such a folder
        on the Hugging Face Hub, `OWNER/NAME` or `OWNER/NAME@REVISION`. What lies on this machine
        goes before what has its name elsewhere.
      weights: `student`, the network that was trained, or `teacher`, its moving average, of
        checkpoints trained with DINO.

    Raises:
      UserError: it is none of these, or damaged, or there is no teacher in it.
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
        """Puts the student's weights on the default device, and those of a classifier on them."""
        self.config: ModelConfig = weights.config
        self.classifier = classifier
        self.info: dict = weights.info
        self._params = jax.tree.map(jnp.asarray, weights.params)
        module = MicronBertModule(weights.config)

        def tokens(params, frames):
            return module.apply({"params": params}, normalize(frames), method="encode")

        def motion_map(kind, params, frames, reference):
            pair = tokens(params, frames), tokens(params, reference)
            return module.apply({"params": params}, *pair, kind, method="motion_map")

        self._tokens = jax.jit(tokens)
        self._maps = {
            kind: jax.jit(functools.partial(motion_map, kind))
            for kind in ("symmetric", "cosine", "release")
        }
        if weights.config.band:
            self._moved = jax.jit(functools.partial(_moved, module))
            self._maps = {"motion": lambda *args: self._moved(*args)[0]} | self._maps
        norm_pix = weights.info.get("config", {}).get("objective", {}).get("norm_pix", False)
        self._cls_attention = jax.jit(functools.partial(_cls_attention, module))
        self._interest = jax.jit(functools.partial(_interest, module))
        self._reconstruct = jax.jit(functools.partial(_reconstruct, module, norm_pix))
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
        """How much each patch of a frame moved against a reference frame of the same face.

        Args:
          frames: uint8 [B, H, W, 3].
          reference: the frames they are compared with, uint8 [B, H, W, 3].
          kind: one of `map_kinds`; None is the first of them. `motion`, of checkpoints trained on
            known motion, is the probability that the patch moved by itself; for `symmetric`,
            `cosine` and `release` see `MicronBertModule.motion_map`.

        Returns:
          float32 [B, H / patch, W / patch], larger where more moved.

        Raises:
          ValueError: no such kind, or frames of another dtype or shape.
        """
        kind = kind or self.map_kinds[0]
        if kind not in self._maps:
            raise ValueError(f"kind={kind!r}: choose one of {', '.join(self._maps)}")
        frames, reference, grid = self._checked_pair(frames, reference)
        return self._maps[kind](self._params, frames, reference).reshape(-1, *grid)

    def displacement(self, frames, reference) -> jax.Array:
        """How each patch of a reference moved by itself until another frame of the same face.

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
        frames, reference, grid = self._checked_pair(frames, reference)
        return self._moved(self._params, frames, reference)[1].reshape(-1, *grid, 2)

    def cls_attention(self, frames) -> jax.Array:
        """What the CLS token attends to in the encoder's last block, head by head.

        Args:
          frames: uint8 [B, H, W, 3].

        Returns:
          float32 [B, heads, H / patch, W / patch].
        """
        frames = self._checked(frames)
        grid = [side // self.config.patch_size for side in frames.shape[1:3]]
        weights = self._cls_attention(self._params, frames)
        return weights.reshape(*weights.shape[:2], *grid)

    def interest(self, frames) -> jax.Array:
        """The Patch of Interest scores, whether or not the checkpoint was trained with them.

        Args:
          frames: uint8 [B, H, W, 3].

        Returns:
          float32 [B, H / patch, W / patch] in [-1, 1]; see `models.poi.patch_scores`.
        """
        frames = self._checked(frames)
        grid = [side // self.config.patch_size for side in frames.shape[1:3]]
        return self._interest(self._params, frames).reshape(-1, *grid)

    def reconstruct(self, frames, reference) -> jax.Array | None:
        """What the decoder makes of frames from their micro-attention to a reference.

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
        """Which of its classes a micro-expression is of, to the classifier of the checkpoint.

        Args:
          onset, apex: uint8 [B, S, S, 3], cropped as `classifier.pairs` says. The apex is
            registered onto the onset here if it was in training.

        Returns:
          Probabilities, float32 [B, C], of `classifier.classes`. What they are worth,
          `classifier.evidence` says: the figures on people that it had not seen.

        Raises:
          ValueError: the checkpoint has no classifier, or frames of another dtype or shape.
        """
        if self.classifier is None:
            raise ValueError("this checkpoint has no classifier: `micron-jax finetune` makes one")
        onset, apex, _ = self._checked_pair(onset, apex)
        pairs = self.classifier.pairs
        if onset.shape[1:3] != (pairs.size, pairs.size):
            raise ValueError(f"frames are {onset.shape[1:3]}; the classifier's are {pairs.size} px")
        if pairs.registered:
            registered = [register(*pair)[0] for pair in zip(apex, onset, strict=True)]
            apex = np.stack(registered)
        return self._classify(self._params, self._head, normalize(onset), normalize(apex))

    def _checked_pair(self, frames, reference):
        frames, reference = self._checked(frames), self._checked(reference)
        if frames.shape != reference.shape:
            raise ValueError(f"frames are {frames.shape} and reference is {reference.shape}")
        return frames, reference, [side // self.config.patch_size for side in frames.shape[1:3]]

    def _checked(self, frames):
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(
                f"frames are {frames.dtype} {tuple(frames.shape)}; expected uint8 [B, H, W, 3]"
            )
        return frames


def _moved(module: MicronBertModule, params: dict, frames, reference):
    pair = normalize(frames), normalize(reference)
    logit, displacement = module.apply({"params": params}, *pair, method="moved")
    return jax.nn.sigmoid(logit), displacement


def _cls_attention(module: MicronBertModule, params: dict, frames):
    attention = module.apply({"params": params}, normalize(frames), method="last_attention")
    return attention[:, :, 0, 1:].astype(jnp.float32)


def _interest(module: MicronBertModule, params: dict, frames):
    tokens = module.apply({"params": params}, normalize(frames), method="encode")
    return patch_scores(tokens[:, 1:], tokens[:, 0])


def _reconstruct(module: MicronBertModule, norm_pix: bool, params: dict, frames, reference):
    config, images = module.config, normalize(frames)

    def run(method, *args):
        return module.apply({"params": params}, *args, method=method)

    latent = run("attend", run("encode", images), run("encode", normalize(reference)))
    patches = run("decode", latent)
    if norm_pix:  # it was trained to leave these out
        mean, deviation = patch_moments(patchify(images, config.patch_size))
        patches = patches * deviation + mean
    return denormalize(unpatchify(patches, config.patch_size, (config.grid, config.grid)))
