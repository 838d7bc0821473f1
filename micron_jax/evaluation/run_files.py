"""Files of a fine-tuning's workdir beside the predictions: written here, read here.

`protocol.json`, `provenance.json`, `leaky.json`, `keyframe_errors.json`, `curves.csv` and
`hardest.npz`; `config.json` is read only. Any of them may be missing.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax import npz
from micron_jax.datasets.census import Comparison, expected_counts
from micron_jax.datasets.protocols import SYNTHETIC, Counts, Protocol, of_synthetic
from micron_jax.datasets.sheets.delimited import read_text
from micron_jax.errors import UserError
from micron_jax.evaluation.metrics import METRICS
from micron_jax.files import write_json, write_npz, write_whole, writing

PROTOCOL, PROVENANCE, CONFIG, LEAKY, CALIBRATION, KEYFRAMES = (
    f"{name}.json"
    for name in ("protocol", "provenance", "config", "leaky", "calibration", "keyframe_errors")
)
CURVES, HARDEST = "curves.csv", "hardest.npz"
FIRST_CURVES = ("train_loss", "train_accuracy")


@dataclasses.dataclass(frozen=True)
class Hardest:
    """The clips whose class got the least probability, worst first.

    Attributes:
      onset, apex: uint8 [n, H, W, 3], RGB.
      maps: float32 [n, g, g], the motion between them; `heat` in the file.
      clip, label, prediction: n names each.
      kind: of the maps: `motion`, px, or `symmetric`; empty in files of earlier versions.
    """

    onset: np.ndarray
    apex: np.ndarray
    maps: np.ndarray
    clip: tuple[str, ...]
    label: tuple[str, ...]
    prediction: tuple[str, ...]
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Run:
    """A workdir's files; None or empty where there is none.

    Attributes:
      protocol: {"name", "classes", "expected", "found", "differences", "editions", "synthetic":
        names of the sets that `data synth` made} of `protocol.json`.
      provenance: versions, device, checkpoint, sheets and command of `provenance.json`.
      config: the resolved one of `config.json`.
      leaky: {"label", "uf1", "uar"} of `leaky.json`: scores of a choice on the test clips; with
        "accuracy", "intervals" and "honest", the scores without it, where fine-tuning wrote them.
      calibration: temperatures and reliability of the probabilities, of `calibration.json`; see
        `finetuning.outputs.calibrate`.
      keyframe_errors: scores under errors of onset and apex, of `keyframe_errors.json`; see
        `finetuning.outputs.keyframe_errors`.
      curves: seed, fold and epoch -> the numbers of that row of `curves.csv`; all rows have
        "train_loss" and "train_accuracy", and only these are read.
    """

    protocol: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None
    leaky: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    keyframe_errors: Mapping[str, Any] | None = None
    curves: Mapping[tuple[str, str, int], Mapping[str, float]] = dataclasses.field(
        default_factory=dict
    )
    hardest: Hardest | None = None


def protocol_record(
    protocol: Protocol,
    census: Comparison,
    tested: Protocol | None = None,
    synthetic: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns the content of `protocol.json`: the protocol, and the counts of the user's copy.

    Args:
      tested: the protocol of the samples that the folds test, if these are not all.
      synthetic: names of the sets that `data synth` made.
    """
    expected = expected_counts(protocol, census.editions)
    return {
        "name": protocol.name,
        "classes": list(protocol.classes),
        "expected": {name: dataclasses.asdict(part) for name, part in expected.items()},
        "found": {name: dataclasses.asdict(part) for name, part in census.counts.items()},
        "differences": census.differences,
        "editions": census.editions,
        "synthetic": list(synthetic),
    } | ({"tested": _tested(tested)} if tested else {})


def _tested(protocol: Protocol) -> dict[str, Any]:
    counts = {name: dataclasses.asdict(part) for name, part in protocol.expected.items()}
    return {"part": protocol.part, "counts": counts}


def write_run(workdir: Path, run: Run) -> None:
    """Writes the files of all that `run` holds but its config, each whole or not at all.

    Raises:
      UserError: one cannot be written.
    """
    records = (
        (PROTOCOL, run.protocol),
        (PROVENANCE, run.provenance),
        (LEAKY, run.leaky),
        (CALIBRATION, run.calibration),
        (KEYFRAMES, run.keyframe_errors),
    )
    with writing(workdir):
        for name, value in records:
            if value is not None:
                write_json(workdir / name, value)
        if run.curves:
            write_whole(workdir / CURVES, _curves_text(run.curves).encode())
        if run.hardest is not None:
            arrays = dataclasses.asdict(run.hardest)
            arrays = {"heat" if name == "maps" else name: value for name, value in arrays.items()}
            write_npz(workdir / HARDEST, compressed=True, **arrays)


