"""`micron-jax data`: its subcommands; `list` and `check`."""

import argparse
from pathlib import Path

from micron_jax.datasets.catalog import SETS, clip_set
from micron_jax.datasets.clips import KEEPS, built_keep, describe_clips
from micron_jax.datasets.long_videos.catalog import LONG_SETS
from micron_jax.datasets.own import OWN
from micron_jax.errors import UserError
from micron_jax.programs import data_build, data_flow, data_make
from micron_jax.programs.arguments import Arguments, add_command
from micron_jax.programs.output import counts, print_report

CHECK = """
  micron-jax data check frames --data-dir DIR
  micron-jax data check casme2 --data-dir DIR --corpus DIR --json seen.json
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax data",
        "Build data sets, list and check them, crop faces, make a set with known truth.",
        "  micron-jax data list\n  micron-jax data build --help",
    )
    commands = parser.add_subparsers(
        required=True, metavar="(list | build | check | faces | stills | synth | flow)"
    )
    _add_list(commands)
    data_build.add(commands)
    _add_check(commands)
    data_make.add(commands)
    data_flow.add(commands)
    options = parser.parse_args(argv)
    return options.run(options)


def _add_list(commands) -> None:
    text = "list the data sets that can be built, and those that are built"
    examples = "  micron-jax data list casme2\n  micron-jax data list --data-dir DIR"
    parser = add_command(commands, "list", text, examples, _list)
    text = "a benchmark: tell where to ask for it and where to put it"
    parser.option("name", text, nargs="?")
    parser.option("--data-dir", "also list what is built in this folder")


def _list(options: argparse.Namespace) -> int:
    if options.data_dir and not options.data_dir.is_dir():
        raise UserError(f"--data-dir {options.data_dir} is not a folder")
    if options.name:
        texts = {"frames": data_build.FRAMES, OWN.name: OWN.instructions}
        texts |= {name: spec.instructions for name, spec in LONG_SETS.items()}
        print(texts.get(options.name) or clip_set(options.name).instructions)
        return 0
    for name, line in data_build.TITLES.items():
        print(f"{name:<12}{line}")
    if options.data_dir:
        print(f"\nbuilt in {options.data_dir}:")
        print("\n".join(_built_sets(options.data_dir)) or "nothing")
    return 0


def _built_sets(data_dir: Path) -> list[str]:
    from micron_jax.datasets.frames import describe

    corpus = describe(data_dir)
    lines = [f"frames    {counts(corpus)}, {corpus['folder']}"] if corpus else []
    for name in (*SETS, OWN.name):
        for keep in filter(None, (built_keep(data_dir, name, keep) for keep in KEEPS)):
            described = describe_clips(data_dir, name, keep)
            mark = "synthetic, " if described.get("synthetic") else ""
            lines.append(f"{name:<12}{mark}{counts(described)}, {described['folder']}")
    return lines + _built_truths(data_dir)


def _built_truths(data_dir: Path) -> list[str]:
    from micron_jax.datasets.long_videos.build import is_built, open_truth, table_of

    lines = []
    for name in (name for name in LONG_SETS if is_built(data_dir, name)):
        numbers = open_truth(data_dir, name)[0].counts()
        text = ", ".join(f"{key}: {number:,}" for key, number in numbers.items())
        lines.append(f"{name:<12}{text}, {table_of(data_dir, name)}")
    return lines


def _add_check(commands) -> None:
    text = "check what a built set holds, and tell what is wrong with it"
    parser = add_command(commands, "check", text, CHECK, _check)
    parser.option(
        "name",
        "a built set: frames, casme2, samm, smic_hs, casme3, ..., own; casme_sq, samm_lv, "
        "casme3_lv",
    )
    parser.option("--data-dir", required=True)
    text = "of frames: how many frames to decode"
    parser.option("--sample", text, type=_sample, metavar="(N | all)", default="200000")
    parser.option("--json")
    parser.option("--protocol", "compare with these counts only", metavar="NAME")
    text = "look for the benchmark's subjects in the unlabeled corpus (frames) built there"
    parser.option("--corpus", text, type=Path, metavar="DIR")


def _sample(text: str) -> int | None:
    """A number of frames; None: all."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give 1 or more, or all")
    return int(text)


def _check(options: argparse.Namespace) -> int:
    if options.name in LONG_SETS:
        return _check_long_videos(options)
    from micron_jax.datasets.check import check, lines

    report = check(options.name, options.data_dir, options.protocol, options.corpus, options.sample)
    print_report(lines(report), report, options.json)
    return 0


def _check_long_videos(options: argparse.Namespace) -> int:
    from micron_jax.datasets.long_videos.build import open_truth
    from micron_jax.datasets.long_videos.check import check_truth, lines

    for name in ("protocol", "corpus"):
        if getattr(options, name) is not None:
            raise UserError(f"--{name} does not go with {options.name}, a truth of spotting")
    report = check_truth(*open_truth(options.data_dir, options.name))
    print_report(lines(report), report, options.json)
    return 0
