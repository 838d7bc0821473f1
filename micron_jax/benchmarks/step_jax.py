"""Worker process: our train step or our features, step by step."""

import dataclasses
import importlib.metadata
import sys
import time

import jax
import numpy as np

from micron_jax.benchmarks.worker import Side, serve
from micron_jax.checkpoints.weights import Weights
from micron_jax.config import build
from micron_jax.pretrained import MicronBert
from micron_jax.training.config import PretrainConfig
from micron_jax.training.flops import peak_flops
from micron_jax.training.jitted import jit_functions
from micron_jax.training.sharding import MeshConfig, make_mesh
from micron_jax.training.state import init_params
from micron_jax.training.workdir import release_compiler_memory


class _OnDevice(Side):
    """The common part: one device, random frames, peak memory."""

    def __init__(self, request: dict):
        self.config = build(PretrainConfig, request["config"])
        self.device = jax.devices()[0]
        if request["dtype"]:
            dtype = request["dtype"][self.device.platform == "cpu"]
            model = self.config.model.computed_in(dtype)
            self.config = dataclasses.replace(self.config, model=model)
        side, rng = self.config.model.img_size, np.random.default_rng(0)
        shape = (2, self.config.batch_size, side, side, 3)
        self.frames = rng.integers(0, 256, shape, dtype=np.uint8)
        self.facts = {
            "platform": self.device.platform,
            "device": self.device.device_kind,
            "peak_flops": peak_flops(self.device.device_kind),
            "dtype": self.config.model.dtype,
            "versions": {name: importlib.metadata.version(name) for name in ("jax", "flax")},
        }

    def peak_bytes(self) -> int:
        stats = self.device.memory_stats() or {}
        return stats.get("peak_bytes_in_use") or super().peak_bytes()


class Train(_OnDevice):
    """The train step of `micron-jax pretrain`, from uint8 pairs and with their views."""

    def __init__(self, request: dict):
        super().__init__(request)
        mesh = make_mesh(MeshConfig(), devices=[self.device])
        functions = jit_functions(self.config, mesh, steps_per_epoch=1000, total_steps=100_000)
        self.state = functions.init()
        frames = dict(zip(("cur", "ref"), self.frames, strict=True))
        self.batch = jax.device_put(frames, functions.batch_sharding)
        begin = time.perf_counter()
        self.compiled = functions.train.lower(functions.state, self.batch).compile()
        self.facts["compile_seconds"] = time.perf_counter() - begin
        release_compiler_memory()  # as `pretrain` does

    def step(self) -> None:
        self.state, metrics = self.compiled(self.state, self.batch)
        jax.block_until_ready((self.state, metrics))


class Extract(_OnDevice):
    """`MicronBert.features`, as `micron-jax extract` calls it."""

    def __init__(self, request: dict):
        super().__init__(request)
        params = jax.jit(lambda key: init_params(self.config.model, key))(jax.random.key(0))
        nothing = np.zeros((1, 0), np.float32)
        encoder = {"encoder": params["encoder"]}
        self.model = MicronBert(Weights(self.config.model, encoder, {}, nothing, {}))
        self.frames = jax.device_put(self.frames[0], self.device)
        begin = time.perf_counter()
        self.step()
        self.facts["compile_seconds"] = time.perf_counter() - begin

    def step(self) -> None:
        jax.block_until_ready(self.model.features(self.frames))


def prepare(request: dict) -> Train | Extract:
    """Makes the side of a request.

    Args:
      request: {"kind": `train` or `extract`, "config": a `PretrainConfig` as nested dicts, "dtype":
        None for the config's, or a pair (on accelerators, on a CPU)}.
    """
    return {"train": Train, "extract": Extract}[request["kind"]](request)


if __name__ == "__main__":
    sys.exit(serve(prepare))
