"""The PyTorch release's names and layouts, and ours, both ways."""

import json
import re
from pathlib import Path

import numpy as np
from flax.traverse_util import unflatten_dict

from micron_jax.errors import UserError
from micron_jax.interop import pth
from micron_jax.interop.folder import Weights, shapes_of
from micron_jax.models.config import SIZES, ModelConfig

# Our path -> the release's name; the first pattern that fits is followed, then the last part of
# the name is set by `_LEAVES`. Trees are {"params", "teacher", "center"}, as in `Weights`.
_MODULES = (
    (r"^center$", "dino_loss_fn.center"),
    (r"^params/encoder/block_(\d+)/", r"backbone.blocks.\1."),
    (r"^params/encoder/patch_embed/", "backbone.patch_embed.proj."),
    (r"^params/encoder/", "backbone."),
    (r"^teacher/encoder/block_(\d+)/", r"teacher.backbone.blocks.\1."),
    (r"^teacher/encoder/patch_embed/", "teacher.backbone.patch_embed.proj."),
    (r"^teacher/encoder/", "teacher.backbone."),
    (r"^params/dma/", "att."),
    (r"^params/decoder/block_(\d+)/", r"decoder_blocks.\1."),
    (r"^params/decoder/", "decoder_"),
    (r"^params/head/", "student.head."),
    (r"^teacher/head/", "teacher.head."),
    (r"^params/aux_cls/", "fc."),
)
_LEAVES = (
    (r"head\.fc1/", "head.mlp.0/"),
    (r"head\.fc2/", "head.mlp.2/"),
    (r"head\.fc3/", "head.mlp.4/"),
    (r"directions$", "last_layer.weight_v"),
    (r"gain$", "last_layer.weight_g"),
    (r"/(kernel|scale)$|(?<=\.)(kernel|scale)$", ".weight"),
    (r"positions$", "pos_embed"),
    (r"(?<=backbone\.)cls$", "cls_token"),
)


def release_name(path: str) -> str:
    """`params/encoder/block_0/attn/qkv/kernel` -> `backbone.blocks.0.attn.qkv.weight`.

    Raises:
      KeyError: no parameter of ours.
    """
    for pattern, replacement in _MODULES:
        name, found = re.subn(pattern, replacement, path)
        if found:
            for leaf, leaf_name in _LEAVES:
                name = re.sub(leaf, leaf_name, name)
            return name.replace("/", ".").replace("..", ".")
    raise KeyError(f"no name in the release for {path!r}")


def to_release(path: str, array: np.ndarray, *, patch_size: int) -> np.ndarray:
    """Our array in the release's layout: linear weights are [out, in], patches a convolution."""
    if path.endswith("patch_embed/kernel"):
        pixels = array.reshape(patch_size, patch_size, -1, array.shape[-1])
        return pixels.transpose(3, 2, 0, 1)
    if path.endswith(("/kernel", "/directions")):
        return array.T
    return array[:, None] if path.endswith("/gain") else array


def from_release(path: str, array: np.ndarray) -> np.ndarray:
    """The inverse of `to_release`."""
    if path.endswith("patch_embed/kernel") and array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0).reshape(-1, array.shape[0]))
    if path.endswith(("/kernel", "/directions")):
        return np.ascontiguousarray(array.T)
    return array[:, 0] if path.endswith("/gain") and array.ndim == 2 else array


