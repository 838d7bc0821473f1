"""The release's `args` and tensor shapes, and our `ModelConfig`, both ways."""

import re
from pathlib import Path

from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError, naming
from micron_jax.models.config import SIZES, ModelConfig

RELEASE_MODEL = "mae_vit_small_patch8"  # the one size that the release names (models/mae.py)
_RELEASE_HEAD = {"projection_hidden": 2048, "projection_bottleneck": 256}
# The release computes with these values whatever its args say, and with no others.
_RELEASE_DMA = {
    "dma_query": "rep", "dma_key": "ref", "dma_scaled": True, "dma_tied": False,
    "dma_gated": True, "poi": "none",
}  # fmt: skip


def infer_config(path: Path, state: dict, args: dict) -> ModelConfig:
    """The architecture, from the tensors' shapes and, where shapes are silent, from `args`.

    Shapes do not tell the number of heads: a checkpoint of another size than the release's own
    must say `num_heads` and `decoder_num_heads` in its `args`.
    """

    def shape(name, rank):
        if name not in state:
            raise UserError(f"{path}: lacks {name}, so it is not a checkpoint of Micron-BERT")
        if state[name].ndim != rank:
            raise UserError(f"{path}: {name} has shape {state[name].shape}, not {rank} axes")
        return state[name].shape

    def depth(prefix):
        numbers = [re.match(rf"{prefix}\.(\d{{1,6}})\.", name) for name in state]
        return 1 + max((int(n[1]) for n in numbers if n), default=0)

    width, _, patch_size, _ = shape("backbone.patch_embed.proj.weight", 4)
    patches = shape("backbone.pos_embed", 3)[1] - 1
    fields = dict(
        img_size=round(max(patches, 0) ** 0.5) * patch_size,
        patch_size=patch_size,
        width=width,
        depth=depth(r"backbone\.blocks"),
        mlp_ratio=shape("backbone.blocks.0.mlp.fc1.weight", 2)[0] / max(width, 1),
        dma_diagonal=bool(args.get("diag_att", False)),
    )
    if any(name.startswith("decoder_") for name in state):
        fields["decoder_width"] = shape("decoder_pos_embed", 3)[2]
        fields["decoder_depth"] = depth("decoder_blocks")
    if any(name.startswith(("student.head.", "teacher.")) for name in state):
        last = shape("student.head.last_layer.weight_v", 2)
        fields["projection_dim"], fields["projection_bottleneck"] = last
        fields["projection_hidden"] = shape("student.head.mlp.0.weight", 2)[0]
    small = SIZES["small"]
    if args.get("model_name") == RELEASE_MODEL:  # then a block that is missing is missed
        fields |= small
    is_small = all(fields.get(k, v) == v for k, v in small.items() if not k.endswith("heads"))
    for field, name in (("heads", "num_heads"), ("decoder_heads", "decoder_num_heads")):
        if name in args:
            fields[field] = args[name]
            if type(args[name]) is not int:
                raise UserError(f"{path}: its args say {name}={args[name]!r}, which is no number")
        elif is_small:
            fields[field] = small[field]
        elif field == "heads" or "decoder_width" in fields:
            raise UserError(
                f"{path}: width {width} and depth {fields['depth']} are not the release's, and "
                f"its args do not say {name}: add it to args and save again"
            )
    if "decoder_width" not in fields:
        # No decoder to describe; the decoder of the config is never built.
        fields |= {k: v for k, v in small.items() if k.startswith("decoder_")}
    with naming(f"{path}: describes no possible model"):
        return ModelConfig(**fields)


def is_release_size(config: ModelConfig) -> bool:
    """Tests if the release's `get_model` builds this size: patch 8, `small`, MLP 4."""
    sizes = SIZES["small"] | {"patch_size": 8, "mlp_ratio": 4.0}
    return all(getattr(config, field) == value for field, value in sizes.items())


def release_args(weights: Weights) -> dict:
    """The `args` that the release's `get_model` asks for (micron_bert.py, line 33).

    Those of the weights' own `info` stay where the weights do not say otherwise. `num_heads` and
    `decoder_num_heads` are added, which no shape tells.
    """
    config, origin = weights.config, weights.info.get("args")
    args = dict(
        model_name=RELEASE_MODEL if is_release_size(config) else "MaskedAutoencoderViT",
        att_loss=False,
        local_crops_number=8,
        warmup_teacher_temp=0.04,
        teacher_temp=0.04,
        warmup_teacher_temp_epochs=0,
        epochs=200,
        out_dim=128,
    )
    args |= origin if isinstance(origin, dict) else {}
    args |= dict(
        img_size=config.img_size,
        diag_att=config.dma_diagonal,
        has_decoder="decoder" in weights.params,
        aux_cls="aux_cls" in weights.params,
        enable_dino=config.projection_dim > 0,
        num_heads=config.heads,
        decoder_num_heads=config.decoder_heads,
        out_dim=config.projection_dim or args["out_dim"],
    )
    return args


def class_arguments(weights: Weights) -> dict:
    """The arguments of the release's `MaskedAutoencoderViT` for these weights.

    But for `norm_layer`, which must be `partial(nn.LayerNorm, eps=1e-6)`.
    """
    config, args = weights.config, release_args(weights)
    names = ("img_size", "diag_att", "has_decoder", "aux_cls", "enable_dino", "out_dim")
    return {name: args[name] for name in names} | dict(
        patch_size=config.patch_size,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.heads,
        mlp_ratio=config.mlp_ratio,
        decoder_embed_dim=config.decoder_width,
        decoder_depth=config.decoder_depth,
        decoder_num_heads=config.decoder_heads,
    )


def differences(config: ModelConfig) -> list[str]:
    """A sentence about each part of a model that the release's class does not compute."""
    sentences = []
    if dma := _unlike(config, _RELEASE_DMA):
        sentences.append(
            f"Its micro-attention is not the release's ({dma}): there the encoder's features are "
            "the same, and what follows them is not."
        )
    if config.projection_dim and (head := _unlike(config, _RELEASE_HEAD)):
        sentences.append(
            f"Its projection head ({head}) is not the release's 2048 and 256: the release's class "
            "loads the rest with strict=False and without the head."
        )
    if config.band:
        sentences.append("It has a motion branch, which the release has not and no .pth can hold.")
    return sentences


def _unlike(config: ModelConfig, fixed: dict) -> str:
    values = {field: getattr(config, field) for field in fixed}
    return ", ".join(f"{k}={v!r}" for k, v in values.items() if v != fixed[k])
