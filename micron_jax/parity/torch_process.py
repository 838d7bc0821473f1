"""A script that runs a checkout of the PyTorch release, in a process of its own.

    python torch_process.py CHECKOUT CHECKPOINT.pth REQUEST.npz ANSWER.npz

The release was written for the torch, timm and numpy of its day, for a GPU and for a process group.
Here it gets what it misses of them, none of its files is touched, and its public functions are
called: `get_model`, `load_image`, then those of the model. REQUEST holds the images and the
settings, ANSWER the output of each layer; see `live.py`. This file imports nothing of micron_jax:
its process has torch and no jax.

The exit status is 0, or, after a line on standard output, 3 where the checkout or a package cannot
be used, and 4 where the checkout does not take the checkpoint.
"""

import argparse
import ast
import collections
import contextlib
import functools
import importlib.abc
import importlib.machinery
import itertools
import json
import os
import sys
import zlib

import numpy as np

SCRIPT, FUNCTIONS = "micron_bert.py", ("get_model", "load_image", "image_to_tensor")
STRIDE = 97  # of the weights of a teacher, so many make one to compare


class Unusable(Exception):
    """The checkout or a package cannot be used; the message is one line."""

    status = 3


class NotTaken(Unusable):
    """The checkout does not take the checkpoint."""

    status = 4


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


def run_script(checkout: str) -> dict:
    """The functions of the release's `micron_bert.py`, by name.

    It is a script, which goes on to load a checkpoint of its authors: what stands before the first
    use of its functions is run. It takes numpy for imported.
    """
    try:
        with open(os.path.join(checkout, SCRIPT), encoding="utf-8") as file:
            lines = ast.parse(file.read(), SCRIPT).body
        functions = {line.name for line in lines if isinstance(line, ast.FunctionDef)}

        def defines(line):
            names = {node.id for node in ast.walk(line) if isinstance(node, ast.Name)}
            return isinstance(line, ast.FunctionDef) or not names & functions

        names = {"np": np, "__name__": "micron_bert"}
        program = ast.Module([*itertools.takewhile(defines, lines)], [])
        exec(compile(program, SCRIPT, "exec"), names)
        return {name: names[name] for name in FUNCTIONS}
    except Exception as error:  # it is anyone's code
        raise Unusable(f"its {SCRIPT} is not the public release's ({one_line(error)})") from error


def one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


@contextlib.contextmanager
def on_a_cpu(torch):
    """Within, checkpoints load onto a CPU, without running code, and nothing moves to a GPU."""
    load, classes = torch.load, (torch.Tensor, torch.nn.Module)
    cuda = [kind.cuda for kind in classes]
    torch.load = lambda file, **_: load(file, map_location="cpu", weights_only=True)
    for kind in classes:
        kind.cuda = lambda self, *_, **__: self
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            yield
    finally:
        torch.load = load
        for kind, method in zip(classes, cuda, strict=True):
            kind.cuda = method


def build(torch, mae, get_model, checkpoint: str, settings: dict):
    """The release's model with the checkpoint's weights, from its own `get_model`.

    That knows the architectures that `models.mae` names. Of another one, which no function builds,
    the class itself is made, of the sizes and heads that the settings say.

    Returns:
      (the model, the name of the architecture that `get_model` does not know, or "").
    """
    try:
        with on_a_cpu(torch), contextlib.redirect_stdout(sys.stderr):  # `get_model` prints
            name = torch.load(checkpoint)["args"].model_name
            if "mae" in name and hasattr(mae, name):
                return get_model(checkpoint)[0].float(), ""
            state = torch.load(checkpoint)["model"]
        norm = functools.partial(torch.nn.LayerNorm, eps=1e-6)
        model = mae.MaskedAutoencoderViT(**settings["arguments"], norm_layer=norm)
        model.load_state_dict({k.replace("module.", ""): x for k, x in state.items()}, strict=True)
        return model.float(), str(name)
    except Exception as error:  # it is anyone's code, and anyone's checkpoint
        raise NotTaken(one_line(error)) from error


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
            image = model.unpatchify(model.forward_decoder(latent))
            outputs["decoder/image"] = [image.movedim(1, -1)]
        for hook in hooks:
            hook.remove()
        pair = model.extract_features(views["rep"]), model.extract_features(views["ref"])
        outputs |= {"features": [*pair], "crop_tokens": [backbone(views["crop2"])]}
        outputs["last_attention"] = [model.get_last_selfattention(views["rep"])]
        if not model.diag_att:  # the release's fails on the diagonal alone
            patch = backbone.patch_embed.patch_size[0]
            mixed, heat = model.get_attmap(*pair)
            outputs |= {"heat/output": [mixed], "heat/release": [heat[..., ::patch, ::patch]]}
        if model.enable_dino:
            crops = [views[f"crop{i}"] for i in range(sum(n.startswith("crop") for n in views))]
            outputs["projection/teacher"] = [model.teacher(crops[:2])]
            outputs["projection/student"] = [model.student(crops)]
    return {name: torch.cat(parts).numpy() for name, parts in outputs.items()}


