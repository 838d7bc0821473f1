"""A trained Micron-BERT as an object with methods."""

import dataclasses
import functools
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax import functions
from micron_jax.checkpoints import classifier, files, hub
from micron_jax.checkpoints.classifier import Classifier, Pairs
from micron_jax.checkpoints.load import locate, read
from micron_jax.checkpoints.weights import Weights
from micron_jax.data.views import denormalize, normalize
from micron_jax.faces.registration import register
from micron_jax.models.batches import as_batches
from micron_jax.models.classifier import ClassifierConfig
from micron_jax.models.config import ModelConfig
from micron_jax.models.dma import patch_scores
from micron_jax.models.layers import unpatchify
from micron_jax.models.micron_bert import MAP_KINDS, MicronBertModule, bound
from micron_jax.models.motion import Motion
from micron_jax.training.losses import restore_patches


def load(
    checkpoint: str | Path = "micron-tiny",
    *,
    weights: str = "student",
    dtype: str | None = None,
    args: Mapping[str, Any] | None = None,
) -> "MicronBert":
    """Loads a checkpoint of any kind.

    Args:
      checkpoint: `micron-tiny`, which comes with the package; a run's workdir (of a fine-tuning:
        with its classifier); a folder or a `.safetensors` that `micron-jax convert` wrote; a
        `.pth` of the PyTorch release; or such a folder or file on the Hugging Face Hub,
        `OWNER/NAME`, `OWNER/NAME@REVISION` or `OWNER/NAME:FILE`. A local path wins over a name.
      weights: `student`, or `teacher`, its moving average, where training was with DINO.
      dtype: of the computation, `float32`, or `bfloat16`, which is faster on TPUs and GPUs and
        takes half the memory; None: that of the training. Parameters and results are float32.
      args: what a checkpoint of the release may not say of itself: `num_heads`,
        `decoder_num_heads`, `diag_att`; and `state`, which network it is in a file of several.

    Raises:
      UserError: no such checkpoint, or a damaged one, or one without a teacher; no such dtype.
    """
    path = locate(checkpoint)
    network = read(path, weights=weights, given=args)
    head = classifier.read(path, network.config)
    if dtype is not None:
        network = dataclasses.replace(network, config=network.config.computed_in(dtype))
    return MicronBert(network, head)


