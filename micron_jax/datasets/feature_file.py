"""A file of features that another program has computed, a row a clip."""

import dataclasses
from pathlib import Path

import numpy as np

from micron_jax import npz
from micron_jax.datasets.joining import ClipName
from micron_jax.datasets.names import NO_CLASS
from micron_jax.datasets.sheets.cells import clean
from micron_jax.datasets.vendor_files import sha256_of
from micron_jax.errors import UserError

TEXTS = ("set", "clip", "subject", "label")


@dataclasses.dataclass(frozen=True)
class FeatureFile:
    """The rows of a file.

    Attributes:
      clips: of each row; `dataset` is empty where the file has no array `set`.
      labels: of each row, as they are written; None: the file has none.
      x: float32 [n, F].
      shape: of `x` in the file.
    """

    path: Path
    clips: list[ClipName]
    labels: list[str] | None
    x: np.ndarray
    shape: tuple[int, ...]
    sha256: str

    @property
    def about(self) -> dict:
        """The file as the provenance of a run names it."""
        return {"file": self.path.name, "sha256": self.sha256, "shape": list(self.shape)}


def read(path: Path) -> FeatureFile:
    """Reads an `.npz` with the arrays `clip` and `x` [n, ...], and `set`, `subject`, `label`.

    Raises:
      UserError: it cannot be read; an array is missing, of another length or of another kind; a
        number is not finite.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; name an .npz file")
    arrays = npz.read(path)
    if missing := [name for name in ("clip", "x") if name not in arrays]:
        names = ", ".join(arrays) or "none"
        raise UserError(
            f"{path}: no array {missing[0]!r}; it needs clip [n] and x [n, ...], and may have set, "
            f"subject and label [n]; its arrays: {names}"
        )
    x = arrays["x"]
    if x.dtype.kind not in "fiu" or x.ndim < 2 or not x.size:
        raise UserError(f"{path}: x is {x.dtype} {x.shape}; it needs numbers [n, ...], n > 0")
    texts = {name: arrays[name] for name in TEXTS if name in arrays}
    for name, array in texts.items():
        if array.shape != (len(x),):
            raise UserError(
                f"{path}: {name} is {array.shape}, but x is {x.shape}: one {name} for each row of x"
            )
    if "label" in texts and texts["label"].dtype.kind != "U":
        raise UserError(
            f"{path}: label holds {texts['label'].dtype}; write the names of the classes or "
            "emotions (negative, ...), as numbers do not tell which is which"
        )
    words = {name: [clean(str(word)) for word in array] for name, array in texts.items()}
    for name, column in words.items():
        for number, word in enumerate(column):
            if not word or (name != "set" and word.casefold() in NO_CLASS):
                raise UserError(
                    f"{path}: {name} of row {number} is {word!r} (the first row is 0); fill it in, "
                    "or leave the row out"
                )
    empty = [""] * len(x)
    columns = [words.get(name, empty) for name in ("set", "clip", "subject")]
    clips = [ClipName(*row) for row in zip(*columns, strict=True)]
    flat = _finite(path, clips, x.reshape(len(x), -1))
    return FeatureFile(path, clips, words.get("label"), flat, x.shape, sha256_of(path))


def _finite(path: Path, clips: list[ClipName], x: np.ndarray) -> np.ndarray:
    """The features as float32, all finite."""
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(x, np.float32)
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        more = f" (and of {len(bad) - 1:,} more rows)" if len(bad) > 1 else ""
        raise UserError(
            f"{path}: x of row {bad[0]}, {clips[bad[0]]}, has a number that is NaN, infinite or "
            f"too large for float32{more}; compute it again, or leave the row out"
        )
    if len(x) > 1 and (x == x[0]).all():
        raise UserError(f"{path}: x is the same in all {len(x):,} rows; nothing can be learned")
    return x
