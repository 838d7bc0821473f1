"""What a fine-tuning leaves in its workdir beside the predictions; all of it may be missing."""

import csv
import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax.datasets.protocols import Counts, Protocol
from micron_jax.errors import UserError
from micron_jax.evaluation.prediction import read_text


@dataclasses.dataclass(frozen=True)
class Hardest:
    """The clips that were missed most clearly.

    Attributes:
      onset, apex: uint8 [n, H, W, 3], RGB.
      heat: float32 [n, g, g], what moved between them.
      clip, label, prediction: n names each.
    """

    onset: np.ndarray
    apex: np.ndarray
    heat: np.ndarray
    clip: tuple[str, ...]
    label: tuple[str, ...]
    prediction: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Run:
    """A workdir's files; None or empty where there is none.

    Attributes:
      protocol: {"name", "classes", "expected", "found", "differences"} of `protocol.json`.
      provenance: versions, device, checkpoint, sheets and command of `provenance.json`.
      config: the resolved one of `config.json`.
      leaky: {"label", "uf1", "uar"} of `leaky.json`: what a choice on the test subject would give.
      curves: seed, fold and epoch -> the numbers of that row of `curves.csv`.
      hardest: of `hardest.npz`.
    """

    protocol: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None
    leaky: Mapping[str, Any] | None = None
    curves: Mapping[tuple[str, str, int], Mapping[str, float]] = dataclasses.field(
        default_factory=dict
    )
    hardest: Hardest | None = None


def read_run(workdir: Path) -> Run:
    """Reads what is there.

    Raises:
      UserError: a file is there and cannot be read as what it should be.
    """
    return Run(
        protocol=_json(workdir / "protocol.json", ("name", "classes")),
        provenance=_json(workdir / "provenance.json"),
        config=_json(workdir / "config.json"),
        leaky=_leaky(workdir / "leaky.json"),
        curves=_curves(workdir / "curves.csv"),
        hardest=_hardest(workdir / "hardest.npz"),
    )


def protocol_of(workdir: Path) -> Protocol | None:
    """The protocol of `protocol.json`, its classes and counts; None if there is no such file."""
    path = workdir / "protocol.json"
    told = _json(path, ("name", "classes"))
    if told is None:
        return None
    expected, found = told.get("expected") or {}, told.get("found") or {}
    try:
        counts = {
            name: Counts(dict(part["samples"]), part.get("subjects"))
            for name, part in expected.items()
        }
        return Protocol(
            name=str(told["name"]),
            classes=tuple(map(str, told["classes"])),
            rules={str(name): {} for name in expected or found},
            expected=counts,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a protocol as fine-tuning writes it ({error!r})") from None


def _json(path: Path, needed: tuple[str, ...] = ()) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    if not isinstance(value, dict) or any(name not in value for name in needed):
        raise UserError(f"{path}: needed is an object with {', '.join(needed) or 'names'}")
    return value


def _leaky(path: Path) -> dict[str, Any] | None:
    told = _json(path, ("label", "uf1", "uar"))
    try:
        return told and {
            "label": str(told["label"]),
            "uf1": float(told["uf1"]),
            "uar": float(told["uar"]),
        }
    except (TypeError, ValueError):
        raise UserError(f"{path}: uf1 and uar must be numbers") from None


def _curves(path: Path) -> dict[tuple[str, str, int], dict[str, float]]:
    if not path.is_file():
        return {}
    rows = {}
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    for row in reader:
        try:
            key = row["seed"], row["fold"], int(row["epoch"])
            rows[key] = {
                name: float(row[name])
                for name in ("train_loss", "train_accuracy")
                if row.get(name) not in (None, "")
            }
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{path}, row {reader.line_num}: needed are seed, fold, epoch, train_loss and "
                "train_accuracy"
            ) from None
    return rows


def _hardest(path: Path) -> Hardest | None:
    if not path.is_file():
        return None
    names = [field.name for field in dataclasses.fields(Hardest)]
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in names}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not the hardest clips of a run ({error})") from None
    onset, heat, number = arrays["onset"], arrays["heat"], len(arrays["clip"])
    frames = onset.dtype == np.uint8 and onset.ndim == 4 and onset.shape[-1] == 3
    if not frames or onset.shape != arrays["apex"].shape or heat.ndim != 3:
        raise UserError(f"{path}: needed are uint8 frames [n, H, W, 3] and heat [n, g, g]")
    if any(len(array) != number for array in arrays.values()):
        raise UserError(f"{path}: its arrays are of different lengths")
    texts = {name: tuple(map(str, arrays[name])) for name in ("clip", "label", "prediction")}
    return Hardest(onset, arrays["apex"], heat.astype(np.float32), **texts)
