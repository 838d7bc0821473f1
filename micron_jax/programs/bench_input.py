"""`micron-jax bench input`: the words of the command, and its table."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs import write_json

TEXT = "pairs a second from the disk, beside a PyTorch DataLoader that makes the ten crops itself"


def add(kinds) -> None:
    """Adds the command to those of `micron-jax bench`."""
    examples = "  micron-jax bench input\n  micron-jax bench input --data-dir DIR --alone"
    parser = kinds.add_parser("input", help=TEXT, description=TEXT, examples=examples)
    parser.add_argument("--data-dir", type=Path, help="of a built corpus; without: one is drawn")
    for option, default, text in (
        ("--batch", 64, "pairs in one (%(default)s)"),
        ("--size", 224, "of drawn frames, px, a multiple of 8 (%(default)s)"),
        ("--threads", 4, "of ours that read ahead (%(default)s)"),
        ("--workers", 0, "processes of ours that read ahead (%(default)s)"),
        ("--rounds", 5, "of turns, of which the medians are told (%(default)s)"),
    ):
        parser.add_argument(option, type=int, default=default, help=text)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn, about (%(default)s)")
    parser.add_argument("--alone", action="store_true", help="without the DataLoader")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there as well")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    for name in ("batch", "size", "threads", "rounds", "seconds"):
        if not 0 < getattr(options, name) < 2**20:
            raise UserError(f"--{name} {getattr(options, name)}: needed is more than 0")
    if options.size % 8 or options.size < 16:
        raise UserError(f"--size {options.size}: needed is a multiple of 8 from 16 on")

    from micron_jax.benchmarks import input_speed

    names = ("size", "batch", "threads", "workers", "rounds", "seconds")
    report = input_speed.measure(
        options.data_dir,
        peer=not options.alone,
        **{name: getattr(options, name) for name in names},
    )
    print("\n".join(table(report)))
    if options.json:
        write_json(options.json, report)
    return 0


def table(report: dict) -> list[str]:
    """What is printed of a report of `pairs.measure`."""
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