def read_checkpoint(path: Path) -> Weights:
    """Reads a checkpoint of the release: `model`, `args` and `epoch`, `module.` prefix or not.

    Raises:
      UserError: it is damaged, would run code, or is not a checkpoint of Micron-BERT.
    """
    checkpoint = pth.read(path)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), dict):
        raise UserError(f"{path}: holds no 'model', so it is not a checkpoint of the release")
    if "args" not in checkpoint:
        raise UserError(
            f"{path}: holds no 'args', which say how the model was built; "
            "save {'model', 'args', 'epoch'} as the release does"
        )
    args = checkpoint["args"] if isinstance(checkpoint["args"], dict) else vars(checkpoint["args"])
    state = {name.replace("module.", ""): value for name, value in checkpoint["model"].items()}
    state = _without_copies(path, state)
    config = infer_config(path, state, args)
    shapes = shapes_of(config, decoder="decoder_pos_embed" in state, aux_cls="fc.weight" in state)
    tree = unflatten_dict(_gather(path, state, shapes), sep="/")
    info = {"source": path.name, "epoch": checkpoint.get("epoch"), "args": args}
    return Weights(
        config,
        tree["params"],
        tree.get("teacher", {}),
        tree.get("center", np.zeros((1, 0), np.float32)),
        json.loads(json.dumps(info, default=str)),
    )


def _without_copies(path: Path, state: dict) -> dict:
    """Drops `student.backbone`, which is the same storage as `backbone`, once that is checked."""
    kept = {}
    for name, value in state.items():
        if not isinstance(value, np.ndarray):
            raise UserError(f"{path}: 'model' holds {name!r}, which is no tensor")
        if name.startswith("student.backbone."):
            twin = state.get(name.removeprefix("student."))
            if twin is None or not np.array_equal(twin, value, equal_nan=True):
                raise UserError(f"{path}: {name} differs from {name.removeprefix('student.')}")
        else:
            kept[name] = value
    return kept


def _gather(path: Path, state: dict, shapes: dict) -> dict:
    """Our flat tree from the release's state, every tensor used and every shape right."""
    missing, tensors = [], {}
    for ours, expected in shapes.items():
        name = release_name(ours)
        if name not in state:
            missing.append(name)
            continue
        value = from_release(ours, state.pop(name).astype(np.float32))
        if value.shape != expected.shape:
            raise UserError(
                f"{path}: {name} has the wrong shape for this model "
                f"({value.shape} in our layout, expected {expected.shape})"
            )
        tensors[ours] = value
    if missing:
        raise UserError(f"{path}: lacks {_some(missing)}; not a whole Micron-BERT checkpoint")
    if state:
        raise UserError(f"{path}: holds {_some(list(state))}, unknown to Micron-BERT")
    return tensors


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


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
        numbers = [re.match(rf"{prefix}\.(\d+)\.", name) for name in state]
        return 1 + max((int(n[1]) for n in numbers if n), default=-1)

    width, _, patch_size, _ = shape("backbone.patch_embed.proj.weight", 4)
    patches = shape("backbone.pos_embed", 3)[1] - 1
    fields = dict(
        img_size=round(max(patches, 0) ** 0.5) * patch_size,
        patch_size=patch_size,
        width=width,
        depth=depth(r"backbone\.blocks"),
        mlp_ratio=shape("backbone.blocks.0.mlp.fc1.weight", 2)[0] / width,
        dma_diagonal=bool(args.get("diag_att", False)),
    )
    if "decoder_pos_embed" in state:
        fields["decoder_width"] = shape("decoder_pos_embed", 3)[2]
        fields["decoder_depth"] = depth("decoder_blocks")
    if "student.head.last_layer.weight_v" in state:
        outputs, bottleneck = shape("student.head.last_layer.weight_v", 2)
        fields["projection_dim"] = outputs
        fields["projection_bottleneck"] = bottleneck
        fields["projection_hidden"] = shape("student.head.mlp.0.weight", 2)[0]
    small = SIZES["small"]
    is_small = all(fields.get(k, v) == v for k, v in small.items() if not k.endswith("heads"))
    for field, name in (("heads", "num_heads"), ("decoder_heads", "decoder_num_heads")):
        if name in args:
            fields[field] = int(args[name])
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
    try:
        return ModelConfig(**fields)
    except UserError as error:
        raise UserError(f"{path}: describes no possible model: {error}") from error
