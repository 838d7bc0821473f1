"""The release's `args` and tensor shapes, and our `ModelConfig`, both ways."""

import math
import re
from typing import Any

import numpy as np

from micron_jax.checkpoints.origin import LEFT_OUT, public
from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError, naming
from micron_jax.models.config import SIZES, ModelConfig
from micron_jax.models.layers import hidden_width

RELEASE_MODEL = "mae_vit_small_patch8"  # the one size that the release names (models/mae.py)
_RELEASE_HEAD = {"projection_hidden": 2048, "projection_bottleneck": 256}
# The release computes with these values whatever its args say, and with no others.
_RELEASE_DMA = {
    "dma_query": "rep", "dma_key": "ref", "dma_scaled": True, "dma_tied": False,
    "dma_gated": True, "poi": "none",
}  # fmt: skip


def infer_config(state: dict, args: dict, given: dict) -> tuple[ModelConfig, list[str]]:
    """The architecture, from the tensors' shapes and, where shapes are silent, from settings.

    Args:
      state: arrays by the release's names.
      args: what the checkpoint says of itself: `model_name`, `diag_att`, `num_heads`,
        `decoder_num_heads`; any may be missing.
      given: the same as the user gives them, which goes before `args`.

    Returns:
      The config, and a sentence about each setting that was not simply taken from `args`.

    Raises:
      UserError: a shape is impossible, or a number of heads cannot be known; messages lack the
        file's name.
    """

    def shape(name, rank):
        if name not in state:
            raise UserError(f"lacks {name}, so it is not a checkpoint of Micron-BERT")
        if not isinstance(state[name], np.ndarray):
            raise UserError(f"{name} is {state[name]!r}, no plain tensor; save its state_dict()")
        if state[name].ndim != rank:
            raise UserError(f"{name} has shape {state[name].shape}, not {rank} axes")
        return state[name].shape

    def depth(prefix):
        numbers = [re.match(rf"{prefix}\.(\d{{1,6}})\.", name) for name in state]
        return 1 + max((int(n[1]) for n in numbers if n), default=0)

    width, _, patch_size, _ = shape("backbone.patch_embed.proj.weight", 4)
    patches = shape("backbone.pos_embed", 3)[1] - 1
    hidden = {width: shape("backbone.blocks.0.mlp.fc1.weight", 2)[0]}
    fields = dict(
        img_size=round(max(patches, 0) ** 0.5) * patch_size,
        patch_size=patch_size,
        width=width,
        depth=depth(r"backbone\.blocks"),
    )
    if any(name.startswith("decoder_") for name in state):
        fields["decoder_width"] = shape("decoder_pos_embed", 3)[2]
        fields["decoder_depth"] = depth("decoder_blocks")
        if "decoder_blocks.0.mlp.fc1.weight" in state:
            decoder_hidden = shape("decoder_blocks.0.mlp.fc1.weight", 2)[0]
            hidden.setdefault(fields["decoder_width"], decoder_hidden)
    fields["mlp_ratio"] = _mlp_ratio(hidden)
    if any(name.startswith(("student.head.", "teacher.")) for name in state):
        last = shape("student.head.last_layer.weight_v", 2)
        fields["projection_dim"], fields["projection_bottleneck"] = last
        fields["projection_hidden"] = shape("student.head.mlp.0.weight", 2)[0]
    if _named(args) == RELEASE_MODEL:  # then a block that is missing is missed
        fields |= SIZES["small"]
    has_decoder = "decoder_width" in fields
    heads, sentences = _heads(fields, args, given, has_decoder=has_decoder)
    fields |= heads
    if not has_decoder:
        # No decoder to describe; the decoder of the config is never built.
        fields |= {k: v for k, v in SIZES["small"].items() if k.startswith("decoder_")}
    fields["dma_diagonal"], more = _diagonal(args, given)
    with naming("describes no possible model"):
        return ModelConfig(**fields), sentences + more


def _mlp_ratio(hidden: dict[int, int]) -> float:
    """The ratio for which width x ratio has these whole parts; `hidden`: width -> hidden width.

    `ModelConfig` and timm's `Mlp` both take the whole part, of each width with one ratio.
    """
    ratio = max(after / max(width, 1) for width, after in hidden.items())
    for _ in range(3):  # a quotient may lie a hair too low
        if all(int(width * ratio) >= after for width, after in hidden.items()):
            break
        ratio = math.nextafter(ratio, math.inf)
    return ratio


