"""Ours beside the PyTorch release: the same step, batch and device, in turns."""

import contextlib
import dataclasses
import datetime
import os
import re
from pathlib import Path

from micron_jax.benchmarks import alternate
from micron_jax.benchmarks.worker import Failed, Worker
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
# What jax takes of a GPU beforehand the other sides would miss.
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
    """Times ours and, given a checkout, the release, each in a process of its own.

    Args:
      kind: `train`, a whole step, or `extract`, the encoder's tokens of frames.
      config: architecture, batch size and, for `train`, the rest.
      dtype: ours' (elsewhere, on a CPU); None is the config's.
      checkout: of the release.
      ways: some of `WAYS`; the first is the one that ours is measured by, the others are told
        besides, as far as they work.
      rounds, seconds: see `turns.measure`.

    Returns:
      {"ours", "theirs", "ratio", "memory_ratio", "mfu": ours', "others": by way, and what was
      measured: "kind", "way" of theirs, "batch", "size", "dtype" of ours, "flops_per_sample",
      "device", "rounds", "date"}. `theirs` and the ratios are None without a checkout, an `mfu` is
      None where the device's peak is not known. A side has what `turns.measure` says and
      "flops_per_second", "mfu", "compile_seconds" and "versions"; one of "others" that does not
      work has "failed" alone.

    Raises:
      UserError: no torch, no checkout, a setting that the release does not have, or memory does
        not suffice.
    """
    asked = _release_request(kind, config, checkout) if checkout else None
    environ = _ENVIRON | {"CUDA_VISIBLE_DEVICES": _first_gpu()}
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
        if asked and facts["platform"] not in ("cpu", "gpu"):
            raise UserError(f"--release: the release does not run on a {facts['platform']}")
        for way in ways if asked else ():
            try:
                workers[way] = start(
                    way, "step_torch", asked | {"way": way, "platform": facts["platform"]}
                )
            except Failed as error:
                if way == ways[0]:
                    raise UserError(f"{checkout}, {way}: {error}") from error
                failed[way] = {"failed": str(error)}
        try:
            found = alternate.measure(
                list(workers.values()), samples=config.batch_size, rounds=rounds, seconds=seconds
            )
        except Failed as error:
            raise UserError(f"a side broke off: {error}") from error
    flops = _flops(kind, config)
    sides = {
        name: told | _efficiency(told, flops, facts["peak_flops"]) | _about(worker.facts)
        for (name, worker), told in zip(workers.items(), found, strict=True)
    }
    ours = sides.pop("ours")
    for side in sides.values():
        side["ratio"] = alternate.ratio(ours, side)
        side["memory_ratio"] = ours["peak_bytes"] / side["peak_bytes"]
    theirs = sides.pop(ways[0], None)
    return {
        "ours": ours,
        "theirs": theirs,
        "ratio": theirs and theirs["ratio"],
        "memory_ratio": theirs and theirs["memory_ratio"],
        "mfu": ours["mfu"],
        "others": sides | failed,
        "kind": kind,
        "way": ways[0] if asked else None,
        "batch": config.batch_size,
        "size": config.model.img_size,
        "dtype": facts["dtype"],
        "flops_per_sample": flops,
        "device": device(facts),
        "rounds": rounds,
        "date": datetime.date.today().isoformat(),
    }


def device(facts: dict) -> str:
    """In words, from what a side said of it."""
    if facts["platform"] != "cpu":
        return facts["device"]
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return f"{len(os.sched_getaffinity(0))} cores of {found[1] if found else 'a CPU'}"


def _first_gpu() -> str:
    """Of several the sides share one."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


def _release_request(kind: str, config: PretrainConfig, checkout: Path) -> dict:
    """What `theirs.prepare` gets, but for the way; refuses what the release does not have."""
    check_checkout(checkout)
    model, views = config.model, config.views
    if kind == "train":
        if config.objective.agreement == "mse":
            raise UserError("--release: config.objective.agreement='mse': the release has no such")
        lacks = [*differences(model), *(["It has no motion branch."] if model.band else [])]
        if lacks:
            raise UserError(f"--release: not the release's model. {lacks[0]}")
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


def _flops(kind: str, config: PretrainConfig) -> float:
    if kind == "train":
        return train_flops(config.model, config.views, config.objective)
    return encode_flops(config.model, config.model.img_size)


def _efficiency(told: dict, flops: float, peak: float | None) -> dict:
    done = flops * told["samples_per_second"]
    return {"flops_per_second": done, "mfu": done / peak if peak else None}


def _about(facts: dict) -> dict:
    """Theirs compile in their first step, if at all."""
    compile_seconds = facts.get("compile_seconds", facts["first_seconds"] - facts["step_seconds"])
    return {"compile_seconds": max(compile_seconds, 0.0), "versions": facts["versions"]}
