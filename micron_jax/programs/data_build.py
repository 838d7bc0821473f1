"""`micron-jax data build`: a corpus of unlabeled frames, or a benchmark's clips."""

import argparse
import functools
import os
import sys
from pathlib import Path

from micron_jax.datasets.catalog import SETS, clip_set
from micron_jax.datasets.clips import KEEPS, WITH_FRAMES, describe_clips
from micron_jax.datasets.long_videos.catalog import LONG_SETS, long_set
from micron_jax.datasets.own import OWN
from micron_jax.errors import printable
from micron_jax.programs.arguments import Arguments, add_command, values_of
from micron_jax.programs.options import number
from micron_jax.programs.output import (
    LINES,
    counts,
    print_notes,
    print_reasons,
    print_report,
    write_json,
)
from micron_jax.programs.stopping import keeping

FRAMES = "unlabeled face video, to pretrain on: folders of videos or of images, or a list"
TITLES = {"frames": FRAMES} | {name: spec.title for name, spec in SETS.items()}
TITLES |= {name: spec.title for name, spec in LONG_SETS.items()}
TITLES[OWN.name] = OWN.title
EXAMPLES = """
  micron-jax data build frames --source FOLDER --data-dir DIR
  micron-jax data build frames --source clips.csv --data-dir DIR --crop whole --exclude seen.json
"""
EXAMPLE_OWN = "  micron-jax data build own --source clips.csv --data-dir DIR"
EXAMPLE = "  micron-jax data build casme2 --source FOLDER_AS_UNPACKED --data-dir DIR"


def add(commands) -> None:
    """Adds the command to those of `micron-jax data`; each set has a parser of its own."""
    text = "build a data set"
    examples = f"{EXAMPLES}{EXAMPLE}\n  micron-jax data build frames --help"
    builder = commands.add_parser("build", help=text, description=text, examples=examples)
    sets = builder.add_subparsers(required=True, metavar="SET")
    _add_frames(add_command(sets, "frames", FRAMES, EXAMPLES, _build_frames))
    for name, spec in SETS.items():
        example = EXAMPLE.replace("casme2", name)
        _add_clips(add_command(sets, name, spec.title, example, _build_clips), name)
    for name, spec in LONG_SETS.items():
        example = EXAMPLE.replace("casme2", name)
        _add_long_videos(add_command(sets, name, spec.title, example, _build_long_videos), name)
    _add_own(add_command(sets, OWN.name, OWN.title, EXAMPLE_OWN, _build_own))


def _add_frames(parser: Arguments) -> None:
    parser.option(
        "--source",
        "folder of videos or of folders of images; or a list of clips, a .csv with the column path "
        "and, if wanted, first, last, fps, name",
    )
    # A text, because it may be a bucket, gs://B/data.
    parser.option("--data-dir", required=True, type=str)
    parser.option("--size")
    parser.option("--fps")
    quality, workers = number(int, at_least=1, at_most=100), number(int, at_least=1, at_most=1024)
    parser.option("--quality", "quality of the stored JPEGs", type=quality, default=95)
    parser.option("--crop")
    parser.option(
        "--exclude",
        "clips to leave out: what `micron-jax data check NAME --corpus DIR --json` wrote, or "
        "a text with a clip or a pattern (*/depth) on each line",
        type=Path,
        metavar="FILE",
    )
    count = os.cpu_count()
    parser.option("--workers", "processes that build", type=workers, metavar="N", default=count)
    parser.option(
        "--beam_pipeline_options",
        "let Apache Beam build it: runner=DirectRunner, or "
        "runner=DataflowRunner,project=P,region=R,temp_location=gs://B/tmp, ...",
        metavar="OPTION=VALUE,...",
    )
    parser.option("--json")


def _build_frames(options: argparse.Namespace) -> int:
    from micron_jax.data.pairs import DELTA_SECONDS, pairless
    from micron_jax.datasets.frames import describe, open_frames
    from micron_jax.datasets.frames.builder import build
    from micron_jax.video.timing import ASSUMED_FPS

    with keeping("finished shards"):
        fresh = build(
            options.source,
            options.data_dir,
            **values_of(options, "size", "fps", "quality", "crop", "exclude", "workers"),
            beam=options.beam_pipeline_options,
            notify=functools.partial(print, file=sys.stderr),
        )
    corpus = describe(options.data_dir)
    _print_built(fresh, corpus)
    if "index_version" not in corpus["recipe"]:
        print("an earlier version built it, without times of frames; remove it to build it again")
    if corpus["excluded"]:
        print(f"left out (--exclude): {len(corpus['excluded']):,} clips")
    print_reasons("skipped clips", corpus["skipped"])
    print_reasons("gaps in clips (a clip is cut there)", corpus["dropped"])
    print_reasons("clips in which nothing changes", corpus.get("identical", []))
    corpus["pairless"] = pairless(open_frames(options.data_dir)[1], DELTA_SECONDS)
    low, high = DELTA_SECONDS
    title = f"clips, or parts of clips between gaps, that give no pair of {low:.3f} to {high:.3f} s"
    print_reasons(title, corpus["pairless"])
    if options.fps is not None:
        print(f"frame rate of all clips, films among them: {options.fps:g} per second (--fps)")
    elif assumed := corpus.get("assumed"):
        clips = f"clips whose files tell no frame rate, as images do not: {assumed:,}"
        print(f"{clips}; {ASSUMED_FPS:g} per second assumed (--fps)")
    print_notes(corpus.get("notes", []))  # former sets have none
    write_json(options.json, corpus | {"folder": str(corpus["folder"])})
    return 0


