"""The classifier of a micro-expression: features of onset and apex by Micron-BERT, and a head."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.checks import choose, require, within
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import dense, gelu
from micron_jax.models.micron_bert import MicronBertModule

_FRAMES = ("onset", "apex")


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """Features of a pair and the head that classifies them. Only `p_dma` is the paper's.

    Attributes:
      features: `p_dma`, the micro-attention's output; `difference`, the apex's patch tokens less
        the onset's; `heat`, the symmetric motion map, one number a patch; `cosine`, the logarithm
        of the tokens' cosine distance, one number a patch, whatever the skin there looks like;
        `motion`, of models with a displacement branch, see `motion_features`; `cls`, the CLS token
        of the apex less that of the onset (there is nothing to pool then); `auto`, `motion` of a
        model that has it, else `cosine`.
      pooling: over the patches: `mean`; `grid`, means of `cells` × `cells` parts of the face, one
        after the other, so that the place of a motion is kept; `attention`, a learned softmax
        over the patches; `heat`, a mean weighted by the positive part of the symmetric map.
      cells: see `grid`.
      query, key, value: which frame's tokens take which role in `p_dma` (paper, Eq. 8 and 9, with
        the onset as frame t: apex, onset, onset). The Patch of Interest, where the model has it,
        scores the apex.
      hidden: width of the head's hidden layer; 0 is one linear layer.
      dropout: of the head's inputs and of its hidden layer, in steps of 1/256.
    """

    features: str = "p_dma"
    pooling: str = "mean"
    cells: int = 7
    query: str = "apex"
    key: str = "onset"
    value: str = "onset"
    hidden: int = 0
    dropout: float = 0.1

    def __post_init__(self):
        choose(
            "config.classifier",
            self,
            features=("auto", "p_dma", "difference", "heat", "cosine", "motion", "cls"),
            pooling=("mean", "grid", "attention", "heat"),
            query=_FRAMES,
            key=_FRAMES,
            value=_FRAMES,
        )
        within("config.classifier", self, cells=(1, 1000))
        valid = 0 <= self.dropout < 1
        require(valid, "config.classifier", self, "dropout", "must lie in 0..1, below 1")

    def chosen(self, model: ModelConfig) -> "ClassifierConfig":
        """Returns the config with the features that `auto` means for a model."""
        if self.features != "auto":
            return self
        return dataclasses.replace(
            self, features="motion" if model.displacement_width else "cosine"
        )

    def check_fits(self, model: ModelConfig) -> None:
        """Checks that the model has the part that the features come from.

        Raises:
          UserError: it does not.
        """
        mend = (
            "the checkpoint has no displacement branch, which pretrain_ours trains; choose cosine, "
            "or another"
        )
        exists = self.features != "motion" or bool(model.displacement_width)
        require(exists, "config.classifier", self, "features", mend)

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of the backbone that the features depend on; the others cannot learn."""
        if self.features == "motion":
            return ("displacement",)
        matches = self.features in ("p_dma", "heat") or self.pooling == "heat"
        return ("encoder", "dma") if matches else ("encoder",)


def grid_mean(patches, grid: tuple[int, int], cells: int):
    """Means over parts of the face: [B, N, F] with N = grid[0] · grid[1] -> [B, cells² · F]."""
    rows, columns = (jnp.asarray(_cell_weights(side, cells)) for side in grid)
    square = patches.reshape(patches.shape[0], *grid, patches.shape[-1])
    means = jnp.einsum("yh,xw,bhwf->byxf", rows, columns, square)
    return means.reshape(patches.shape[0], -1)


def _cell_weights(side: int, cells: int) -> np.ndarray:
    """[cells, side]: the share of each patch of a line that lies in each cell; rows sum to 1."""
    edges = np.linspace(0, side, cells + 1)
    patch = np.arange(side)
    overlap = np.minimum(edges[1:, None], patch + 1) - np.maximum(edges[:-1, None], patch)
    overlap = np.clip(overlap, 0, None)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)


def motion_features(displacement):
    """Features of a field of displacements, patch by patch.

    Args:
      displacement: (x, y) in px, [B, h, w, 2].

    Returns:
      float32 [B, h, w, 6]: the displacement and its length, px; the strain that it puts on the skin
      (stretch across, stretch down, shear), px from patch to patch.
    """
    across, down = (jnp.gradient(displacement, axis=axis) for axis in (2, 1))
    shear = (across[..., 1] + down[..., 0]) / 2
    strain = jnp.stack([across[..., 0], down[..., 1], shear], axis=-1)
    # Its gradient at 0 is finite.
    length = jnp.sqrt(jnp.square(displacement).sum(-1, keepdims=True) + 1e-12)
    return jnp.concatenate([displacement, length, strain], axis=-1)