def _heads(fields: dict, args: dict, given: dict, *, has_decoder: bool) -> tuple[dict, list[str]]:
    """The numbers of heads, `heads` and `decoder_heads`, and sentences about them."""
    small, named = SIZES["small"], _named(args) == RELEASE_MODEL
    is_small = all(fields.get(k, v) == v for k, v in small.items() if not k.endswith("heads"))
    heads, sentences = {}, []
    for field, name in (("heads", "num_heads"), ("decoder_heads", "decoder_num_heads")):
        if field == "decoder_heads" and not has_decoder:
            continue
        stated = args.get(name)
        if name in given:
            heads[field] = given[name]
            if named and given[name] != small[field]:
                sentences.append(f"{name}={given[name]} is taken; {RELEASE_MODEL} has 4")
            elif stated not in (None, given[name]):
                sentences.append(f"{name}={given[name]} is taken, though its args say {stated!r}")
        elif named:
            heads[field] = small[field]
            if stated not in (None, small[field]):
                sentences.append(
                    f"its args say {name}={stated!r}, but {RELEASE_MODEL} has {small[field]} heads "
                    "whatever they say"
                )
        elif stated is not None:
            if type(stated) is not int:
                raise UserError(f"its args say {name}={stated!r}, which is no number: give {name}")
            heads[field] = stated
        elif is_small:
            heads[field] = small[field]
        elif field == "decoder_heads" and "num_heads" in given:
            heads[field] = given["num_heads"]
            sentences.append(f"{name}={heads[field]} is taken, as for the encoder")
        else:
            part = "decoder" if field == "decoder_heads" else "encoder"
            prefix = "decoder_" if part == "decoder" else ""
            raise UserError(
                f"its {part}, of width {fields[f'{prefix}width']} and depth "
                f"{fields[f'{prefix}depth']}, is not the release's, and nothing in it says {name}, "
                f"which no shape tells: give {name}"
            )
    return heads, sentences


def _named(args: dict) -> Any:
    """The name of the architecture in settings."""
    return args.get("model_name", args.get("arch"))


def _diagonal(args: dict, given: dict) -> tuple[bool, list[str]]:
    """`diag_att`, and a sentence where nobody states it."""
    stated = args.get("diag_att")
    if isinstance(stated, str):
        stated = {"true": True, "1": True, "false": False, "0": False}.get(stated.lower(), stated)
    if "diag_att" in given:
        chosen = bool(given["diag_att"])
        agrees = stated is None or stated == chosen
        return chosen, [] if agrees else [f"diag_att={chosen} is taken, though its args differ"]
    if stated is None:
        return False, [
            "nothing in it says diag_att; False is taken, as in the released checkpoint (the "
            "encoder's features do not depend on it)"
        ]
    if not isinstance(stated, bool | int):
        raise UserError(f"its args say diag_att={stated!r}, neither True nor False: give diag_att")
    return bool(stated), []


def is_release_size(config: ModelConfig) -> bool:
    """Tests if the release's `get_model` builds this size: patch 8, `small`, MLP 4."""
    sizes = SIZES["small"] | {"patch_size": 8, "mlp_ratio": 4.0}
    return all(getattr(config, field) == value for field, value in sizes.items())


def has_dino(weights: Weights) -> bool:
    """Tests if all parts are there that the release has with `enable_dino`."""
    return bool(weights.teacher) and "head" in weights.params and np.size(weights.center) > 0


def release_args(weights: Weights) -> dict:
    """The `args` that the release's `get_model` asks for (micron_bert.py, line 33).

    Those of the weights' own `info` stay where the weights do not say otherwise. `num_heads` and
    `decoder_num_heads` are added, which no shape tells.
    """
    config, origin = weights.config, public(weights.info.get("args"))
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
    origin = origin if isinstance(origin, dict) else {}
    args |= {name: value for name, value in origin.items() if value != LEFT_OUT}
    if args["model_name"] == RELEASE_MODEL and not is_release_size(config):
        args["model_name"] = "MaskedAutoencoderViT"
    args |= dict(
        img_size=config.img_size,
        diag_att=config.dma_diagonal,
        has_decoder="decoder" in weights.params,
        aux_cls="aux_cls" in weights.params,
        enable_dino=has_dino(weights),
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
        mlp_ratio=_mlp_ratio(
            {w: hidden_width(w, config.mlp_ratio) for w in (config.width, config.decoder_width)}
        ),
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
    if config.displacement_width:
        sentences.append(
            "It has a displacement branch, which the release has not: a .pth keeps it beside what "
            "the release reads."
        )
    return sentences


def _unlike(config: ModelConfig, fixed: dict) -> str:
    values = {field: getattr(config, field) for field in fixed}
    return ", ".join(f"{k}={v!r}" for k, v in values.items() if v != fixed[k])
