"""The network's settings: every difference between the release and the paper is a field here."""

import dataclasses
from typing import ClassVar

from micron_jax.checks import at_least, choose, require

DTYPES = ("float32", "bfloat16")  # of the computation

# Widths, depths and heads by name. `small` is the release's `mae_vit_small_patch8` (models/mae.py,
# line 703); `base` and `large` are ViT-B and ViT-L with MAE's decoder; `tiny` is for demonstration.
_DECODER = dict(decoder_width=512, decoder_depth=8, decoder_heads=16)
SIZES = {
    "tiny": dict(width=128, depth=3, heads=2, decoder_width=96, decoder_depth=1, decoder_heads=2),
    "small": dict(width=512, depth=4, heads=4, decoder_width=512, decoder_depth=4, decoder_heads=4),
    "base": dict(width=768, depth=12, heads=12, **_DECODER),
    "large": dict(width=1024, depth=24, heads=16, **_DECODER),
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Architecture of Micron-BERT. The defaults are the release's, with full cross-attention.

    Attributes:
      img_size, patch_size: side of the frames the positions are laid out for, of a patch, pixels.
      width, depth, heads: the encoder's token width, blocks and attention heads.
      mlp_ratio: hidden width of a block's MLP over its width.
      decoder_width, decoder_depth, decoder_heads: the same of the decoder.
      dma_query, dma_key: which frame's tokens ask and answer in the micro-attention: `rep` (the
        frame with swapped patches) or `ref` (the frame at t+δ). The value is always `rep`.
        Release: rep, ref; paper, Eq. 8: ref, rep.
      dma_scaled: logits times 1/√width (release) or as they are (paper, Eq. 8).
      dma_tied: queries and keys share one projection (ours): the diagonal, and so the decoder's
        signal, is large from the first step on; with two random projections it begins near 1/N.
      dma_diagonal: only the diagonal of the attention weighs the values (paper, Eq. 9; the
        release's `diag_att`), instead of the whole rows.
      dma_gated: the attention weighs the values; without it they pass as they are, for ablation.
      poi: `cosine` multiplies the diagonal by each patch's score (paper's Patch of Interest);
        `none` leaves it out, as the release's forward pass does. Needs `dma_diagonal`.
      projection_dim, projection_hidden, projection_bottleneck: outputs of the DINO projection
        head, 0 leaving it out, and its hidden and bottleneck widths.
      displacement_width: channels of the displacement branch (see `displacement`), which is
        always float32, a multiple of 8; 0 leaves it out, as paper and release do.
      attention, blocks: see `attention.attend`, `layers.through_blocks`.
      dtype: of the computation, `float32` or `bfloat16`; parameters are always float32.
      remat: what the backward pass computes again instead of keeping it: `none`; `dots`, of each
        block all but the products with weights; `blocks`, each block from its input on, which
        takes the least memory and about a third more arithmetic.
    """

    SHORTHANDS: ClassVar[tuple[str, ...]] = ("size",)  # a recipe may name one of SIZES

    img_size: int = 224
    patch_size: int = 8
    width: int = 512
    depth: int = 4
    heads: int = 4
    mlp_ratio: float = 4.0
    decoder_width: int = 512
    decoder_depth: int = 4
    decoder_heads: int = 4
    dma_query: str = "rep"
    dma_key: str = "ref"
    dma_scaled: bool = True
    dma_tied: bool = False
    dma_diagonal: bool = False
    poi: str = "none"
    projection_dim: int = 0
    projection_hidden: int = 2048
    projection_bottleneck: int = 256
    dma_gated: bool = True
    displacement_width: int = 0
    attention: str = "auto"
    blocks: str = "unrolled"
    dtype: str = "float32"
    remat: str = "none"

    def __post_init__(self):
        choose(
            "config.model",
            self,
            dma_query=("rep", "ref"),
            dma_key=("rep", "ref"),
            poi=("none", "cosine"),
            attention=("auto", "xla", "cudnn", "pallas", "per_head"),
            blocks=("unrolled", "scanned"),
            dtype=DTYPES,
            remat=("none", "dots", "blocks"),
        )
        at_least("config.model", self, img_size=1, patch_size=1, width=1, heads=1)
        at_least("config.model", self, decoder_width=1, decoder_heads=1)
        self._check_divides("img_size", "patch_size")
        for width, heads in (("width", "heads"), ("decoder_width", "decoder_heads")):
            self._check_divides(width, heads)
            self._require(getattr(self, width) % 4 == 0, width, "no multiple of 4")
        cudnn = self.attention != "cudnn" or self.dtype == "bfloat16"
        self._require(cudnn, "attention", "needs config.model.dtype='bfloat16'")
        poi = self.poi == "none" or self.dma_diagonal
        self._require(poi, "poi", "needs config.model.dma_diagonal=True")
        at_least("config.model", self, displacement_width=0)
        even = self.displacement_width % 8 == 0
        self._require(even, "displacement_width", "must be a multiple of 8")

    def _require(self, valid: bool, field: str, mend: str) -> None:
        require(valid, "config.model", self, field, mend)

    def _check_divides(self, whole: str, part: str) -> None:
        number = getattr(self, whole)
        divides = number % getattr(self, part) == 0
        self._require(divides, part, f"does not divide {whole}={number}")

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.img_size // self.patch_size

    def computed_in(self, dtype: str) -> "ModelConfig":
        """The same network, computed in another dtype; cuDNN's attention has 16 bits only.

        Raises:
          UserError: no such dtype.
        """
        choose("", {"dtype": dtype}, dtype=DTYPES)
        wide = self.attention == "cudnn" and dtype == "float32"
        return dataclasses.replace(self, dtype=dtype, attention="auto" if wide else self.attention)

    @classmethod
    def of_size(cls, size: str, **fields) -> "ModelConfig":
        """A named size (`SIZES`) with further fields set.

        Raises:
          UserError: there is no size of that name.
        """
        choose("config.model", {"size": size}, size=SIZES)
        return cls(**(SIZES[size] | fields))
