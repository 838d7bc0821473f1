"""`micron-jax bench train | extract`: the words of the commands, and their table."""

import argparse
from pathlib import Path

from micron_jax.programs.arguments import add_command
from micron_jax.programs.options import read_recipe
from micron_jax.programs.output import percent, print_report

TEXTS = {
    "train": "measure the train step beside the PyTorch release's, on the same device and batch",
    "extract": "measure the features beside the PyTorch release's, on the same device and batch",
}
EXAMPLES = """
  micron-jax bench {kind} --release Micron-BERT
  micron-jax bench {kind} --config.model.size=base --config.model.remat=blocks --json {kind}.json
"""
_WAYS = ("eager", "autocast", "compile", "compile-autocast")


def add(kinds) -> None:
    """Adds the commands to those of `micron-jax bench`."""
    for kind, text in TEXTS.items():
        parser = add_command(
            kinds,
            kind,
            text,
            EXAMPLES.format(kind=kind),
            _run,
            description=f"{text}: samples/s in turns, FLOP/s, peak memory, compile time. On a CPU "
            "the dtype is float32 unless it is given.",
            takes_settings=True,
        )
        text = "folder of a checkout of the PyTorch release; without: only our speed"
        parser.option("--release", text, type=Path, metavar="CHECKOUT")
        parser.option(
            "--against",
            f"ways to run the release, some of {', '.join(_WAYS)}; the ratio is to the first",
            choices=_WAYS,
            nargs="+",
            metavar="WAY",
            default=["eager", "autocast", "compile"],
        )
        parser.option("--config", default="pretrain_release", required=False)
        parser.count("--batch", {"train": 2, "extract": 4}[kind], "samples of a step")
        parser.count("--size", 224, "side of the frames, in pixels")
        parser.count("--rounds", 5, "rounds of turns, of which the medians are printed")
        parser.option("--seconds", default=1.0)
        parser.option("--json")
        parser.set_defaults(kind=kind)


def _run(options: argparse.Namespace) -> int:
    from micron_jax.training.config import parse

    chosen = any(setting.startswith("model.dtype=") for setting in options.settings)
    options.settings += [f"batch_size={options.batch}", f"model.img_size={options.size}"]
    config = parse(read_recipe(options, "pretrain", "data.data_dir=DIR"))  # no data are read

    from micron_jax.benchmarks import step_speed

    report = step_speed.measure(
        options.kind,
        config,
        dtype=None if chosen else (config.model.dtype, "float32"),
        checkout=options.release,
        ways=tuple(dict.fromkeys(options.against)),
        rounds=options.rounds,
        seconds=options.seconds,
    )
    print_report(table(report), report, options.json)
    return 0


def table(report: dict) -> list[str]:
    """Formats a report of `step_speed.measure`."""
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
    return (
        f"{name:<28}{side['samples_per_second']:10.3f}{100 * side['spread']:6.0f} %"
        f"{side['flops_per_second'] / 1e9:9.0f}{percent(side['mfu']):>7}"
        f"{side['peak_bytes'] / 2**20:9,.0f} MiB{side['compile_seconds']:10.1f} s"
    )
