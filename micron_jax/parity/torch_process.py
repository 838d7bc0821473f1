"""A script that runs a checkout of the PyTorch release, in a process of its own.

    python torch_process.py CHECKOUT CHECKPOINT.pth REQUEST.npz ANSWER.npz

The release was written for the torch, timm and numpy of its day, for a GPU and for a process group.
Here it gets what it misses of them, none of its files is touched, and its public functions are
called. REQUEST holds the images and the arguments of the model, ANSWER the output of each layer;
see `live.py`. This file imports nothing of micron_jax: its process has torch and no jax.

The exit status is 0, or 3 after a line on standard output that names what is wrong with its input.
"""

import argparse
import collections
import functools
import importlib.abc
import importlib.machinery
import json
import sys
import zlib

import numpy as np


class Unusable(Exception):
    """The checkout, the checkpoint or a package cannot be used; the message is one line."""


class NoTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """An importer of empty modules in place of torchvision and all below it.

    timm imports torchvision for its data loaders, which the release does not use; and a
    torchvision that was built for another torch fails when it is imported.
    """

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):
        def stand_in(name):
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

        module.__getattr__ = stand_in


def prepare(checkout: str):
    """Imports torch and the release's `models.mae`, and returns both."""
    try:
        import torch
    except ImportError as error:
        raise Unusable("torch is not installed: pip install 'micron-jax[torch]'") from error
    try:
        import torchvision  # noqa: F401
    except Exception:  # a missing operator is a RuntimeError
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.meta_path.insert(0, NoTorchvision())
    try:
        import timm.models.vision_transformer  # noqa: F401
    except ModuleNotFoundError as error:
        package = "--no-deps timm==0.4.12" if error.name == "timm" else error.name
        why = f"timm, which the release needs, cannot be imported ({error})"
        raise Unusable(f"{why}: pip install {package}") from error
    if not hasattr(np, "float"):
        np.float = float  # noqa: NPY001 (models/pos_embed.py asks for it)
    sys.path.insert(0, checkout)
    try:
        from models import mae
    except ImportError as error:
        raise Unusable(f"the checkout cannot be imported ({error})") from error
    if not mae.__file__.startswith(checkout):
        raise Unusable(f"{mae.__file__} stands before the checkout: uninstall that `models`")
    # The center of DINOLoss is averaged over all processes: here they are one.
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    return torch, mae


def build(torch, mae, checkpoint: str, settings: dict):
    """The release's model with the checkpoint's weights, loaded with strict=True."""
    arguments, name = settings["arguments"], settings["model_name"]
    if name == "MaskedAutoencoderViT":
        arguments["norm_layer"] = functools.partial(torch.nn.LayerNorm, eps=1e-6)
    else:  # a function that knows its sizes
        names = ("img_size", "diag_att", "has_decoder", "aux_cls", "enable_dino", "out_dim")
        arguments = {name: arguments[name] for name in names}
    try:
        model = getattr(mae, name)(**arguments, local_crops_number=settings["local_crops"])
    except (AttributeError, TypeError) as error:
        raise Unusable(f"its {name} is not the public release's ({error}): patched?") from error
    with torch.serialization.safe_globals([argparse.Namespace]):
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    try:
        model.load_state_dict({k.replace("module.", ""): x for k, x in state.items()}, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise Unusable(
            f"its model does not take the checkpoint, as the public release's does "
            f"({first[0].strip()[:200]}): patched?"
        ) from error
    return model.float()


def layers(torch, model, views: dict) -> dict:
    """Returns the output of each layer for the pair, one frame after the other."""
    outputs = collections.defaultdict(list)

    def store(name, module, args, output):
        outputs[name].append(output)

    backbone = model.backbone
    modules = {"patch_embed": backbone.patch_embed, "norm": backbone.norm}
    modules |= {f"block_{i}": block for i, block in enumerate(backbone.blocks)}
    if model.has_decoder:
        modules |= {
            f"decoder/{n}": getattr(model, f"decoder_{n}") for n in ("embed", "norm", "pred")
        }
        modules |= {f"decoder/block_{i}": block for i, block in enumerate(model.decoder_blocks)}
    hooks = [x.register_forward_hook(functools.partial(store, n)) for n, x in modules.items()]
    enter = backbone.blocks[0].register_forward_pre_hook
    hooks.append(enter(lambda module, args: outputs["tokens"].append(args[0])))
    with torch.no_grad():
        latent, attention, _ = model.forward_encoder(views["rep"], views["ref"])
        outputs |= {"dma/attention": [attention], "dma/output": [latent]}
        if model.has_decoder:
            model.forward_decoder(latent)
        for hook in hooks:
            hook.remove()
        outputs["last_attention"] = [model.get_last_selfattention(views["rep"])]
        if not model.diag_att:  # the release's fails on the diagonal alone
            pair = model.extract_features(views["rep"]), model.extract_features(views["ref"])
            patch = backbone.patch_embed.patch_size[0]
            outputs["heat/release"] = [model.get_attmap(*pair)[1][..., ::patch, ::patch]]
        if model.enable_dino:
            crops = [views[f"crop{i}"] for i in range(sum(n.startswith("crop") for n in views))]
            outputs["projection/teacher"] = [model.teacher(crops[:2])]
            outputs["projection/student"] = [model.student(crops)]
    return {name: torch.cat(parts).numpy() for name, parts in outputs.items()}


def training(model, views: dict) -> dict:
    """The losses of a step, and their gradients by the release's names."""
    if not model.has_decoder:
        return {}
    batch = {f"{name}_frame": views[name] for name in ("rep", "ref", "cur")} | {"masks": None}
    batch["ref_frame_dino"] = [views[n] for n in sorted(views) if n.startswith("crop")]
    result = model.train()(batch, 0)
    result["loss"].backward()
    names = {"rec_loss": "reconstruction", "dino_loss": "agreement", "loss": "total"}
    losses = {f"loss/{n}": result[k].detach().numpy() for k, n in names.items() if k in result}
    gradients = {n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}
    return losses | {f"gradient/{name}": gradient for name, gradient in gradients.items()}


def main(checkout: str, checkpoint: str, request: str, answer: str) -> int:
    try:
        torch, mae = prepare(checkout)
        with np.load(request) as file:
            settings = json.loads(str(file["settings"]))
            views = {n: torch.from_numpy(file[n]) for n in file.files if n != "settings"}
        model = build(torch, mae, checkpoint, settings).eval()
        weights = {n: zlib.crc32(x.numpy().tobytes()) for n, x in model.state_dict().items()}
        try:
            results = layers(torch, model, views) | training(model, views)
        except (AttributeError, TypeError, ValueError, KeyError, RuntimeError) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise Unusable(f"it fails as the public release does not ({why}): patched?") from error
    except Unusable as error:
        print(" ".join(str(error).split()))
        return 3
    np.savez(answer, weights=json.dumps(weights), **results)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