class PairFeatures(nn.Module):
    """Micron-BERT up to the head's inputs.

    Its parameters are {"backbone": {encoder, dma and, where the model has it, displacement}}.
    """

    model: ModelConfig
    config: ClassifierConfig

    def setup(self):
        self.backbone = MicronBertModule(self.model)

    def __call__(self, onset, apex):
        """Normalized frames, float [B, H, W, 3] twice -> float32 [B, T, F].

        T is the number of patches where the head pools them (`attention`), else 1.
        """
        c = self.config
        grid = tuple(side // self.model.patch_size for side in onset.shape[1:3])
        if c.features == "motion":
            features = motion_features(self.backbone.motion(apex, onset).displacement)
            features = features.reshape(len(features), -1, features.shape[-1])
            return self._pool(features, grid, weights=features[..., 2])
        both = self.backbone.encode(jnp.concatenate([onset, apex]))
        tokens = dict(zip(_FRAMES, jnp.split(both, 2), strict=True))
        if c.features == "cls":
            return (tokens["apex"] - tokens["onset"])[:, :1].astype(jnp.float32)
        weights = jax.nn.relu(self._map(tokens, "symmetric")) if c.pooling == "heat" else None
        return self._pool(self._patches(tokens).astype(jnp.float32), grid, weights)

    def motion_map(self, onset, apex):
        """Motion between pairs of frames as above, float32 [B, N]; larger is more.

        It is the length of the displacement in px, of models with that branch; else the symmetric
        map, and without micro-attention the cosine map.
        """
        if self.model.displacement_width:
            return self.backbone.motion(apex, onset).length.reshape(len(onset), -1)
        tokens = {"onset": self.backbone.encode(onset), "apex": self.backbone.encode(apex)}
        symmetric = "dma" in self.backbone.variables["params"]
        return self._map(tokens, "symmetric" if symmetric else "cosine")

    def _map(self, tokens, kind: str):
        return self.backbone.motion_map(tokens["apex"], tokens["onset"], kind)

    def _patches(self, tokens):
        c = self.config
        if c.features == "difference":
            return (tokens["apex"] - tokens["onset"])[:, 1:]
        if c.features == "heat":
            return self._map(tokens, "symmetric")[..., None]
        if c.features == "cosine":
            return jnp.log(jnp.maximum(self._map(tokens, "cosine"), 0) + 1e-5)[..., None]
        query, key, value = (tokens[frame][:, 1:] for frame in (c.query, c.key, c.value))
        return self.backbone.dma(query, key, value, self.backbone.interest(tokens["apex"]))

    def _pool(self, features, grid, weights=None):
        c = self.config
        if c.pooling == "attention":
            return features
        if c.pooling == "grid":
            return grid_mean(features, grid, c.cells)[:, None]
        if c.pooling == "heat":
            weights = weights + 1e-6  # a plain mean where nothing moved
            weights = weights / weights.sum(axis=1, keepdims=True)
            return jnp.einsum("bn,bnf->bf", weights, features)[:, None]
        return features.mean(axis=1, keepdims=True)


class Head(nn.Module):
    """Standardized features to classes."""

    classes: int
    config: ClassifierConfig

    @nn.compact
    def __call__(self, x, *, deterministic: bool):
        """float32 [B, T, F] -> logits, float32 [B, classes].

        Unless `deterministic`, the random stream `dropout` drops some inputs.
        """
        c = self.config
        if c.pooling == "attention" and c.features != "cls":
            weights = jax.nn.softmax(dense(1, "pool", jnp.float32)(x), axis=1)
            x = jnp.sum(weights * x, axis=1)
        else:
            x = x[:, 0]
        x = self._drop(x, deterministic)
        if c.hidden:
            x = self._drop(gelu(dense(c.hidden, "hidden", jnp.float32)(x)), deterministic)
        return dense(self.classes, "classes", jnp.float32)(x)

    def _drop(self, x, deterministic: bool):
        share = round(256 * self.config.dropout)
        if deterministic or not share:
            return x
        # A byte a feature: random numbers are most of the time of a small head's step.
        shape = x.shape[0], -(-x.shape[1] // 4)
        words = jax.random.bits(self.make_rng("dropout"), shape, jnp.uint32)
        random_bytes = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(x.shape[0], -1)
        return jnp.where(random_bytes[:, : x.shape[1]] >= share, x * (256 / (256 - share)), 0.0)


def classify(
    model: ModelConfig, config: ClassifierConfig, classes: int, backbone, trained, onset, apex
):
    """Probabilities of the classes for normalized frames [B, H, W, 3]: float32 [B, classes].

    `backbone` holds the network's parameters, and `trained` {"head": those of `Head`, "mean" and
    "deviation": of the features}.
    """
    network = PairFeatures(model, config).bind({"params": {"backbone": backbone}})
    x = (network(onset, apex) - trained["mean"]) / trained["deviation"]
    head = Head(classes, config).bind({"params": trained["head"]})
    return jax.nn.softmax(head(x, deterministic=True))
