"""The whole network: encoder, micro-attention, decoder, projection head, displacement branch."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from micron_jax.models.config import ModelConfig
from micron_jax.models.decoder import Decoder
from micron_jax.models.displacement import Displacement
from micron_jax.models.dma import MicroAttention, patch_scores
from micron_jax.models.encoder import Encoder
from micron_jax.models.layers import dense, gelu, unit
from micron_jax.models.motion import Motion

MAP_KINDS = ("symmetric", "cosine", "release")  # of `MicronBertModule.motion_map`


class ProjectionHead(nn.Module):
    """width -> hidden -> hidden -> bottleneck, to unit length, -> a weight-normed linear layer.

    The head of the DINO agreement, the release's `DINOHead` (models/vision_transformer.py, line
    299). The gain of the last layer stays as it was initialized, at one.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, cls):
        """CLS tokens, [..., D] -> float32 [..., projection_dim]."""
        c = self.config
        dtype = jnp.dtype(c.dtype)
        x = gelu(dense(c.projection_hidden, "fc1", dtype)(cls))
        x = gelu(dense(c.projection_hidden, "fc2", dtype)(x))
        x = unit(dense(c.projection_bottleneck, "fc3", dtype)(x).astype(jnp.float32))
        initializer = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        shape = c.projection_bottleneck, c.projection_dim
        directions = self.param("directions", initializer, shape)
        gain = self.param("gain", nn.initializers.ones, shape[1:])
        length = jnp.linalg.norm(directions, axis=0)
        return (x @ directions) * (jax.lax.stop_gradient(gain) / length)


class MicronBertModule(nn.Module):
    """Micron-BERT (arXiv 2304.03195; the release's `MaskedAutoencoderViT`).

    Frames are normalized floats [B, H, W, 3]: `rep` is frame t with patches swapped in from t+δ,
    `ref` is frame t+δ. Tokens are [B, 1 + N, D], CLS first.
    """

    config: ModelConfig

    def setup(self):
        c = self.config
        self.encoder = Encoder(c)
        self.dma = MicroAttention(c)
        self.decoder = Decoder(c)
        if c.projection_dim:
            self.head = ProjectionHead(c)
        if c.displacement_width:
            self.displacement = Displacement(c)

    def __call__(self, rep, ref):
        """The reconstruction of frame t, by a pass through every part: what `init` runs."""
        rep_tokens, ref_tokens = self.encode(rep), self.encode(ref)
        if self.config.projection_dim:
            self.project(ref)
        if self.config.displacement_width:
            self.displacement(ref, rep)
        return self.decode(self.attend(rep_tokens, ref_tokens))

    def encode(self, images):
        """[B, H, W, 3] -> tokens [B, 1 + N, D]."""
        return self.encoder(images)

    def encode_views(self, images, whole: int):
        """[B, V, H, W, 3] -> tokens of the first `whole` and CLS of all; see `Encoder.views`."""
        return self.encoder.views(images, whole)

    def _query_key(self, rep_tokens, ref_tokens):
        patches = {"rep": rep_tokens[:, 1:], "ref": ref_tokens[:, 1:]}
        return patches[self.config.dma_query], patches[self.config.dma_key]

    def attend(self, rep_tokens, ref_tokens):
        """Micro-attention of a pair: tokens [B, 1 + N, D] twice -> P_dma, [B, N, D]."""
        scores = self.interest(ref_tokens)
        return self.dma(*self._query_key(rep_tokens, ref_tokens), rep_tokens[:, 1:], scores)

    def interest(self, ref_tokens):
        """The Patch of Interest scores of frame t+δ, float32 [B, N]; None where it is left out."""
        return patch_scores(ref_tokens) if self.config.poi == "cosine" else None

    def decode(self, latent):
        """P_dma, [B, N, D] -> pixels of each patch of frame t, float32 [B, N, patch_size² · 3]."""
        return self.decoder(latent)

    def project(self, images):
        """[B, H, W, 3] -> the projection head's output of the CLS token, float32 [B, K]."""
        return self.head(self.encode(images)[:, 0])

    def diagonal(self, rep_tokens, ref_tokens):
        """diag(Â) of a pair: tokens [B, 1 + N, D] twice -> float32 [B, N] (paper, Eq. 8)."""
        return jax.nn.sigmoid(self.dma.logit(*self._query_key(rep_tokens, ref_tokens)))

    def motion_map(self, tokens, reference, kind: str):
        """Maps of the motion of each patch against a reference frame; larger is more.

        Args:
          tokens, reference: tokens of the two frames, [B, 1 + N, D], in the roles `rep` and `ref`.
          kind: `symmetric`, h(a, b) + h(b, a) - h(a, a) - h(b, b) with h the logit of 1 - diag(Â),
            so that the diagonal of a frame against itself does not count; `cosine`, one minus the
            cosine similarity of the encoder's tokens; `release`, 1 - d / max(d) with d the
            diagonal and its maximum over the whole batch (`get_attmap`, models/mae.py, line 591).

        Returns:
          float32 [B, N].

        Raises:
          ValueError: no such kind.
        """
        if kind == "symmetric":

            def against(a, b):
                return -self.dma.logit(*self._query_key(a, b))

            own = against(tokens, tokens) + against(reference, reference)
            return against(tokens, reference) + against(reference, tokens) - own
        if kind == "cosine":
            a, b = (unit(x[:, 1:].astype(jnp.float32)) for x in (tokens, reference))
            return 1 - jnp.sum(a * b, axis=-1)
        if kind == "release":
            diagonal = self.diagonal(tokens, reference)
            return 1 - diagonal / diagonal.max()
        raise ValueError(f"kind={kind!r}: choose one of {', '.join(MAP_KINDS)}")

    def motion(self, images, reference) -> Motion:
        """The motion of each patch of a reference until another frame; see `Displacement`.

        It is the mean of both directions, whose noise differs.
        """
        there_and_back = (images, reference), (reference, images)
        found = self.displacement(*map(jnp.concatenate, there_and_back))

        def mean(vectors):
            there, back = jnp.split(vectors, 2)
            return (there - back) / 2

        scale = jnp.exp(sum(jnp.split(found.log_scale, 2)) / 2)
        head = mean(found.motion - found.own)
        return Motion(mean(found.displacement), scale, head, mean(found.own))

    def attention_map(self, rep_tokens, ref_tokens):
        """The whole attention of a pair in its roles, float32 [B, N, N]."""
        return self.dma.weights(*self._query_key(rep_tokens, ref_tokens))


def bound(config: ModelConfig, params: dict) -> MicronBertModule:
    """The network with its parameters, whose methods can be called: `bound(c, p).encode(x)`."""
    return MicronBertModule(config).bind({"params": params})
