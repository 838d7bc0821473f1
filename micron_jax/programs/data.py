"""`micron-jax data`: build data sets, list and check them, crop faces, make a set with truth."""

import argparse
from pathlib import Path

from micron_jax.datasets.catalogue import SETS, builder_class
from micron_jax.datasets.clips import KEEPS, built_keep, describe_clips
from micron_jax.errors import UserError
from micron_jax.programs import Arguments, print_reasons, write_json

DATASETS = {
    "frames": "unlabelled face video, to pretrain on: any folder of videos or image folders"
} | {name: spec.title for name, spec in SETS.items()}


def main(argv: list[str]) -> int:
    """Runs `data list`, `build`, `check`, `faces` or `synth`; returns the exit status."""
    options = _arguments().parse_args(argv)
    return options.run(options)


def _arguments() -> Arguments:
    parser = Arguments(prog="micron-jax data", description=__doc__)
    commands = parser.add_subparsers(
        required=True, metavar="(list | build | check | faces | synth)"
    )

    lister = commands.add_parser("list", help="the data sets we can build, and what is built")
    lister.add_argument("name", nargs="?", help="a benchmark: where to ask for it, where to put it")
    lister.add_argument("--data-dir", type=Path, help="look here for what is built")
    lister.set_defaults(run=_list)

    builder = commands.add_parser("build", help="build a data set")
    builder.add_argument("name", help=f"one of: {', '.join(DATASETS)}")
    for option, kind, default, text in (
        ("--source", Path, None, "folder of videos or image folders; of a benchmark: as unpacked"),
        ("--data-dir", Path, None, "folder of the built sets"),
        ("--size", int, 224, "frames: side of the face crops, in pixels (%(default)s)"),
        ("--fps", float, 30.0, "frames: rate of image folders (%(default)s)"),
        ("--quality", int, 95, "frames: of the stored JPEGs, 1 to 100 (%(default)s)"),
    ):
        required = default is None
        builder.add_argument(option, type=kind, default=default, required=required, help=text)
    for option, text in (
        ("--sheet", "benchmark: the workbook, where several fit"),
        ("--frames", "benchmark: the folder of frames, where several fit (raw, cropped)"),
    ):
        builder.add_argument(option, type=Path, help=text)
    builder.add_argument(
        "--keep", choices=KEEPS, default="clip", help="benchmark: all frames, or onset and apex"
    )
    builder.add_argument(
        "--strict", action="store_true", help="benchmark: refuse rows that cannot be used"
    )
    builder.set_defaults(run=_build)

    checker = commands.add_parser("check", help="what a built set holds, and what is wrong with it")
    checker.add_argument("name", help="a built set: frames, casme2, samm, smic_hs, casme3, ...")
    checker.add_argument("--data-dir", type=Path, required=True, help="folder of the built sets")
    checker.add_argument("--json", type=Path, metavar="OUT", help="write the report there as well")
    checker.add_argument("--protocol", metavar="P", help="compare with this one's counts only")
    checker.add_argument(
        "--corpus",
        type=Path,
        metavar="DIR",
        help="look for the benchmark's subjects in the unlabelled corpus (`frames`) built there",
    )
    checker.set_defaults(run=_check)

    text = "crop the face out of every clip: one crop a clip, held, as a folder of JPEGs"
    cropper = commands.add_parser("faces", help=text, description=text)
    for option, kind, default, text in (
        ("--source", Path, None, "folder of videos or image folders"),
        ("--output", Path, None, "folder to be made, or gone on with"),
        ("--size", int, 224, "side of the crops, in pixels (%(default)s)"),
    ):
        required = default is None
        cropper.add_argument(option, type=kind, default=default, required=required, help=text)
    cropper.add_argument(
        "--crop",
        choices=("ours", "release"),
        default="ours",
        help="ours: aligned, brow to chin; release: the whole frame, resized to a square as the "
        "PyTorch release reads it (%(default)s)",
    )
    cropper.add_argument("--sheet", action="store_true", help="make contact_sheet.png, too")
    cropper.set_defaults(run=_faces)

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
    if options.name:
        _known(options.name)
        print(SETS[options.name].instructions if options.name in SETS else DATASETS[options.name])
        return 0
    for name, line in DATASETS.items():
        print(f"{name:<10}{line}")
    if options.data_dir is None:
        return 0
    from micron_jax.datasets.frames import describe

    print(f"\nbuilt in {options.data_dir}:")
    built = describe(options.data_dir)
    lines = [f"frames    {_counts(built)}, {built['folder']}"] if built else []
    for name in SETS:
        for keep in filter(None, (built_keep(options.data_dir, name, keep) for keep in KEEPS)):
            built = describe_clips(options.data_dir, name, keep)
            lines.append(f"{name:<10}{_counts(built)}, {built['folder']}")
    print("\n".join(lines) or "nothing")
    return 0


