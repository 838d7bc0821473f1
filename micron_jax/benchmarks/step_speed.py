"""Speed of a step beside the PyTorch release's, with the same batch and device, in turns."""

import contextlib
import dataclasses
import datetime
import os
import re
from pathlib import Path

from micron_jax.benchmarks.worker import Failed, Worker, measure_in_turns, ratio
from micron_jax.checkpoints.release_architecture import class_arguments, differences
from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError
from micron_jax.parity.live import check_checkout
from micron_jax.training.config import PretrainConfig
from micron_jax.training.flops import encode_flops, train_flops

WAYS = {
    "eager": "as its class computes, float32",
    "autocast": "under bfloat16 autocast",
    "compile": "under torch.compile, float32",
    "compile-autocast": "under torch.compile and bfloat16 autocast",
}
# JAX must leave the GPU's memory to the other sides.
_ENVIRON = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def measure(
    kind: str,
    config: PretrainConfig,
    *,
    dtype: tuple[str, str] | None,
    checkout: Path | None,
    ways: tuple[str, ...],
    rounds: int,
    seconds: float,
) -> dict:
    """Measures ours and, given a checkout, the release, each in a process of its own.

    Args:
      kind: `train`, a whole step, or `extract`, the encoder's tokens of frames.
      config: architecture, batch size and, for `train`, the rest.
      dtype: of ours: (on accelerators, on a CPU); None: the config's.
      ways: some of `WAYS`; the ratios are to the first, the others are measured if they work.
      rounds, seconds: see `worker.measure_in_turns`.

    Returns:
      {"ours", "theirs": the first way, "ratio", "memory_ratio", "mfu": of ours, "others": way ->
      side, "kind", "way", "batch", "size", "dtype" of ours, "flops_per_sample", "device",
      "rounds", "date"}. A side has the figures of `measure_in_turns`, "flops_per_second", "mfu",
      "compile_seconds" and "versions", or "failed" alone. `theirs` and the ratios are None without
      a checkout, an `mfu` is None if the device's peak is unknown.

    Raises:
      UserError: no torch, no checkout, a setting that the release does not have, or not enough
        memory.
    """
    of_release = _release_request(kind, config, checkout) if checkout else None
    first_gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]  # of all sides
    environ = _ENVIRON | {"CUDA_VISIBLE_DEVICES": first_gpu}
    request = {"kind": kind, "config": dataclasses.asdict(config), "dtype": dtype}
    failed = {}
    with contextlib.ExitStack() as stack:

        def start(name: str, module: str, request: dict) -> Worker:
            return stack.enter_context(Worker(name, module, request, environ=environ))

        try:
            workers = {"ours": start("ours", "step_jax", request)}
        except Failed as error:
            raise UserError(f"ours: {error}") from error
        facts = workers["ours"].facts
        if of_release and facts["platform"] not in ("cpu", "gpu"):
            raise UserError(f"{checkout}: the release does not run on a {facts['platform']}")
        for way in ways if of_release else ():
            try:
                workers[way] = start(
                    way, "step_torch", of_release | {"way": way, "platform": facts["platform"]}
                )
            except Failed as error:
                if way == ways[0]:
                    raise UserError(f"{checkout}, {way}: {error}") from error
                failed[way] = {"failed": str(error)}
        results = measure_in_turns(
            list(workers.values()), samples=config.batch_size, rounds=rounds, seconds=seconds
        )
    flops = (
        train_flops(config.model, config.views, config.objective)
        if kind == "train"
        else encode_flops(config.model, config.model.img_size)
    )
    sides = {
        name: figures
        | _efficiency(figures, flops, facts["peak_flops"])
        | _compilation(worker.facts)
        for (name, worker), figures in zip(workers.items(), results, strict=True)
    }
    jax_side = sides.pop("ours")
    for side in sides.values():
        side["ratio"] = ratio(jax_side, side)
        side["memory_ratio"] = jax_side["peak_bytes"] / side["peak_bytes"]
    release_side = sides.pop(ways[0], None)
    return {
        "ours": jax_side,
        "theirs": release_side,
        "ratio": release_side and release_side["ratio"],
        "memory_ratio": release_side and release_side["memory_ratio"],
        "mfu": jax_side["mfu"],
        "others": sides | failed,
        "kind": kind,
        "way": ways[0] if of_release else None,
        "batch": config.batch_size,
        "size": config.model.img_size,
        "dtype": facts["dtype"],
        "flops_per_sample": flops,
        "device": device(facts),
        "rounds": rounds,
        "date": datetime.date.today().isoformat(),
    }


def device(facts: dict) -> str:
    """Returns the name of the device, from a side's facts."""
    if facts["platform"] != "cpu":
        return facts["device"]
    try:
        model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        model = None
    return f"{len(os.sched_getaffinity(0))} cores of {model[1] if model else 'a CPU'}"


def _release_request(kind: str, config: PretrainConfig, checkout: Path) -> dict:
    """Returns the request of `step_torch.prepare` without the way.

    Raises:
      UserError: the release has no such setting.
    """
    check_checkout(checkout)
    model, views = config.model, config.views
    if kind == "train":
        if config.objective.agreement == "mse":
            raise UserError("config.objective.agreement='mse': the release has no such agreement")
        if lacks := differences(model):
            raise UserError(f"config.model: not the release's model. {lacks[0]}")
    parts = {"encoder": {}, "decoder": {}}
    arguments = class_arguments(Weights(model, parts, {}, None, {}))
    arguments |= {
        "local_crops_number": views.local_crops,
        "enable_dino": bool(model.projection_dim),
    }
    if kind == "extract":
        arguments |= {"has_decoder": False, "enable_dino": False}
    return {
        "kind": kind,
        "checkout": str(checkout.absolute()),
        "arguments": arguments,
        "batch": config.batch_size,
        "local_size": views.local_size,
        "optimizer": dataclasses.asdict(config.optimizer),
        "teacher_momentum": config.objective.teacher_momentum,
    }


def _efficiency(figures: dict, flops: float, peak: float | None) -> dict:
    rate = flops * figures["samples_per_second"]
    return {"flops_per_second": rate, "mfu": rate / peak if peak else None}


def _compilation(facts: dict) -> dict:
    # PyTorch compiles, if at all, in the first step.
    compile_seconds = facts.get("compile_seconds", facts["first_seconds"] - facts["step_seconds"])
    return {"compile_seconds": max(compile_seconds, 0.0), "versions": facts["versions"]}
