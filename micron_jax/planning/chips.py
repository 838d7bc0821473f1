"""Accelerators by their vendors' own tables, and names of a number of them."""

import dataclasses
import math
import re

from micron_jax.errors import UserError
from micron_jax.training.flops import PEAK_FLOPS

GIB = 2**30

_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")


@dataclasses.dataclass(frozen=True)
class Chip:
    """One accelerator.

    Attributes:
      flops: peak of dense bfloat16 products, FLOP/s.
      hbm_bytes, hbm_bandwidth: its memory, and bytes/s.
      link_bandwidth: to its neighbors, over all links together, bytes/s one way.
      dimensions: of a TPU's torus; 0 for a GPU.
      source: page of the figures.
    """

    flops: float
    hbm_bytes: int
    hbm_bandwidth: float
    link_bandwidth: float
    dimensions: int
    source: str


_TPU = "docs.cloud.google.com/tpu/docs/"
_GPU = "nvidia.com/en-us/data-center/"
# Google's tables give the interconnect of both directions together; half of it is one way.
# NVIDIA's give NVLink likewise, and products with sparsity, of which half is dense.
CHIPS = {
    "v4": Chip(PEAK_FLOPS["TPU v4"], 32 * GIB, 1.2e12, 300e9, 3, _TPU + "v4"),
    "v5e": Chip(PEAK_FLOPS["TPU v5e"], 16 * GIB, 819e9, 200e9, 2, _TPU + "v5e"),
    "v5p": Chip(PEAK_FLOPS["TPU v5p"], 95 * GIB, 2.765e12, 600e9, 3, _TPU + "v5p"),
    "v6e": Chip(PEAK_FLOPS["TPU v6e"], 32 * GIB, 1.638e12, 400e9, 2, _TPU + "v6e"),
    "a100": Chip(PEAK_FLOPS["A100"], 80 * 10**9, 2.039e12, 300e9, 0, _GPU + "a100 (SXM, 80 GB)"),
    "h100": Chip(PEAK_FLOPS["H100"], 80 * 10**9, 3.35e12, 450e9, 0, _GPU + "h100 (SXM)"),
    "h200": Chip(PEAK_FLOPS["H200"], 141 * 10**9, 4.8e12, 450e9, 0, _GPU + "h200 (SXM)"),
}


@dataclasses.dataclass(frozen=True)
class Topology:
    """A number of chips of a kind: `v5e:4x4`, `v5p:4x4x4`, `h100:8`."""

    name: str
    chip: Chip
    count: int

    @property
    def is_tpu(self) -> bool:
        return self.chip.dimensions > 0


def parse_topology(name: str) -> Topology:
    """The topology of that name.

    Raises:
      UserError: there is none; the message gives the valid forms.
    """
    kind, _, shape = name.partition(":")
    if kind not in CHIPS:
        raise UserError(
            f"topology {name}: no such chip; give v5e:4x4 or v6e:16x16 (two sides), v4:2x2x2 or "
            "v5p:4x4x4 (three), a100:8, h100:8 or h200:8 (a count)"
        )
    chip, even = CHIPS[kind], "(?!0)[1-9]?[02468]"
    # A host of a torus of three dimensions has 2x2x1 chips; the third side is 1 for one alone.
    shapes, hint = {
        0: ("[1-9][0-9]*", f"give the number of GPUs, such as {kind}:8"),
        2: ("|".join(_FLAT), f"{kind} comes as {', '.join(_FLAT)}"),
        3: (
            f"2x2x1|{even}x{even}x{even}",
            f"{kind} comes as 2x2x1 and as AxBxC with even sides, such as {kind}:2x2x2 or "
            f"{kind}:4x4x8",
        ),
    }[chip.dimensions]
    if not re.fullmatch(shapes, shape):
        raise UserError(f"topology {name}: {hint}")
    return Topology(name, chip, math.prod(map(int, shape.split("x"))))