def _add_clips(parser: Arguments, name: str) -> None:
    text = "the folder of the benchmark, as unpacked; for --keep labels its sheet is enough"
    parser.option("--source", text)
    parser.option("--data-dir", required=True)
    parser.option("--sheet", "the workbook, if there are several that fit", type=Path)
    parser.option("--frames", "the folder of frames, if several fit (raw, cropped)", type=Path)
    text = "clip: all frames; pair: onset and apex; labels: the sheet alone, for --config.features"
    parser.option("--keep", text, choices=KEEPS)
    parser.flag("--strict", "refuse rows that cannot be used")
    parser.set_defaults(name=name)


def _build_clips(options: argparse.Namespace) -> int:
    from micron_jax.datasets.clips_builder import build_clips

    fresh = build_clips(
        clip_set(options.name),
        options.source,
        options.data_dir,
        **values_of(options, "keep", "strict", "sheet", "frames"),
        others=SETS.values(),
    )
    _print_clips(fresh, describe_clips(options.data_dir, options.name, options.keep))
    return 0


def _add_long_videos(parser: Arguments, name: str) -> None:
    text = "the folder of the sheet and the videos, as unpacked; or the sheet alone"
    parser.option("--source", text, type=Path)
    parser.option("--data-dir", required=True)
    parser.option("--sheet", "the workbook, if there are several that fit", type=Path)
    parser.option("--frames", "the folder of videos, if several fit (raw, cropped)", type=Path)
    parser.option("--json")
    parser.set_defaults(name=name)


def _build_long_videos(options: argparse.Namespace) -> int:
    from micron_jax.datasets.long_videos.build import build_truth, table_of
    from micron_jax.datasets.long_videos.check import check_truth, lines

    fresh, truth, about = build_truth(
        long_set(options.name),
        options.source,
        options.data_dir,
        **values_of(options, "sheet", "frames"),
    )
    report = check_truth(truth, about)
    path = table_of(options.data_dir, options.name)
    text = f"{'built' if fresh else 'already built'}: {path}"
    print_report([text, *lines(report)], report, options.json)
    return 0


def _add_own(parser: Arguments) -> None:
    parser.option(
        "--source",
        "the table, a clip a row, with the columns subject, clip, path, onset, apex, offset, label "
        "and, if wanted, fps, au, set, split; `micron-jax data list own` describes them",
    )
    parser.option("--data-dir", required=True)
    parser.option("--keep", choices=WITH_FRAMES)
    parser.flag("--strict", "refuse rows that cannot be used")


def _build_own(options: argparse.Namespace) -> int:
    from micron_jax.datasets.own.build import build_own

    fresh = build_own(options.source, options.data_dir, **values_of(options, "keep", "strict"))
    _print_clips(fresh, describe_clips(options.data_dir, OWN.name, options.keep))
    return 0


def _print_clips(fresh: bool, clips: dict) -> None:
    _print_built(fresh, clips)
    emotions = ", ".join(f"{name} {count}" for name, count in clips["emotions"].items())
    print(f"subjects: {clips['subjects']}, emotions: {emotions}")
    for note in clips["notes"]:
        print(printable(f"note: {note}"))
    if still := clips["apex_is_onset"]:
        more = ", ..." if len(still) > LINES else ""
        print(f"apex at the onset (two equal frames, no motion): {len(still):,} of the clips:")
        print(printable(f"  {', '.join(still[:LINES])}{more}"))
    for title, key in (
        ("mended", "mended"),
        ("skipped", "skipped"),
        ("kept with gaps", "gaps"),
        ("kept, but nothing changes in it", "identical"),
    ):
        entries = clips.get(key, ())  # an earlier version did not look for `identical`
        if entries:
            print(f"{title}: {len(entries):,}")
        for entry in entries:  # all: each is a sample
            reason = entry["reason"]
            if key == "mended":
                reason = (
                    f"{entry['field']} {entry['was'] or '(empty)'} -> {entry['now']} ({reason})"
                )
            print(printable(f"  row {entry['row']}, {entry['clip']}: {reason}"))


def _print_built(fresh: bool, built: dict) -> None:
    print(f"{'built' if fresh else 'already built'}: {built['folder']}")
    print(counts(built))