class MicronBert:
    """A trained Micron-BERT.

    Frames are RGB, uint8 [B, H, W, 3], or a list of B frames, H and W multiples of the patch size.
    They should be square crops of faces at `config.img_size`, as `micron_jax.read_face` cuts them;
    at another size the positions are resized. Frames of another dtype or shape raise a
    `ValueError`.
    """

    def __init__(self, weights: Weights, classifier: Classifier | None = None):
        """Puts the student's weights, and those of a classifier, on the default device."""
        self.config: ModelConfig = weights.config
        self.classifier = classifier
        self.info: dict = weights.info
        self._params = jax.tree.map(jnp.asarray, weights.params)
        self._head = jax.tree.map(jnp.asarray, classifier.params) if classifier else None

    def __repr__(self) -> str:
        count = sum(x.size for x in jax.tree.leaves(self._params))
        classes = f"; classes: {', '.join(self.classifier.classes)}" if self.classifier else ""
        return (
            f"MicronBert({self.config.img_size} px, patch {self.config.patch_size}, "
            f"{count / 1e6:.1f} M parameters; maps: {', '.join(self.map_kinds)}{classes})"
        )

    @staticmethod
    def from_pretrained(
        checkpoint: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        **settings,
    ) -> "MicronBert":
        """`micron_jax.load` with the arguments that the Hugging Face Hub's libraries take.

        Args:
          revision: a branch, tag or commit of a model on the Hub.
          token, cache_dir, local_files_only: as `huggingface_hub` has them.
          settings: `weights`, `dtype` and `args` of `load`.

        Raises:
          UserError: see `load`.
        """
        name = f"{checkpoint}@{revision}" if revision else checkpoint
        access = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
        return load(locate(name, **access), **settings)

    def save_pretrained(self, folder: str | Path, *, dtype: str = "float32") -> None:
        """Writes a new folder that `load` reads, with a model card, whole or not at all.

        Args:
          dtype: of its numbers, `float32`, `bfloat16` or `float16`.

        Raises:
          UserError: it exists or cannot be written; float16 is too small for a number.
        """
        files.save(self._weights(), Path(folder), self.classifier, dtype=dtype)

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        revision: str | None = None,
        commit_message: str = "Add Micron-BERT",
        dtype: str = "float32",
    ) -> str:
        """Uploads what `save_pretrained` writes to a model on the Hugging Face Hub.

        Args:
          repository: OWNER/NAME; it is made where there is none.
          revision: a branch; None is `main`.

        Returns:
          The address of the commit.

        Raises:
          UserError: see `checkpoints.hub.push`.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "model")
            weights = self._weights()
            files.save(weights, folder, self.classifier, dtype=dtype, name=repository)
            access = {"private": private, "token": token, "revision": revision}
            return hub.push(folder, repository, message=commit_message, **access)

    def _weights(self) -> Weights:
        params = jax.tree.map(np.asarray, self.params)
        return Weights(self.config, params, {}, np.zeros((1, 0), np.float32), self.info)

    @property
    def params(self) -> dict:
        """The student's parameters by part, for `micron_jax.functions`; see `Weights.params`."""
        return self._params

    def features(self, frames) -> jax.Array:
        """The encoder's patch tokens: uint8 [B, H, W, 3] -> float32 [B, patches, dim].

        The release's `extract_features` (models/mae.py, line 585).
        """
        return self._computed(MicronBertModule.encode, frames)[:, 1:].astype(jnp.float32)

    @property
    def map_kinds(self) -> tuple[str, ...]:
        """The kinds of `motion_map` that this checkpoint has, the one to show first."""
        kinds = MAP_KINDS if "dma" in self._params else ("cosine",)
        return ("motion", "moved", *kinds) if self.config.displacement_width else kinds

    @property
    def heats(self) -> tuple[str, ...]:
        """The old name of `map_kinds`."""
        _warn_renamed("MicronBert.heats", "map_kinds")
        return self.map_kinds

    def micro_attention(self, frames, reference, *, heat: str | None = None) -> jax.Array:
        """The old name of `motion_map`."""
        _warn_renamed("MicronBert.micro_attention(heat=…)", "motion_map(kind=…)")
        return self.motion_map(frames, reference, kind=heat)

    def motion_map(self, frames, reference, *, kind: str | None = None) -> jax.Array:
        """Maps of the motion of each patch against a reference frame of the same face.

        Args:
          frames, reference: uint8 [B, H, W, 3].
          kind: one of `map_kinds`; None is the first of them. `motion`, of checkpoints trained on
            known motion, is the length of the patch's displacement in px, and `moved` the
            probability that it moved (see `Motion`); for `symmetric`, `cosine` and `release` see
            `MicronBertModule.motion_map`.

        Returns:
          float32 [B, H / patch, W / patch]; larger is more motion.

        Raises:
          ValueError: no such kind.
        """
        kind = kind or self.map_kinds[0]
        if kind not in self.map_kinds:
            raise ValueError(f"kind={kind!r}: choose one of {', '.join(self.map_kinds)}")
        if kind in ("motion", "moved"):
            motion = self.motion(frames, reference)
            return motion.length if kind == "motion" else motion.moved
        maps = self._computed(_motion_map, frames, reference, kind=kind)
        return maps.reshape(-1, *self._grid(frames))

    def motion(self, frames, reference) -> Motion:
        """The motion of each patch of a reference until another frame of the same face.

        uint8 [B, H, W, 3], both -> arrays [B, H / patch, W / patch, …] in px: the displacement of
        the face's own, the scale of its error, the motion of the head.

        Raises:
          ValueError: the checkpoint was not trained on known motion.
        """
        if not self.config.displacement_width:
            raise ValueError(
                "this checkpoint has no displacement branch, which pretrain_ours trains"
            )
        return self._computed(MicronBertModule.motion, frames, reference)

    def displacement(self, frames, reference) -> jax.Array:
        """The displacement of `motion`, (x, y) in px: float32 [B, H / patch, W / patch, 2]."""
        return self.motion(frames, reference).displacement

    def cls_attention(self, frames) -> jax.Array:
        """Attention of the CLS token in the encoder's last block, head by head.

        uint8 [B, H, W, 3] -> float32 [B, heads, H / patch, W / patch].
        """
        attention = self._computed(_cls_attention, frames)
        return attention.reshape(*attention.shape[:2], *self._grid(frames))

    def interest(self, frames) -> jax.Array:
        """The Patch of Interest scores, also of a checkpoint that was trained without them.

        uint8 [B, H, W, 3] -> float32 [B, H / patch, W / patch] in [-1, 1]; see `models.dma`.
        """
        return self._computed(_interest, frames).reshape(-1, *self._grid(frames))

    def reconstruct(self, frames, reference) -> jax.Array | None:
        """Frames as the decoder draws them from their micro-attention to a reference.

        Args:
          frames, reference: frames t and t + δ, uint8 [B, S, S, 3] with S = `config.img_size`.

        Returns:
          uint8 [B, S, S, 3]; None: the checkpoint has no decoder, or no micro-attention.
        """
        if not {"decoder", "dma"} <= self._params.keys():
            return None
        settings = self.info
        for section in ("config", "objective"):
            settings = settings.get(section)
            settings = settings if isinstance(settings, dict) else {}
        norm_pix = settings.get("norm_pix") is True
        return self._computed(_reconstruct, frames, reference, norm_pix=norm_pix)

    def classify(self, onset, apex) -> jax.Array:
        """Probabilities of the classes of the checkpoint's classifier.

        Args:
          onset, apex: uint8 [B, S, S, 3], cropped as `classifier.pairs` says. The apex is
            registered onto the onset here if the training did so.

        Returns:
          float32 [B, C], in the order of `classifier.classes`; NaN where nothing moved, as
          `functions.nothing_moved` has it: there is no class. `classifier.evidence` holds the
          scores on people that the training did not see.

        Raises:
          ValueError: the checkpoint has no classifier.
        """
        if self.classifier is None:
            raise ValueError("this checkpoint has no classifier: `micron-jax finetune` makes one")
        onset, apex = as_batches(onset, apex)
        head = self.classifier
        pairs = head.pairs
        if onset.shape[1:3] != (pairs.size, pairs.size):
            raise ValueError(f"frames are {onset.shape[1:3]}; the classifier's are {pairs.size} px")
        if pairs.registered:
            # Two equal frames come back as they were.
            apex = np.stack([register(*pair)[0] for pair in zip(apex, onset, strict=True)])
        settings = self.config, head.config, head.classes, pairs
        return _classify(*settings, self._params, self._head, onset, apex)

    def _computed(self, function: Callable, *frames, **settings):
        """The result of a function of the network and of normalized frames."""
        frames = as_batches(*frames)
        return _compute(self._params, frames, function, self.config, **settings)

    def _grid(self, frames) -> tuple[int, int]:
        return tuple(side // self.config.patch_size for side in np.shape(frames)[1:3])


def _warn_renamed(old: str, new: str) -> None:
    message = f"{old} is now {new}; the old name goes away"
    warnings.warn(message, FutureWarning, stacklevel=3)  # names the line of the user


@functools.partial(jax.jit, static_argnames=("model", "config", "classes", "pairs"))
def _classify(
    model: ModelConfig, config: ClassifierConfig, classes: tuple[str, ...], pairs: Pairs,
    params: dict, head: dict, onset, apex,
):  # fmt: skip
    head = Classifier(config, classes, pairs, head, {})
    return functions.classify(model, params, head, onset, apex)


@functools.partial(jax.jit, static_argnames=("function", "config", "kind", "norm_pix"))
def _compute(params: dict, frames: tuple, function: Callable, config: ModelConfig, **settings):
    return function(bound(config, params), *map(normalize, frames), **settings)


def _motion_map(network, images, reference, *, kind: str):
    return network.motion_map(network.encode(images), network.encode(reference), kind)


def _cls_attention(network, images):
    return network.encoder.last_attention(images)[:, :, 0, 1:].astype(jnp.float32)


def _interest(network, images):
    return patch_scores(network.encode(images))


def _reconstruct(network, images, reference, *, norm_pix: bool):
    config = network.config
    patches = network.decode(network.attend(network.encode(images), network.encode(reference)))
    if norm_pix:  # the network was trained on patches without mean and deviation
        patches = restore_patches(patches, images, patch_size=config.patch_size)
    return denormalize(unpatchify(patches, config.patch_size, (config.grid, config.grid)))
