"""`micron-jax data`: build data sets, list and check them, crop faces, make a set with truth."""

import argparse
from pathlib import Path

from micron_jax.datasets.catalog import SETS, clip_set
from micron_jax.datasets.clips import KEEPS, built_keep, describe_clips
from micron_jax.errors import UserError
from micron_jax.programs import print_reasons, write_json
from micron_jax.programs.data_arguments import arguments

DATASETS = {
    "frames": "unlabeled face video, to pretrain on: folders of videos or of images, or a list"
} | {name: spec.title for name, spec in SETS.items()}


def main(argv: list[str]) -> int:
    """Runs one of the subcommands; returns the exit status."""
    options = arguments(DATASETS).parse_args(argv)
    run = {"list": _list, "build": _build, "check": _check, "faces": _faces}
    run |= {"stills": _stills, "synth": _synth}
    return run[options.command](options)


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
    _writable(options.json)
    from micron_jax.datasets.frames import describe
    from micron_jax.datasets.frames.builder import build

    fresh = build(
        options.source,
        options.data_dir,
        size=options.size,
        fps=options.fps,
        quality=options.quality,
        crop=options.crop,
        exclude=options.exclude,
        workers=options.workers,
        beam=options.beam_pipeline_options,
    )
    built = describe(options.data_dir)
    _built(fresh, built)
    if built["excluded"]:
        print(f"left out (--exclude): {len(built['excluded']):,} clips")
    print_reasons("skipped clips", built["skipped"])
    print_reasons("gaps in clips (a clip is cut there)", built["dropped"])
    if options.json:
        write_json(options.json, built | {"folder": str(built["folder"])})
    return 0


def _build_clips(options: argparse.Namespace) -> int:
    from micron_jax.datasets.clips_builder import build_clips

    fresh = build_clips(
        clip_set(options.name),
        options.source,
        Path(options.data_dir),
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
    _writable(options.json)
    from micron_jax.datasets.check import check
    from micron_jax.datasets.check_text import lines

    report = check(options.name, options.data_dir, options.protocol, options.corpus, options.sample)
    print("\n".join(lines(report)))
    if options.json:
        write_json(options.json, report)
    return 0


def _faces(options: argparse.Namespace) -> int:
    from micron_jax.faces.crop_clips import crop_all
    from micron_jax.video.images import CROPS, SHEET

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


def _stills(options: argparse.Namespace) -> int:
    from micron_jax.synthetic.stills import make_stills

    count, left_out = make_stills(options.faces, options.output, size=options.size)
    print(f"made: {options.output}, {count} faces")
    print_reasons("faces left out", _faces_left_out(left_out))
    return 0


def _faces_left_out(entries: list[dict]) -> list[dict]:
    return [{"clip": entry["face"], "reason": entry["reason"]} for entry in entries]


def _synth(options: argparse.Namespace) -> int:
    from micron_jax.synthetic.dataset import make_dataset

    made = make_dataset(
        options.faces,
        options.output,
        subjects=options.subjects,
        clips=options.clips,
        seed=options.seed,
        amplitudes=options.amplitudes,
        split=options.split,
        pair_only=options.keep == "pair",
    )
    clips = made["clips"]
    frames, still = sum(clip["frames"] for clip in clips), sum(c["kind"] == "still" for c in clips)
    splits = [person["split"] for person in made["people"]]
    parted = ", ".join(f"{splits.count(name)} {name}" for name in ("train", "val", "test"))
    print(f"made: {options.output}")
    print(f"people: {len(splits)} ({parted}), clips: {len(clips)}, of these motionless: {still}")
    print(f"frames: {frames:,}; what moved: {options.output / 'truth.json'}")
    if not options.split and not all(splits.count(name) for name in ("train", "val", "test")):
        print("a split is empty: people of one picture or sub-folder are never parted")
    print_reasons("faces left out", _faces_left_out(made["left_out"]))
    return 0


def _writable(report: Path | None) -> None:
    if report and (report.is_dir() or not report.parent.is_dir()):
        raise UserError(f"--json {report}: name a file in a folder that exists")


def _counts(built: dict) -> str:
    return f"clips: {built['clips']:,}, frames: {built['frames']:,}, bytes: {built['bytes']:,}"