def training(model, views: dict) -> dict:
    """The losses of a step, their gradients by the release's names, and the center after it."""
    if not model.has_decoder:
        return {}
    batch = {f"{name}_frame": views[name] for name in ("rep", "ref", "cur")} | {"masks": None}
    batch["ref_frame_dino"] = [views[n] for n in sorted(views) if n.startswith("crop")]
    result = model.train()(batch, 0)
    result["loss"].backward()
    names = {"rec_loss": "reconstruction", "dino_loss": "agreement", "loss": "total"}
    losses = {f"loss/{n}": result[k].detach().numpy() for k, n in names.items() if k in result}
    model.norm_pix_loss = True
    loss = model.reconstruction_loss(views["cur"], result["pred"])
    losses["decoder/loss_norm_pix"] = loss.detach().numpy()
    if model.enable_dino:
        losses["dino/center"] = model.dino_loss_fn.center.numpy()
    gradients = {n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}
    return losses | {f"gradient/{name}": gradient for name, gradient in gradients.items()}


def schedules(model, settings: dict) -> dict:
    """The schedules of a training with DINO, and a step of the teacher's moving average.

    The step starts from the teacher's negative: of a new model, student and teacher are equal, and
    any average of them is the same.
    """
    names = (f"average_{name}" for name in ("momentum", "epochs", "iters"))
    model.init_momentum_schedule(*(settings[name] for name in names))
    for weights in model.teacher.parameters():
        weights.data.neg_()
    model.update_teacher_ema(settings["average_step"])
    teacher = dict(model.teacher.named_parameters())
    samples = [teacher[n].detach().numpy().ravel()[::STRIDE] for n in sorted(teacher)]
    return {
        "dino/temperature": np.asarray(model.dino_loss_fn.teacher_temp_schedule),
        "dino/momentum": np.asarray(model.momentum_schedule),
        "dino/average": np.concatenate(samples),
    }


def compute(torch, functions: dict, model, settings: dict, views: dict) -> dict:
    """All results by name."""
    results = {}
    with on_a_cpu(torch):
        image = functions["load_image"](settings["image"], settings["arguments"]["img_size"])
        results["image"] = functions["image_to_tensor"](image)[0].movedim(0, -1).numpy()
    if model.enable_dino:
        results["dino/views"] = np.asarray(model.dino_loss_fn.ncrops)
        model.dino_loss_fn.ncrops = sum(name.startswith("crop") for name in views)
    results |= layers(torch, model, views) | training(model, views)
    return results | (schedules(model, settings) if model.enable_dino else {})


def main(checkout: str, checkpoint: str, request: str, answer: str) -> int:
    try:
        torch, mae = prepare(checkout)
        functions = run_script(checkout)
        with np.load(request) as file:
            settings = json.loads(str(file["settings"]))
            views = {n: torch.from_numpy(file[n]) for n in file.files if n != "settings"}
        model, unknown = build(torch, mae, functions["get_model"], checkpoint, settings)
        model.eval()
        arrays = dict(model.named_buffers()) | dict(model.named_parameters()) | model.state_dict()
        weights = {n: zlib.crc32(x.detach().numpy().tobytes()) for n, x in arrays.items()}
        try:
            results = compute(torch, functions, model, settings, views)
        except Exception as error:  # it is anyone's code
            why = one_line(error)
            raise Unusable(f"it fails as the public release does not ({why}): patched?") from error
    except Unusable as error:
        print(" ".join(str(error).split()))
        return error.status
    np.savez(answer, weights=json.dumps(weights), unknown=unknown, **results)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
