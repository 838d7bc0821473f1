"""The whole network in PyTorch; see `models.micron_bert`, whose names and shapes it has."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from micron_jax.models.config import ModelConfig
from micron_jax.torch.displacement import Displacement
from micron_jax.torch.layers import EPSILON, add_blocks, blocks_of, patchify, resize_positions, unit

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
MAP_KINDS = ("symmetric", "cosine", "release")


def normalize(frames):
    """uint8 RGB [..., 3] -> float32, less ImageNet's mean and over its deviation."""
    mean, deviation = (torch.tensor(x, device=frames.device) for x in (MEAN, DEVIATION))
    return (frames.float() / 255 - mean) / deviation


class Encoder(nn.Module):
    """The ViT encoder."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.patch_size = c.patch_size
        self.patch_embed = nn.Linear(c.patch_size**2 * 3, c.width)
        self.cls = nn.Parameter(torch.zeros(1, 1, c.width))
        self.register_buffer("positions", torch.zeros(1, 1 + c.grid**2, c.width))
        add_blocks(self, c.depth, c.width, c.heads, c.mlp_ratio)
        self.norm = nn.LayerNorm(c.width, EPSILON)

    def forward(self, images):
        """Normalized images [B, H, W, 3] -> tokens [B, 1 + N, D], CLS first."""
        x = self._embed(images)
        for block in blocks_of(self):
            x = block(x)
        return self.norm(x)

    def last_attention(self, images):
        """Attention of the last block, [B, heads, 1 + N, 1 + N]."""
        *blocks, last = blocks_of(self)
        x = self._embed(images)
        for block in blocks:
            x = block(x)
        return last.attn.weights(last.norm1(x))

    def _embed(self, images):
        p = self.patch_size
        height, width, channels = images.shape[1:]
        if height % p or width % p or channels != 3:
            raise ValueError(
                f"images of shape {tuple(images.shape)}: expected [B, H, W, 3] with H and W "
                f"multiples of the patch size {p}"
            )
        x = self.patch_embed(patchify(images, p))
        cls = self.cls.expand(x.shape[0], -1, -1).to(x.dtype)
        positions = resize_positions(self.positions, (height // p, width // p))
        return torch.cat([cls, x], dim=1) + positions.to(x.dtype)


def patch_scores(tokens):
    """The Patch of Interest scores: tokens [B, 1 + N, D], CLS first -> float32 [B, N]."""
    tokens = unit(tokens.float())
    return (tokens[:, 1:] * tokens[:, :1]).sum(-1)


class MicroAttention(nn.Module):
    """Micro-attention of patches, in the release's setting, the paper's and ours."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.diagonal, self.gated = c.dma_diagonal, c.dma_gated
        self.scale = c.width**-0.5 if c.dma_scaled else 1.0
        self.to_q = nn.Linear(c.width, c.width)
        if not c.dma_tied:
            self.to_k = nn.Linear(c.width, c.width)
        self.to_v = nn.Linear(c.width, c.width)
        self.proj = nn.Linear(c.width, c.width)

    def forward(self, query, key, value, scores=None):
        """Patch tokens in their roles, [B, N, D] each, and scores [B, N] -> P_dma, [B, N, D]."""
        v = self.to_v(value)
        if not self.gated:
            return self.proj(v)
        if self.diagonal:
            weights = self.logit(query, key).sigmoid()
            weights = weights if scores is None else weights * scores
            return self.proj(weights[..., None].to(v.dtype) * v)
        q, k = self._query_key(query, key)
        return self.proj(functional.scaled_dot_product_attention(q, k, v, scale=self.scale))

    def logit(self, query, key):
        """log(a / (1 - a)) of the diagonal a of the attention: [B, N, D] twice -> [B, N]."""
        q, k = self._query_key(query, key)
        logits = (q @ k.transpose(1, 2)).float() * self.scale
        own = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
        others = logits.masked_fill(own, -torch.inf).logsumexp(-1)
        return logits.diagonal(dim1=1, dim2=2) - others

    def weights(self, query, key):
        """The whole attention, [B, N, N]."""
        q, k = self._query_key(query, key)
        return ((q @ k.transpose(1, 2)).float() * self.scale).softmax(-1)

    def _query_key(self, query, key):
        return self.to_q(query), getattr(self, "to_k", self.to_q)(key)


class Decoder(nn.Module):
    """From micro-attended tokens back to pixels."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        width = c.decoder_width
        self.embed = nn.Linear(c.width, width)
        self.register_buffer("positions", torch.zeros(1, 1 + c.grid**2, width))
        add_blocks(self, c.decoder_depth, width, c.decoder_heads, c.mlp_ratio)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.pred = nn.Linear(width, c.patch_size**2 * 3)

    def forward(self, latent):
        """[B, N, width] -> pixels of each patch, [B, N, patch_size² · 3]."""
        x = self.embed(latent)
        x = x + self.positions[:, 1:].to(x.dtype)
        for block in blocks_of(self):
            x = block(x)
        return self.pred(self.norm(x))


class ProjectionHead(nn.Module):
    """The head of the DINO agreement: CLS tokens [..., D] -> [..., projection_dim]."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.fc1 = nn.Linear(c.width, c.projection_hidden)
        self.fc2 = nn.Linear(c.projection_hidden, c.projection_hidden)
        self.fc3 = nn.Linear(c.projection_hidden, c.projection_bottleneck)
        self.directions = nn.Parameter(torch.zeros(c.projection_bottleneck, c.projection_dim))
        self.register_buffer("gain", torch.ones(c.projection_dim))

    def forward(self, cls):
        x = functional.gelu(self.fc1(cls))
        x = unit(self.fc3(functional.gelu(self.fc2(x))).float())
        return (x @ self.directions) * (self.gain / self.directions.norm(dim=0))


