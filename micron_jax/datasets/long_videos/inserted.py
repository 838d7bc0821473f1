"""The truth of films with inserted expressions, as `data synth --films` writes them.

Each film and its control are videos; in a control there is no expression, so that whatever is
detected there is false. People are the groups of films and pictures, which share no face.
"""

import json
from pathlib import Path

from micron_jax.datasets.long_videos.times import MICRO
from micron_jax.datasets.long_videos.truth import Expression, Truth, Video
from micron_jax.errors import UserError

FILE = "truth.json"


def is_inserted(path: Path) -> bool:
    """Tells whether a path is a folder of such films, or the file of their truth."""
    return (path / FILE).is_file() or path.name == FILE


def read_inserted(path: Path, split: str | None = None) -> Truth:
    """Reads the truth; frames count from 0.

    Args:
      path: the folder, or its `truth.json`.
      split: of these films only: train, val or test.

    Raises:
      UserError: it cannot be read, or holds no film of this split.
    """
    path = path / FILE if path.is_dir() else path
    truth = Truth([], [])
    try:
        films = json.loads(path.read_text("utf-8"))["films"]
        for film in films:
            if split not in (None, film["split"]):
                continue
            facts = {"set": "", "fps": float(film["fps"]), "first": 0, "last": film["frames"] - 1}
            for name in ("film", "control"):
                place = str(path.parent / film[name])
                truth.videos.append(Video(film[name], str(film["group"]), path=place, **facts))
            for one in film["expressions"]:
                times = (float(one[key]) for key in ("onset", "apex", "offset"))
                truth.expressions.append(Expression(len(truth.videos) - 2, *times, MICRO))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} is no truth of data synth with films ({reason})") from error
    if not truth.expressions:
        which = f" of split {split}" if split else ""
        raise UserError(f"{path}: no film{which} with an expression")
    return truth
