"""`micron-jax bench input`: the words of the command, and its table."""

import argparse

from micron_jax.errors import UserError
from micron_jax.programs.arguments import add_command, values_of
from micron_jax.programs.output import print_report

TEXT = "measure pairs a second from disk, beside a PyTorch DataLoader that makes the ten crops"


def add(kinds) -> None:
    """Adds the command to those of `micron-jax bench`."""
    examples = "  micron-jax bench input\n  micron-jax bench input --data-dir DIR --alone"
    parser = add_command(kinds, "input", TEXT, examples, _run)
    parser.option("--data-dir", "folder of a built corpus; without: a corpus is drawn")
    parser.count("--batch", 64, "pairs in a batch")
    parser.count("--size", 224, "side of drawn frames, in pixels, a multiple of 8", at_least=16)
    parser.count("--threads", 4, "our threads that read ahead")
    parser.count("--workers", 0, "our processes that read ahead", at_least=0)
    parser.count("--rounds", 5, "rounds of turns, of which the medians are printed")
    parser.option("--seconds", default=3.0)
    parser.flag("--alone", "measure without the DataLoader")
    parser.option("--json")


def _run(options: argparse.Namespace) -> int:
    if options.size % 8:
        raise UserError(f"--size {options.size}: must be a multiple of 8")

    from micron_jax.benchmarks import input_speed

    names = ("size", "batch", "threads", "workers", "rounds", "seconds")
    numbers = values_of(options, *names)
    report = input_speed.measure(options.data_dir, peer=not options.alone, **numbers)
    print_report(table(report), report, options.json)
    return 0


def table(report: dict) -> list[str]:
    """Formats a report of `input_speed.measure`."""
    lines = [
        f"input: batch {report['batch']}, {report['size']} px, JPEGs of "
        f"{report['jpeg_bytes'] / 1000:.0f} kB, {report['device']}, {report['rounds']} rounds, "
        f"{report['date']}",
        "",
        f"{'':<28}{'pairs/s':>10}{'a core':>10}{'spread':>8}",
    ]
    for name, side in (("ours", report["ours"]), ("DataLoader, ten crops", report["theirs"])):
        if side:
            lines.append(
                f"{name:<28}{side['samples_per_second']:10,.0f}{side['per_core']:10,.0f}"
                f"{100 * side['spread']:6.0f} %"
            )
    lines += ["", f"decoding alone would let a core reach {report['decode_limit']:,.0f} pairs/s"]
    if report["theirs"]:
        lines.append(f"ours is {report['ratio']:.2f} times as fast")
    return lines