class Motion(NamedTuple):
    """The motion of the patches of a reference, px.

    Attributes:
      displacement: of the face's own, (x, y), [B, h, w, 2].
      scale: of its error (the Laplace distribution in the plane), [B, h, w].
      head: the motion of the head, which is not in the displacement, [B, h, w, 2].
      own: the face's own motion as it was found, noise included, [B, h, w, 2].
    """

    displacement: torch.Tensor
    scale: torch.Tensor
    head: torch.Tensor
    own: torch.Tensor


class MicronBert(nn.Module):
    """Micron-BERT.

    `features`, `motion_map` and `motion` take uint8 frames [B, H, W, 3], as `micron_jax.MicronBert`
    does; the other methods and the parts (`encoder`, `dma`, `decoder`, `head`, `displacement`) take
    normalized ones (`normalize`), or tokens [B, 1 + N, D] of them. A checkpoint may lack parts,
    which `load` leaves out.
    """

    def __init__(self, config: ModelConfig):
        """Makes all parts that a config asks for; `load` fills them."""
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.dma = MicroAttention(config)
        self.decoder = Decoder(config)
        if config.projection_dim:
            self.head = ProjectionHead(config)
        if config.displacement_width:
            self.displacement = Displacement(config)

    def forward(self, rep, ref):
        """Normalized frames [B, H, W, 3] twice -> pixels of frame t, [B, N, patch_size² · 3]."""
        return self.decode(self.attend(self.encode(rep), self.encode(ref)))

    def encode(self, images):
        """[B, H, W, 3] -> tokens [B, 1 + N, D], CLS first."""
        return self.encoder(images)

    def attend(self, rep_tokens, ref_tokens):
        """Micro-attention of a pair of frames -> P_dma, [B, N, D]."""
        scores = patch_scores(ref_tokens) if self.config.poi == "cosine" else None
        query, key = self._query_key(rep_tokens, ref_tokens)
        return self.dma(query, key, rep_tokens[:, 1:], scores)

    def decode(self, latent):
        """P_dma [B, N, D] -> pixels of each patch, [B, N, patch_size² · 3]."""
        return self.decoder(latent)

    def project(self, images):
        """[B, H, W, 3] -> the projection head's output of the CLS token, [B, projection_dim]."""
        return self.head(self.encode(images)[:, 0])

    def diagonal(self, rep_tokens, ref_tokens):
        """The diagonal of a pair's micro-attention, [B, N]."""
        return self.dma.logit(*self._query_key(rep_tokens, ref_tokens)).sigmoid()

    def features(self, frames):
        """The encoder's patch tokens: uint8 [B, H, W, 3] -> [B, N, D]."""
        return self.encode(normalize(frames))[:, 1:]

    def motion_map(self, frames, reference, *, kind: str = "symmetric"):
        """Maps of the motion of each patch against a reference frame; larger is more.

        uint8 [B, H, W, 3] twice -> [B, H / patch, W / patch]; for `kind`, one of `MAP_KINDS`, see
        `models.micron_bert.MicronBertModule.motion_map`.

        Raises:
          ValueError: no such kind.
        """
        a, b = (self.encode(normalize(x)) for x in (frames, reference))
        grid = [side // self.config.patch_size for side in frames.shape[1:3]]
        return self._motion(a, b, kind).reshape(-1, *grid)

    def _motion(self, a, b, kind: str):
        if kind == "symmetric":
            pairs = (a, a), (b, b), (a, b), (b, a)
            own_a, own_b, there, back = (-self.dma.logit(*self._query_key(*pair)) for pair in pairs)
            return there + back - own_a - own_b
        if kind == "cosine":
            return 1 - (unit(a[:, 1:].float()) * unit(b[:, 1:].float())).sum(-1)
        if kind == "release":
            diagonal = self.diagonal(a, b)
            return 1 - diagonal / diagonal.max()
        raise ValueError(f"kind={kind!r}: choose one of {', '.join(MAP_KINDS)}")

    def motion(self, frames, reference) -> "Motion":
        """The motion of each patch of a reference until another frame.

        uint8 [B, H, W, 3] twice.
        """
        images = normalize(frames), normalize(reference)
        found = self.displacement(torch.cat(images), torch.cat(images[::-1]))

        def ways(values):  # not `chunk`, whose number of parts no exporter knows for any batch
            return values.unflatten(0, (2, frames.shape[0]))

        def mean(vectors):
            there, back = ways(vectors)
            return (there - back) / 2

        scale = ways(found.log_scale).mean(0).exp()
        head = mean(found.motion - found.own)
        return Motion(mean(found.displacement), scale, head, mean(found.own))

    def _query_key(self, rep_tokens, ref_tokens):
        patches = {"rep": rep_tokens[:, 1:], "ref": ref_tokens[:, 1:]}
        return patches[self.config.dma_query], patches[self.config.dma_key]
