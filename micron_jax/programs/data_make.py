"""`micron-jax data faces | stills | synth`: crops, and micro-expressions with known truth."""

import argparse
from pathlib import Path

from micron_jax.datasets.clips import WITH_FRAMES
from micron_jax.errors import UserError
from micron_jax.programs.arguments import add_command, values_of
from micron_jax.programs.output import print_notes, print_reasons
from micron_jax.programs.stopping import keeping, writing_whole

SYNTH = """
  micron-jax data synth --faces FOLDER --output synthetic
  micron-jax data synth --faces FOLDER --output still --amplitudes 0.5,1,2 --split test --keep pair
  micron-jax data synth --films FOLDER --output films --codecs none,h264_phone
"""
SPLITS = ("train", "val", "test")


def add(commands) -> None:
    """Adds the commands to those of `micron-jax data`."""
    text = "crop the face out of every clip, with one crop for a clip, into a folder of JPEGs"
    example = "  micron-jax data faces --source FOLDER --output faces --sheet"
    parser = add_command(commands, "faces", text, example, _faces)
    parser.option("--source", "folder of videos or of folders of images")
    parser.option("--output", "folder to make; a folder of an earlier call is continued")
    parser.option("--size")
    parser.option("--crop")
    parser.flag("--sheet", "also draw contact_sheet.png")

    text = "crop every face of every picture: clips of one still, for a corpus without video"
    example = "  micron-jax data stills --faces FOLDER --output stills"
    parser = add_command(commands, "stills", text, example, _stills)
    parser.option("--faces")
    parser.option("--output")
    parser.option("--size", default=448)
    text = "frames of each clip: a corpus makes one pair fewer of it"
    parser.count("--frames", 2, text, at_least=2)

    text = "make micro-expressions with known truth: a data set laid out as CASME II's, from "
    text += "pictures of faces; or films, from films of faces"
    parser = add_command(commands, "synth", text, SYNTH, _synth)
    parser.option("--faces", required=False)
    text = "folder of films: expressions are inserted into them; with --faces, into stills, too"
    parser.option("--films", text, type=Path)
    parser.option("--output")
    parser.count("--clips", 8, "clips of each person, or of each film")
    text = "of everything random; the same seed gives the same bytes"
    parser.count("--seed", 0, text, at_least=0)
    parser.option("--subjects", "people to make; without: all", type=int, metavar="N")
    parser.option(
        "--amplitudes",
        "largest displacements of an expression, of which each has one; without: any "
        "from 0.5 to 3 px, and of films from 0.25 to 5 px",
        type=_amplitudes,
        metavar="PX,...",
        default=(),
    )
    parser.option("--split", "put everyone in this split; without: 60/20/20 %%", choices=SPLITS)
    parser.option("--keep", choices=WITH_FRAMES)
    text = (
        "of --films: none, h264_low, h264_phone, h264_high, vp9, mjpeg; a clip goes through one; "
    )
    text += "without: all of them"
    parser.option("--codecs", text, type=lambda text: tuple(text.split(",")), metavar="NAME,...")
    parser.option("--seconds", "of --films: length of a clip; without: any from 2 to 8")


def _faces(options: argparse.Namespace) -> int:
    from micron_jax.faces.crop_clips import crop_all
    from micron_jax.video.clip_files import CROPS, SHEET

    settings = {"size": options.size, "kind": options.crop, "sheet": options.sheet}
    with keeping("clips that are done"):
        report = crop_all(options.source, options.output, **settings)
    clips = report["clips"]
    print(f"crops: {options.output}")
    frames = sum(clip["frames"] for clip in clips)
    print(f"clips: {len(clips):,} (of these just now: {report['fresh']:,}), frames: {frames:,}")
    print(f"where the faces were: {options.output / CROPS}")
    if options.sheet:
        print(f"to look at: {options.output / SHEET}")
    print_reasons("skipped clips", report["skipped"])
    dropped = [{"clip": c["clip"], "reason": d["reason"]} for c in clips for d in c["dropped"]]
    print_reasons("dropped frames", dropped)
    same = [{"clip": c["clip"], "reason": c["identical"]} for c in clips if c.get("identical")]
    print_reasons("clips in which nothing changes", same)
    print_notes(report["notes"])
    return 0


def _stills(options: argparse.Namespace) -> int:
    from micron_jax.synthetic.stills import make_stills

    with writing_whole(options.output):
        count, left_out = make_stills(
            options.faces, options.output, **values_of(options, "size", "frames")
        )
    print(f"made: {options.output}, {count} faces")
    _print_left_out(left_out)
    return 0


def _amplitudes(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give numbers, as 0.5,1,2") from None


def _synth(options: argparse.Namespace) -> int:
    if options.films:
        return _films(options)
    if not options.faces:
        raise UserError("give --faces FOLDER of pictures, or --films FOLDER, or both")
    for name in ("codecs", "seconds"):
        if getattr(options, name) is not None:
            raise UserError(f"--{name} goes with --films")
    from micron_jax.synthetic.dataset import make_dataset

    with writing_whole(options.output):
        report = make_dataset(
            options.faces,
            options.output,
            **values_of(options, "subjects", "clips", "seed", "amplitudes", "split"),
            pair_only=options.keep == "pair",
        )
    clips = report["clips"]
    frames, still = sum(clip["frames"] for clip in clips), sum(c["kind"] == "still" for c in clips)
    splits = [person["split"] for person in report["people"]]
    parts = ", ".join(f"{splits.count(name)} {name}" for name in SPLITS)
    print(f"made: {options.output}")
    print(f"people: {len(splits)} ({parts}), clips: {len(clips)}, of these motionless: {still}")
    print(f"frames: {frames:,}; what moved: {options.output / 'truth.json'}")
    if not options.split and not all(splits.count(name) for name in SPLITS):
        print("a split is empty: people of one picture or sub-folder are never parted")
    _print_left_out(report["left_out"])
    return 0


def _films(options: argparse.Namespace) -> int:
    if options.subjects is not None or options.keep != "clip":
        raise UserError("--subjects and --keep pair go with --faces alone, not with --films")
    from micron_jax.synthetic.film_dataset import make_films

    more = {"codec_names": options.codecs} if options.codecs is not None else {}
    with writing_whole(options.output):
        report = make_films(
            options.films,
            options.output,
            faces_folder=options.faces,
            **values_of(options, "clips", "seed", "seconds", "amplitudes", "split"),
            **more,
        )
    films = report["films"]
    kinds = [film["kind"] for film in films]
    parts = ", ".join(f"{kinds.count(name)} {name}" for name in dict.fromkeys(kinds))
    split_of = {film["group"]: film["split"] for film in films}
    splits = ", ".join(f"{[*split_of.values()].count(name)} {name}" for name in SPLITS)
    print(f"made: {options.output}")
    print(f"clips: {len(films)} ({parts}), each with its control")
    count = sum(len(film["expressions"]) for film in films)
    print(f"groups of films or pictures: {len(split_of)} ({splits}), expressions: {count}")
    print(f"what moved: {options.output / 'truth.json'}, {options.output / 'intervals.csv'}")
    if not options.split and not all(name in split_of.values() for name in SPLITS):
        print("a split is empty: films of one folder, and people of one picture, are never parted")
    _print_left_out(report["left_out"])
    return 0


def _print_left_out(entries: list[dict]) -> None:
    entries = [{"clip": entry["face"], "reason": entry["reason"]} for entry in entries]
    print_reasons("faces left out", entries)
