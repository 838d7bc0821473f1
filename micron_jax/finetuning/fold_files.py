"""Finished folds in a run's workdir, from which a run that was stopped goes on.

`folds/seed0_fold000.npz` and so on, one a fold and seed; `folds/origin`, the digest of all that the
folds are trained from; `folds/at_once`, the number of folds that are trained at once.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from micron_jax.errors import UserError
from micron_jax.files import write_whole, writing
from micron_jax.finetuning import array_files

FOLDER = "folds"
_MOVED = "moved_"


@dataclasses.dataclass(frozen=True)
class FoldResult:
    """Predictions and curves of one fold under one seed.

    Attributes:
      probabilities: float32 [test samples, C], in the order of the fold.
      curves: name -> float32 [epochs].
      test_curve: probabilities after each epoch, [epochs, test samples, C], or None.
      moved: name of an error of keyframes -> probabilities under it, [test samples, C].
    """

    probabilities: np.ndarray
    curves: dict[str, np.ndarray]
    test_curve: np.ndarray | None
    moved: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


def path_of(workdir: Path, seed: int, fold: int) -> Path:
    """Returns the file of a finished fold."""
    return workdir / FOLDER / f"seed{seed}_fold{fold:03d}.npz"


def save(path: Path, result: FoldResult) -> None:
    """Writes a result, whole or not at all; raises `UserError` if it cannot be written."""
    arrays = {f"curve_{name}": values for name, values in result.curves.items()}
    arrays |= {f"{_MOVED}{name}": values for name, values in result.moved.items()}
    if result.test_curve is not None:
        arrays["watched"] = result.test_curve
    array_files.save(path, probabilities=result.probabilities, **arrays)


def read(path: Path) -> FoldResult | None:
    """Reads a result; None: there is no file, or it is damaged."""
    arrays = array_files.read(path)
    if arrays is None or "probabilities" not in arrays:
        return None
    curves = {n.removeprefix("curve_"): arrays[n] for n in arrays if n.startswith("curve_")}
    moved = {n.removeprefix(_MOVED): arrays[n] for n in arrays if n.startswith(_MOVED)}
    return FoldResult(arrays["probabilities"], curves, arrays.get("watched"), moved)


def claim_origin(workdir: Path, origin: dict) -> None:
    """Writes the digest of a run's weights and samples, or checks it against the one there.

    Raises:
      UserError: the finished folds are of others, or the digest cannot be written.
    """
    path = workdir / FOLDER / "origin"
    digest = hashlib.sha256(repr(origin).encode()).hexdigest()
    if path.is_file() and path.read_bytes() != digest.encode():
        raise UserError(
            f"{workdir}: checkpoint or data set are not what its first folds were trained from; "
            "use a new workdir"
        )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, digest.encode())


def folds_at_once(workdir: Path, count: Callable[[], int]) -> int:
    """Returns the number of folds to train at once: `count()`, or the number of the first start.

    Another number would change the last bits of a fold.

    Raises:
      UserError: the file of that number is damaged, or cannot be written.
    """
    path = workdir / FOLDER / "at_once"
    if not path.is_file():
        number = count()
        with writing(path):
            write_whole(path, str(number).encode())
    try:
        return int(path.read_text())
    except ValueError:
        raise UserError(
            f"{path}: damaged; remove {FOLDER}/, and all folds are trained again"
        ) from None
