"""`micron-jax plan`: needs and cost of a pretraining, before anyone pays."""

import dataclasses
import time

from micron_jax.errors import UserError
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import number, read_recipe
from micron_jax.programs.output import write_json

EXAMPLES = """
  micron-jax plan --config pretrain_pod --topology v5e:16x16
  micron-jax plan --config pretrain_paper --topology h100:8 --find-batch --config.model.size=base
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax plan",
        "Compile the train step of a recipe for TPUs that are not here, or estimate it "
        "for GPUs: memory, FLOPs, collectives, the least time a step takes. No device is used.",
        EXAMPLES,
        takes_settings=True,
    )
    parser.option("--config")
    text = "chips: v5e:16x16, v6e:4x4, v4:2x2x2, v5p:4x4x4, h100:8, ..."
    parser.option("--topology", text, required=True)
    frames = number(float, at_least=1, at_most=1e15)
    parser.option("--frames", "frames of the corpus", type=frames, default=8e6)
    parser.flag("--find-batch", "find the largest batch that fits on a device")
    parser.flag(
        "--tuned",
        "compile for a TPU with the compiler's whole effort, as a run does; it takes many "
        "minutes. Without it FLOPs and collectives are the same, memory and bytes nearly so",
    )
    parser.option("--json")
    arguments = parser.parse_args(argv)

    from micron_jax.planning.chips import parse_topology
    from micron_jax.training.config import parse

    topology = parse_topology(arguments.topology)
    config = parse(read_recipe(arguments, "pretrain", "data.data_dir=DIR"))  # no data are read

    from micron_jax.planning import batch, steps
    from micron_jax.planning.report import make_report, table

    steps.prepare(topology)
    devices = steps.devices_of(topology)

    def attempt(samples: float):
        """A step of so many samples a device: of GPUs estimated, of TPUs compiled, and a line."""
        resized = dataclasses.replace(config, batch_size=round(samples * topology.count))
        if not topology.is_tpu:
            return steps.estimate_step(resized, topology, devices)
        begin = time.perf_counter()
        print(
            f"compiling for {topology.name}, {samples:g} samples a device ...", end=" ", flush=True
        )
        step = steps.compile_step(resized, topology, devices, tuned=arguments.tuned)
        verdict = "fits" if step.fits else f"needs {step.needed / 2**30:.1f} GiB, too much"
        print(f"{verdict} ({time.perf_counter() - begin:.0f} s)", flush=True)
        return step

    more = {}
    if arguments.find_batch:
        first = max(config.batch_size // topology.count, 1)
        largest, step = batch.largest_batch(attempt, first)
        if not largest:
            raise UserError(
                f"{topology.name}: not even one sample a device fits; raise config.mesh.fsdp"
            )
        config = dataclasses.replace(config, batch_size=largest * topology.count)
        more = {"largest_batch_per_device": largest}
    else:
        step = attempt(config.batch_size / topology.count)
    report = more | make_report(config, topology, step, frames=arguments.frames)
    if isinstance(step, steps.TooLarge):
        print("does not fit: lower config.batch_size, or let --find-batch look for one that does")
    else:
        print(table(report, topology))
    write_json(arguments.json, report)
    return 0