def read_run(workdir: Path) -> Run:
    """Reads the files that are there.

    Raises:
      UserError: a file is there and cannot be read as what it should be.
    """
    return Run(
        protocol=_read_json(workdir / PROTOCOL, ("name", "classes")),
        provenance=_read_json(workdir / PROVENANCE),
        config=_read_json(workdir / CONFIG),
        leaky=_read_leaky(workdir / LEAKY),
        calibration=_read_calibration(workdir / CALIBRATION),
        keyframe_errors=_read_json(workdir / KEYFRAMES, ("unit", "clips", "errors")),
        curves=_read_curves(workdir / CURVES),
        hardest=_read_hardest(workdir / HARDEST),
    )


def protocol_of(workdir: Path) -> Protocol | None:
    """The protocol of `protocol.json`, its classes and counts; None if there is no such file.

    The counts are those of the samples that the folds test. Names of synthetic sets are marked (see
    `synthetic_names`), as are those of earlier versions, which wrote none of the marks.
    """
    path = workdir / PROTOCOL
    record = _read_json(path, ("name", "classes"))
    if record is None:
        return None
    expected, counted = record.get("expected") or {}, record.get("found") or {}
    tested = record.get("tested") or {}
    try:
        rules = {str(name): {} for name in expected or counted}
        expected = tested.get("counts", expected)
        counts = {
            name: Counts(dict(part["samples"]), part.get("subjects"))
            for name, part in expected.items()
        }
        protocol = Protocol(
            name=str(record["name"]),
            classes=tuple(map(str, record["classes"])),
            rules=rules,
            expected=counts,
            part=str(tested.get("part", "")),
        )
        synthetic = [str(name) for name in record.get("synthetic") or ()]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a protocol as fine-tuning writes it ({error!r})") from None
    if not synthetic and protocol.name == SYNTHETIC.name:  # the first version did not list them
        synthetic = protocol.sets
    return of_synthetic(protocol, synthetic)


def _read_json(path: Path, needed: tuple[str, ...] = ()) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    if not isinstance(value, dict) or any(name not in value for name in needed):
        raise UserError(f"{path}: it needs an object with {', '.join(needed) or 'names'}")
    return value


def _read_leaky(path: Path) -> dict[str, Any] | None:
    if (leaky := _read_json(path, ("label", "uf1", "uar"))) is None:
        return None
    read = _scores_of(path, leaky) | {"label": str(leaky["label"])}
    if isinstance(leaky.get("honest"), dict):
        read["honest"] = _scores_of(path, leaky["honest"])
    return read


def _scores_of(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the scores of an object of `leaky.json`, and their intervals where it has them."""
    try:
        names = [name for name in METRICS if name != "accuracy" or name in values]
        scores = {name: float(values[name]) for name in names}
        bounds = values.get("intervals") or {}
        intervals = {name: [*map(float, bounds[name])] for name in METRICS if name in bounds}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: uf1 and uar must be numbers") from None
    return scores | ({"intervals": intervals} if "intervals" in values else {})


def _read_calibration(path: Path) -> dict[str, Any] | None:
    if (record := _read_json(path, ("label", "temperature", "before", "after"))) is None:
        return None
    try:
        float(record["temperature"])
        for part in (record["before"], record["after"]):
            float(part["ece"])
            for one in part["bins"]:
                int(one["samples"]), float(one["probability"]), float(one["accuracy"])
    except (TypeError, ValueError, KeyError):
        raise UserError(f"{path}: not a calibration as fine-tuning writes it") from None
    return record


def _curves_text(curves: Mapping[tuple[str, str, int], Mapping[str, float]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = list(dict.fromkeys([*FIRST_CURVES, *next(iter(curves.values()))]))
    writer.writerow(["seed", "fold", "epoch", *names])
    for key, row in curves.items():
        writer.writerow([*key, *(f"{row[name]:.6g}" for name in names)])
    return text.getvalue()


def _read_curves(path: Path) -> dict[tuple[str, str, int], dict[str, float]]:
    if not path.is_file():
        return {}
    rows = {}
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    for row in reader:
        try:
            key = row["seed"], row["fold"], int(row["epoch"])
            rows[key] = {
                name: float(row[name]) for name in FIRST_CURVES if row.get(name) not in (None, "")
            }
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{path}, row {reader.line_num}: it needs seed, fold, epoch, train_loss and "
                "train_accuracy"
            ) from None
    return rows


def _read_hardest(path: Path) -> Hardest | None:
    if not path.is_file():
        return None
    names = ("onset", "apex", "heat", "clip", "label", "prediction")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in names}
            kind = str(stored["kind"]) if "kind" in stored else ""
    except npz.DAMAGE as error:
        raise UserError(f"{path}: not the hardest clips of a run ({error})") from None
    onset, apex, maps = (arrays.pop(name) for name in names[:3])
    frames = onset.dtype == np.uint8 and onset.ndim == 4 and onset.shape[-1] == 3
    if not frames or onset.shape != apex.shape or maps.ndim != 3:
        raise UserError(f"{path}: it needs uint8 frames [n, H, W, 3] and heat [n, g, g]")
    if any(len(array) != len(onset) for array in (maps, *arrays.values())):
        raise UserError(f"{path}: its arrays are of different lengths")
    texts = {name: tuple(map(str, array)) for name, array in arrays.items()}
    return Hardest(onset, apex, maps.astype(np.float32), **texts, kind=kind)
