"""The `.safetensors` of a folder: `model.safetensors`, or the files that an index names.

`model.safetensors.index.json` is the Hugging Face Hub's way to split a large network: its
`weight_map` tells in which file each array is.
"""

import json
import re
from pathlib import Path

from micron_jax.errors import UserError

ARRAYS = "model.safetensors"
INDEX = f"{ARRAYS}.index.json"
_NAME = re.compile(r"[\w-][\w.-]*\.safetensors")  # no path that leads out of the folder
_MOST = 1000  # files


def files_of(folder: Path) -> list[Path]:
    """The files that hold a folder's arrays; one is `model.safetensors`, where there is no index.

    Raises:
      UserError: there is none, or the index is damaged or names a file that is not there.
    """
    if (folder / ARRAYS).is_file():
        return [folder / ARRAYS]
    index = folder / INDEX
    if not index.is_file():
        raise UserError(f"{folder}: no {ARRAYS}, so not a converted checkpoint")
    try:
        names = sorted({*json.loads(index.read_text("utf-8"))["weight_map"].values()})
        valid = all(isinstance(name, str) and _NAME.fullmatch(name) for name in names)
        if not (valid and 0 < len(names) <= _MOST):
            raise ValueError("its weight_map names no .safetensors of this folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{index}: cannot be read ({error}); download the folder again") from error
    files = [folder / name for name in names]
    if missing := [file.name for file in files if not file.is_file()]:
        raise UserError(
            f"{folder}: no {missing[0]}, which {INDEX} names; download the folder again"
        )
    return files
