"""Worker process: our train step, or features, at growing batches until the memory is full.

One process takes all batches of a series; after each of them OUT.json is whole.
"""

import gc
import json
import sys
from pathlib import Path

from micron_jax import config
from micron_jax.benchmarks.worker import forget_peak, measure_in_turns, reason_of, turn
from micron_jax.files import write_json

_ROUNDS = 3


class _Here:
    """A side in this process, as `measure_in_turns` asks for one."""

    def __init__(self, side):
        self.side = side

    def run(self, seconds: float) -> dict:
        return turn(self.side, seconds) | {"peak_bytes": self.side.peak_bytes()}


def sweep(request: dict, path: Path) -> None:
    """Measures batch after batch, and ends at the first that fails.

    Args:
      request: {"kind": `train` or `extract`, "recipe", "settings": of the recipe, as on a command
        line, "batches", "seconds": of each of three turns}.
      path: of the result, {"dtype", "device", "rows": [{"batch", "samples_per_second", "spread",
        "step_seconds", "peak_bytes", "mfu", "compile_seconds"}, or {"batch", "failed"}]}.
    """
    rows = []
    for batch in request["batches"]:
        forget_peak()
        facts, row = _measure(request, batch)
        rows.append({"batch": batch} | row)
        write_json(path, facts | {"rows": rows})
        print(rows[-1], flush=True)
        if "failed" in row:
            return
        _forget_programs()


def _measure(request: dict, batch: int) -> tuple[dict, dict]:
    """Returns facts on the device, and the figures of one batch."""
    import dataclasses

    from micron_jax.benchmarks import step_jax
    from micron_jax.training.config import parse
    from micron_jax.training.flops import encode_flops, train_flops

    settings = [*request["settings"], f"batch_size={batch}", "data.data_dir=DIR"]
    recipe = parse(config.override(config.load(request["recipe"]), settings))
    kind, values = request["kind"], dataclasses.asdict(recipe)
    try:
        dtype = (recipe.model.dtype, "float32")
        side = step_jax.prepare({"kind": kind, "config": values, "dtype": dtype})
        for _ in range(2):
            side.step()
        (figures,) = measure_in_turns(
            [_Here(side)], samples=batch, rounds=_ROUNDS, seconds=request["seconds"]
        )
    except Exception as error:  # the memory is full, or a kernel does not exist here
        return {}, {"failed": reason_of(error)}
    peak = side.facts["peak_flops"]
    flops = (
        train_flops(recipe.model, recipe.views, recipe.objective)
        if kind == "train"
        else encode_flops(recipe.model, recipe.model.img_size)
    )
    del figures["rates"]
    figures["mfu"] = flops * figures["samples_per_second"] / peak if peak else None
    figures["compile_seconds"] = side.facts["compile_seconds"]
    return {name: side.facts[name] for name in ("dtype", "device")}, figures


def _forget_programs() -> None:
    import jax

    jax.clear_caches()
    gc.collect()


if __name__ == "__main__":
    sweep(json.loads(sys.argv[2]), Path(sys.argv[1]))
