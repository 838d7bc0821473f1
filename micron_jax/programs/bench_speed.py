"""`micron-jax bench train | extract`: the words of the commands, and their table."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs import write_json

TEXTS = {
    "train": "the train step beside the PyTorch release's, on the same device and batch",
    "extract": "the encoder's features beside the PyTorch release's, on the same device and batch",
}
EXAMPLES = """
  micron-jax bench {kind} --release Micron-BERT
  micron-jax bench {kind} --config.model.size=base --config.model.remat=blocks --json {kind}.json
"""
_WAYS = ("eager", "autocast", "compile", "compile-autocast")


def add(kinds) -> None:
    """Adds the commands to those of `micron-jax bench`."""
    for kind, text in TEXTS.items():
        parser = kinds.add_parser(
            kind,
            help=text,
            description=text + ": samples/s in turns, FLOP/s, peak memory, compile time. Any "
            "setting of the config: --config.FIELD=VALUE. On a CPU the dtype is float32 unless it "
            "is given.",
            examples=EXAMPLES.format(kind=kind),
        )
        parser.add_argument(
            "--release", type=Path, metavar="CHECKOUT", help="of the release; without: ours alone"
        )
        parser.add_argument(
            "--against",
            nargs="+",
            choices=_WAYS,
            metavar="WAY",
            default=["eager", "autocast", "compile"],
            help=f"ways the release runs, of {', '.join(_WAYS)}; the ratio is to the first "
            "(%(default)s)",
        )
        parser.add_argument(
            "--config", default="pretrain_release", help="a file or a recipe (%(default)s)"
        )
        for option, default, text in (
            ("--batch", {"train": 2, "extract": 4}[kind], "samples of a step (%(default)s)"),
            ("--size", 224, "of the frames, px (%(default)s)"),
            ("--rounds", 5, "of turns, of which the medians are told (%(default)s)"),
        ):
            parser.add_argument(option, type=int, default=default, help=text)
        parser.add_argument(
            "--seconds", type=float, default=1.0, help="of a turn; one step or more (%(default)s)"
        )
        parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there too")
        parser.set_defaults(run=run, kind=kind, settings=())


def run(options: argparse.Namespace) -> int:
    for name in ("batch", "size", "rounds", "seconds"):
        if not 0 < getattr(options, name) < 2**20:
            raise UserError(f"--{name} {getattr(options, name)}: needed is more than 0")

    from micron_jax import config as configs
    from micron_jax.training.config import parse

    settings = ["--config.data.data_dir=DIR", *options.settings]  # no data are read
    settings += [f"--config.batch_size={options.batch}", f"--config.model.img_size={options.size}"]
    config = parse(configs.override(configs.load(options.config), settings))
    given = any(setting.startswith("--config.model.dtype") for setting in options.settings)
    if config.model.img_size % config.model.patch_size:
        raise UserError(f"--size {options.size}: is no multiple of {config.model.patch_size}")

    from micron_jax.benchmarks import step_speed

    report = step_speed.measure(
        options.kind,
        config,
        dtype=None if given else (config.model.dtype, "float32"),
        checkout=options.release,
        ways=tuple(dict.fromkeys(options.against)),
        rounds=options.rounds,
        seconds=options.seconds,
    )
    print("\n".join(table(report)))
    if options.json:
        write_json(options.json, report)
    return 0


def table(report: dict) -> list[str]:
    """What is printed of a report of `speed.measure`."""
    lines = [
        f"{report['kind']}: batch {report['batch']}, {report['size']} px, {report['device']}, "
        f"{report['rounds']} rounds, {report['date']}",
        "",
        f"{'':<28}{'samples/s':>10}{'spread':>8}{'GFLOP/s':>9}{'MFU':>7}{'peak memory':>13}"
        f"{'first step':>12}{'ours is':>9}",
        _row(f"ours, {report['dtype']}", report["ours"]),
    ]
    sides = {report["way"]: report["theirs"]} if report["theirs"] else {}
    for way, side in (sides | report["others"]).items():
        lines.append(
            f"{'release, ' + way:<28}does not work: {side['failed']}"
            if "failed" in side
            else _row(f"release, {way}", side) + f"{side['ratio']:8.2f}x"
        )
    versions = report["ours"]["versions"]
    if report["theirs"]:
        versions = versions | report["theirs"]["versions"]
        lines += [
            "",
            f"ours is {report['ratio']:.2f} times as fast as the release ({report['way']}), in "
            f"{report['memory_ratio']:.2f} of its memory",
        ]
    lines.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    return lines


def _row(name: str, side: dict) -> str:
    mfu = "-" if side["mfu"] is None else f"{100 * side['mfu']:.1f} %"
    return (
        f"{name:<28}{side['samples_per_second']:10.3f}{100 * side['spread']:6.0f} %"
        f"{side['flops_per_second'] / 1e9:9.0f}{mfu:>7}{side['peak_bytes'] / 2**20:9,.0f} MiB"
        f"{side['compile_seconds']:10.1f} s"
    )
