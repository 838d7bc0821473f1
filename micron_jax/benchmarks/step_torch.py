"""Worker process: the PyTorch release's own model, step by step.

Forward and backward pass are the release's. It has no training loop, so AdamW, clipping and the
order of a step are the usual ones of PyTorch and DINO. The teacher is frozen, as in DINO's own
script: the release's class keeps its gradients, which costs memory and has no use. Views are made
beforehand and do not count.
"""

import contextlib
import functools
import sys

from micron_jax.benchmarks.worker import Failed, Side, serve
from micron_jax.parity import torch_process


class _OnDevice(Side):
    """The common part: the release's class with random weights, on a device, run in one way."""

    def __init__(self, request: dict):
        try:
            self.torch, mae = torch_process.prepare(request["checkout"])
        except torch_process.Unusable as error:
            raise Failed(str(error)) from error
        torch, way = self.torch, request["way"]
        if request["platform"] == "gpu" and not torch.cuda.is_available():
            raise Failed(f"torch {torch.__version__} sees no GPU: install a build with CUDA")
        self.device = "cuda" if request["platform"] == "gpu" else "cpu"
        torch.manual_seed(0)
        norm = functools.partial(torch.nn.LayerNorm, eps=1e-6)
        self.model = mae.MaskedAutoencoderViT(norm_layer=norm, **request["arguments"])
        self.model.to(self.device)
        self.compile = torch.compile if "compile" in way else lambda function: function
        self.autocast = (
            functools.partial(torch.autocast, self.device, torch.bfloat16)
            if "autocast" in way
            else contextlib.nullcontext
        )
        self.facts = {"versions": {"torch": torch.__version__}}

    def images(self, batch: int, side: int):
        return self.torch.randn(batch, 3, side, side, device=self.device)

    def wait(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def peak_bytes(self) -> int:
        if self.device == "cuda":
            return self.torch.cuda.max_memory_allocated()
        return super().peak_bytes()


class Train(_OnDevice):
    """A training step: losses, gradients, clipping, AdamW, the teacher's average."""

    def __init__(self, request: dict):
        super().__init__(request)
        torch, model, batch = self.torch, self.model.train(), request["batch"]
        side, settings = request["arguments"]["img_size"], request["optimizer"]
        self.views = {f"{name}_frame": self.images(batch, side) for name in ("rep", "ref", "cur")}
        self.views |= {"masks": None}
        if model.enable_dino:
            sides = [side] * 2 + [request["local_size"]] * request["arguments"][
                "local_crops_number"
            ]
            self.views["ref_frame_dino"] = [self.images(batch, side) for side in sides]
            model.init_momentum_schedule(request["teacher_momentum"], 1, 100_000)
            model.teacher.requires_grad_(False)
        from models.dino import get_params_groups  # of the checkout

        groups = get_params_groups(model)
        decays = (settings["weight_decay"], 0.0)
        for group, decay in zip(groups, decays, strict=True):
            group["weight_decay"] = decay
        self.optimizer = torch.optim.AdamW(
            groups, settings["learning_rate"], (settings["b1"], settings["b2"]), settings["eps"]
        )
        self.trained = [p for group in groups for p in group["params"]]
        self.clip_norm, self.steps = settings["clip_norm"], 0
        self.forward = self.compile(model)

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss = self.forward(self.views, 0)["loss"]
        loss.backward()
        if self.clip_norm:
            self.torch.nn.utils.clip_grad_norm_(self.trained, self.clip_norm)
        self.optimizer.step()
        self.model.update_teacher_ema(self.steps)
        self.steps += 1
        self.wait()


class Extract(_OnDevice):
    """The release's `extract_features`."""

    def __init__(self, request: dict):
        super().__init__(request)
        self.frames = self.images(request["batch"], request["arguments"]["img_size"])
        self.model.eval()
        self.forward = self.compile(self.model.extract_features)

    def step(self) -> None:
        with self.autocast():
            self.forward(self.frames)
        self.wait()


def prepare(request: dict) -> Train | Extract:
    """Makes the side of a request.

    Args:
      request: {"kind": `train` or `extract`, "checkout", "platform": JAX's name, "way": one of
        `step_speed.WAYS`, "batch", "arguments": of the release's class, "optimizer": an
        `OptimizerConfig` as a dict, "local_size", "teacher_momentum"}.
    """
    return {"train": Train, "extract": Extract}[request["kind"]](request)


if __name__ == "__main__":
    sys.exit(serve(prepare))
