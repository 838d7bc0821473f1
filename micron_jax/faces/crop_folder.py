"""The folder of `data faces`: what is finished in it, and where things go."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from micron_jax.errors import UserError
from micron_jax.faces.crop import FORMER_KINDS
from micron_jax.files import write_whole
from micron_jax.video import clip_files

MARK = ".crop.json"  # in a clip's folder, which is finished then


def folders(names: list[str]) -> dict[str, str]:
    """Where each clip's crops go, below the output.

    It is the clip's name. A folder of images that has other clips below it gets a folder of its
    own beside them, so that a clip's folder holds nothing but the clip.
    """
    parents = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    taken, chosen = set(names) | parents, {}
    for name in names:
        place = name
        if name == "." or name in parents:
            place = str(PurePosixPath(name, "images"))
            while place in taken:
                place += "_"
        taken.add(place)
        chosen[name] = place
    return chosen


def earlier(output: Path, settings: dict) -> dict[str, Any]:
    """What an earlier run with the same settings left in `output`, or an empty report."""
    path = output / clip_files.CROPS
    if not path.exists():
        if any(not entry.name.startswith(".") for entry in output.iterdir()):
            raise UserError(f"--output {output} holds something else; name a new folder")
        return {**settings, "clips": [], "skipped": []}
    try:
        report = json.loads(path.read_text())
        was = {name: report[name] for name in settings}
        was["crop"] = FORMER_KINDS.get(was["crop"], was["crop"])
        clips = [c for c in report["clips"] if (output / c["folder"] / MARK).is_file()]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a report of `data faces`; name another --output") from None
    differ = [name for name in settings if was[name] != settings[name]]
    if differ:
        told = ", ".join(f"{name} {was[name]}" for name in differ if was[name] is not None)
        raise UserError(
            f"--output {output} holds crops of other settings ({told}); "
            "give the same, remove it, or name another folder"
        )
    return {**settings, "clips": clips, "skipped": []}


def finished(folder: Path, clip: clip_files.ClipFiles) -> dict | None:
    """The entry of a clip that was cropped before; None: it was not.

    Raises:
      UserError: it was, and has changed since.
    """
    try:
        entry = json.loads((folder / MARK).read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if entry["source"] != facts(clip):
        raise UserError(
            f"{clip.path} is not what was cropped before; remove {folder} to crop it anew, "
            "or name another --output"
        )
    return entry


def facts(clip: clip_files.ClipFiles) -> dict[str, int]:
    return {"files": clip.files, "bytes": clip.bytes}


def write_json(path: Path, value: Any) -> None:
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())
