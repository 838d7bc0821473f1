"""`micron-jax data`: build data sets, list them, and make one with known truth."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs import Arguments

DATASETS = {
    "frames": "unlabelled face video, to pretrain on: any folder of videos or image folders"
}
LINES = 10  # of reasons, before "and N more"


def main(argv: list[str]) -> int:
    """Runs `data list`, `data build` or `data synth`; returns the exit status."""
    options = _arguments().parse_args(argv)
    return options.run(options)


def _arguments() -> Arguments:
    parser = Arguments(prog="micron-jax data", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="(list | build | synth)")

    lister = commands.add_parser("list", help="the data sets we can build, and what is built")
    lister.add_argument("--data-dir", type=Path, help="look here for what is built")
    lister.set_defaults(run=_list)

    builder = commands.add_parser("build", help="build a data set")
    builder.add_argument("name", help=f"one of: {', '.join(DATASETS)}")
    for option, kind, default, text in (
        ("--source", Path, None, "folder of videos or image folders, at any depth"),
        ("--data-dir", Path, None, "folder of the built sets"),
        ("--size", int, 224, "side of the face crops, in pixels (%(default)s)"),
        ("--fps", float, 30.0, "frame rate of image folders (%(default)s)"),
        ("--quality", int, 95, "of the stored JPEGs, 1 to 100 (%(default)s)"),
    ):
        required = default is None
        builder.add_argument(option, type=kind, default=default, required=required, help=text)
    builder.set_defaults(run=_build)

    text = "make a data set with known truth, laid out as CASME II's, from pictures of faces"
    synth = commands.add_parser("synth", help=text, description=text)
    for option, kind, default, text in (
        ("--faces", Path, None, "folder of pictures, each face of which becomes a person"),
        ("--output", Path, None, "folder to be made"),
        ("--clips", int, 8, "of each person (%(default)s)"),
        ("--seed", int, 0, "same seed, same bytes (%(default)s)"),
    ):
        required = default is None
        synth.add_argument(option, type=kind, default=default, required=required, help=text)
    synth.add_argument("--subjects", type=int, help="how many people (all there are)")
    synth.set_defaults(run=_synth)
    return parser


def _list(options: argparse.Namespace) -> int:
    if options.data_dir and not options.data_dir.is_dir():
        raise UserError(f"--data-dir {options.data_dir} is not a folder")
    for name, line in DATASETS.items():
        print(f"{name:<10}{line}")
    if options.data_dir is None:
        return 0
    from micron_jax.datasets.frames import describe

    print(f"\nbuilt in {options.data_dir}:")
    built = describe(options.data_dir)
    print(f"frames    {_counts(built)}, {built['folder']}" if built else "nothing")
    return 0


def _build(options: argparse.Namespace) -> int:
    if options.name not in DATASETS:
        raise UserError(f"no data set {options.name!r}; there are: {', '.join(DATASETS)}")
    from micron_jax.datasets.frames import describe
    from micron_jax.datasets.frames.builder import build

    fresh = build(
        options.source,
        options.data_dir,
        size=options.size,
        fps=options.fps,
        quality=options.quality,
    )
    built = describe(options.data_dir)
    print(f"{'built' if fresh else 'already built'}: {built['folder']}")
    print(_counts(built))
    _reasons("skipped clips", built["skipped"])
    _reasons("dropped frames (a clip is cut there)", built["dropped"])
    return 0


def _synth(options: argparse.Namespace) -> int:
    from micron_jax.data.synthetic import make

    made = make(
        options.faces,
        options.output,
        subjects=options.subjects,
        clips=options.clips,
        seed=options.seed,
    )
    clips = made["clips"]
    frames, still = sum(clip["frames"] for clip in clips), sum(c["kind"] == "still" for c in clips)
    splits = [person["split"] for person in made["people"]]
    parted = ", ".join(f"{splits.count(name)} {name}" for name in ("train", "val", "test"))
    print(f"made: {options.output}")
    print(f"people: {len(splits)} ({parted}), clips: {len(clips)}, of these motionless: {still}")
    print(f"frames: {frames:,}; what moved: {options.output / 'truth.json'}")
    if not all(splits.count(name) for name in ("train", "val", "test")):
        print("a split is empty: people of one picture or sub-folder are never parted")
    left_out = [{"clip": entry["face"], "reason": entry["reason"]} for entry in made["left_out"]]
    _reasons("faces left out", left_out)
    return 0


def _counts(built: dict) -> str:
    return f"clips: {built['clips']:,}, frames: {built['frames']:,}, bytes: {built['bytes']:,}"


def _reasons(what: str, entries: list[dict]) -> None:
    if entries:
        print(f"{what}: {len(entries):,}")
    for entry in entries[:LINES]:
        print(f"  {entry['clip']}: {entry['reason']}")
    if len(entries) > LINES:
        print(f"  and {len(entries) - LINES:,} more")