def _build(options: argparse.Namespace) -> int:
    _known(options.name)
    return _build_clips(options) if options.name in SETS else _build_frames(options)


def _known(name: str) -> None:
    if name not in DATASETS:
        raise UserError(f"no data set {name!r}; there are: {', '.join(DATASETS)}")


def _build_frames(options: argparse.Namespace) -> int:
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
    _built(fresh, built)
    print_reasons("skipped clips", built["skipped"])
    print_reasons("dropped frames (a clip is cut there)", built["dropped"])
    return 0


def _build_clips(options: argparse.Namespace) -> int:
    from micron_jax.datasets.clips_builder import build_clips

    fresh = build_clips(
        builder_class(options.name),
        options.source,
        options.data_dir,
        keep=options.keep,
        strict=options.strict,
        sheet=options.sheet,
        frames=options.frames,
        others=SETS.values(),
    )
    built = describe_clips(options.data_dir, options.name, options.keep)
    _built(fresh, built)
    emotions = ", ".join(f"{name} {count}" for name, count in built["emotions"].items())
    print(f"subjects: {built['subjects']}, emotions: {emotions}")
    for note in built["notes"]:
        print(f"note: {note}")
    if built["mended"]:
        print(f"mended: {len(built['mended']):,}")
    for entry in built["mended"]:
        change = f"{entry['field']} {entry['was'] or '(empty)'} -> {entry['now']}"
        print(f"  row {entry['row']}, {entry['clip']}: {change} ({entry['reason']})")
    for what, entries in (("skipped", built["skipped"]), ("kept with gaps", built["gaps"])):
        if entries:
            print(f"{what}: {len(entries):,}")
        for entry in entries:  # all: each is a sample that is missed
            print(f"  row {entry['row']}, {entry['clip']}: {entry['reason']}")
    return 0


def _built(fresh: bool, built: dict) -> None:
    print(f"{'built' if fresh else 'already built'}: {built['folder']}")
    print(_counts(built))


def _check(options: argparse.Namespace) -> int:
    if options.json and (options.json.is_dir() or not options.json.parent.is_dir()):
        raise UserError(f"--json {options.json}: name a file in a folder that exists")
    from micron_jax.datasets.check import check
    from micron_jax.datasets.check_text import lines

    report = check(options.name, options.data_dir, options.protocol, options.corpus)
    print("\n".join(lines(report)))
    if options.json:
        write_json(options.json, report)
    return 0


def _faces(options: argparse.Namespace) -> int:
    from micron_jax.data.cropping import crop_all
    from micron_jax.data.images import CROPS, SHEET

    made = crop_all(
        options.source,
        options.output,
        size=options.size,
        kind=options.crop,
        sheet=options.sheet,
    )
    clips = made["clips"]
    print(f"crops: {options.output}")
    print(
        f"clips: {len(clips):,} (of these just now: {made['fresh']:,}), "
        f"frames: {sum(clip['frames'] for clip in clips):,}"
    )
    print(f"where the faces were: {options.output / CROPS}")
    if options.sheet:
        print(f"to look at: {options.output / SHEET}")
    print_reasons("skipped clips", made["skipped"])
    dropped = [{"clip": c["clip"], "reason": d["reason"]} for c in clips for d in c["dropped"]]
    print_reasons("dropped frames", dropped)
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
    print_reasons("faces left out", left_out)
    return 0


def _counts(built: dict) -> str:
    return f"clips: {built['clips']:,}, frames: {built['frames']:,}, bytes: {built['bytes']:,}"
