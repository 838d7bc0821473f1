"""Arithmetic of a training sample by formulas, and peak rates of chips."""

from micron_jax.data.views import ViewsConfig
from micron_jax.models.config import ModelConfig
from micron_jax.models.displacement_numbers import widths
from micron_jax.synthetic.insertion import SIZE
from micron_jax.training.losses import ObjectiveConfig

# Dense bfloat16 products, FLOP/s, by the makers' tables; keys are parts of jax's `device_kind`.
PEAK_FLOPS = {
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5p": 459e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "A100": 312e12,
    "L4": 121e12,
    "H100": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
}


def peak_flops(device_kind: str) -> float | None:
    """bfloat16 FLOP/s of a device, or None for another kind."""
    return next((peak for name, peak in PEAK_FLOPS.items() if name in device_kind), None)


def _blocks(depth: int, tokens: int, width: int, mlp_ratio: float) -> float:
    # qkv 3, proj 1 and the MLP's two layers; logits and weighted values.
    products = 2 * tokens * width**2 * (4 + 2 * mlp_ratio)
    return depth * (products + 4 * tokens**2 * width)


def encode_flops(model: ModelConfig, size: int) -> float:
    """FLOPs of one image of `size` pixels through the encoder, forwards."""
    patches = (size // model.patch_size) ** 2
    embed = 2 * patches * 3 * model.patch_size**2 * model.width
    return embed + _blocks(model.depth, patches + 1, model.width, model.mlp_ratio)


def encode_cls_flops(model: ModelConfig, size: int) -> float:
    """FLOPs of one image up to its CLS token alone, forwards; see `Encoder.views`."""
    tokens, width = (size // model.patch_size) ** 2 + 1, model.width
    last = _blocks(1, tokens, width, model.mlp_ratio)
    one_token = 2 * width**2 * (4 + 2 * model.mlp_ratio) + 4 * tokens * width * model.heads
    return encode_flops(model, size) - last + one_token


def reconstruct_flops(model: ModelConfig) -> float:
    """FLOPs of a pair's tokens through micro-attention and decoder, forwards."""
    patches, width = model.grid**2, model.decoder_width
    attended = 2 * patches**2 * model.width * (1 if model.dma_diagonal else 2)
    dma = 4 * 2 * patches * model.width**2 + attended
    ends = 2 * patches * width * (model.width + 3 * model.patch_size**2)
    return dma + ends + _blocks(model.decoder_depth, patches, width, model.mlp_ratio)


def head_flops(model: ModelConfig) -> float:
    """FLOPs of one CLS token through the projection head, forwards."""
    hidden, bottleneck = model.projection_hidden, model.projection_bottleneck
    return 2 * (
        model.width * hidden + hidden**2 + hidden * bottleneck + bottleneck * model.projection_dim
    )


def displacement_flops(model: ModelConfig, size: int) -> float:
    """FLOPs of a pair of frames of `size` pixels through the displacement branch, forwards.

    The least squares, which are no products of large matrices, do not count.
    """
    patches, width = (size // model.patch_size) ** 2, model.displacement_width
    embed = 6 * model.patch_size**2 * (width // 2)  # of the pixels, and of what is left of them
    first, second, third = widths(width)
    block = 2 * 9  # two convolutions
    unet = (width + 76) * first + 2 * block * first**2
    unet += (5 * first * second + 2 * block * second**2) / 4
    unet += (5 * second * third + block * third**2) / 16
    whole = 4 * third**2 / patches
    outputs = whole + first * (50 + 28) + (first + 5) * 48 + 9 * 48**2 + 48 * 4
    return 2 * patches * (embed + unet + outputs)


def train_flops(model: ModelConfig, views: ViewsConfig, objective: ObjectiveConfig) -> float:
    """FLOPs of one pair in a training step: the model FLOPs of MFU.

    Products of matrices alone, a multiplication and an addition each 1. With E(s) an image of side
    s through the encoder, K(s) one up to its CLS token, R micro-attention and decoder, H the head,
    G and L the numbers of crops, D(s) a pair through the displacement branch, if there is one:

        forward = 2 E(img) + R + agreement + 2 D(224)
        agreement: `mse` L K(local); `dino` G (K(img) + H) + L (K(local) + H)
        training = 3 · forward + (`dino`, the teacher, forwards only) G (K(img) + H)

    The factor 3 is one forward pass and two products for each on the way back. Norms, softmax,
    views, optimizer and recomputation (`model.remat`, the diagonal's own gradient) do not count.
    """
    whole, part = (encode_cls_flops(model, s) for s in (model.img_size, views.local_size))
    forward = 2 * encode_flops(model, model.img_size) + reconstruct_flops(model)
    if model.displacement_width:
        forward += 2 * displacement_flops(model, SIZE)
    teacher = 0.0
    if objective.agreement == "mse":
        forward += views.local_crops * part
    if objective.agreement == "dino":
        head = head_flops(model)
        teacher = views.global_crops * (whole + head)
        forward += teacher + views.local_crops * (part + head)
    return 3 * forward + teacher
