"""A classifier's files, in the interchange folder beside the network that it reads.

`classifier.json` holds its classes, the kind of pairs, and how well classifiers of its kind did;
`classifier.safetensors` holds its head and the statistics that standardize its features.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from micron_jax.checkpoints import checksums
from micron_jax.checkpoints.tensor_file import encode_arrays, open_tensors
from micron_jax.checkpoints.weights import check_finite, check_shapes
from micron_jax.config import build
from micron_jax.errors import UserError
from micron_jax.models.classifier import ClassifierConfig, Head, PairFeatures
from micron_jax.models.config import ModelConfig

FORMAT = "micron_jax classifier 1"
JSON, TENSORS = "classifier.json", "classifier.safetensors"
KEPT = "classifier"  # folder of a fine-tuning's workdir in which it keeps one
MOST_CLASSES, MOST_PIXELS, MOST_HIDDEN = 1000, 4096, 2**16


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The pairs a classifier learned from: side in pixels, the crop (`face` or `whole` frames), and
    whether the apex was registered onto the onset."""

    size: int
    crop: str
    registered: bool


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A head on a network.

    Attributes:
      classes: their names, in the order of its probabilities.
      params: {"head": as `Head` has them, "mean" and "deviation": of the features, float32 [F]}.
      evidence: how classifiers trained alike did on subjects that they had not seen, as JSON holds
        it: protocol, split, samples, subjects, seeds, UF1, UAR, their intervals, and each class;
        `no_class`, in how many of the samples nothing moves, so that it gives them no class in use.
    """

    config: ClassifierConfig
    classes: tuple[str, ...]
    pairs: Pairs
    params: dict
    evidence: Mapping[str, Any]

    def files(self) -> dict[str, bytes]:
        """The two files' names and contents."""
        described = {
            "format": FORMAT,
            "classes": list(self.classes),
            "classifier": dataclasses.asdict(self.config),
            "pairs": dataclasses.asdict(self.pairs),
            "evidence": self.evidence,
        }
        flat = flatten_dict(self.params, sep="/")
        arrays = encode_arrays(flat)
        header = checksums.header_of(arrays)
        described = checksums.described_with(described, flat, header)
        text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
        return {JSON: text.encode(), TENSORS: arrays}


def read(folder: Path, model: ModelConfig) -> Classifier | None:
    """The classifier of an interchange folder with that network; None where it has none.

    Raises:
      UserError: it is damaged, or belongs to another network.
    """
    path, file = folder / JSON, folder / TENSORS
    if not path.exists():
        return None
    try:
        described = json.loads(path.read_text("utf-8"))
        json.dumps(described, allow_nan=False)  # which others cannot read
        if described["format"] != FORMAT:
            raise UserError(f"format {described['format']!r}, not {FORMAT!r}")
        config = build(ClassifierConfig, described["classifier"], section="classifier")
        pairs = build(Pairs, described["pairs"], section="pairs")
        classes, evidence = tuple(map(str, described["classes"])), dict(described["evidence"])
        _check_evidence(evidence, classes)
        if not 2 <= len(classes) <= MOST_CLASSES or pairs.size % model.patch_size:
            raise ValueError(f"{len(classes)} classes, pairs of {pairs.size} px")
        if not (1 <= pairs.size <= MOST_PIXELS and 0 <= config.hidden <= MOST_HIDDEN):
            raise ValueError(f"pairs of {pairs.size} px, {config.hidden} hidden channels")
        config.check_fits(model)
        shapes = _shapes(model, config, pairs.size, len(classes))
        path = file
        tensors = open_tensors(file)
        check_shapes(file, tensors.shapes, shapes, asker=f"{JSON} beside it", mend="")
        arrays = tensors.arrays()
        checksums.check(file, folder / JSON, described, arrays, tensors.header)
        check_finite(file, arrays)
    except (
        UserError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError
    ) as error:  # fmt: skip
        reason = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: cannot be read ({reason}); fine-tune again") from None
    return Classifier(config, classes, pairs, unflatten_dict(arrays, sep="/"), evidence)


def _check_evidence(evidence: Mapping, classes: tuple[str, ...]) -> None:
    """Raises a `KeyError`, `TypeError` or `ValueError` unless all is there that a card tells."""
    float(evidence["uf1"]), float(evidence["uar"]), int(evidence["subjects"])
    str(evidence["protocol"]), str(evidence["split"])
    int(evidence.get("no_class", 0))  # an earlier version did not count them
    for name in classes:
        row = evidence["per_class"][name]
        int(row["samples"]), float(row["f1"]), float(row["recall"]), float(row["precision"])
    for metric in ("uf1", "uar") if evidence.get("intervals") else ():
        low, high = evidence["intervals"][metric]
        float(low), float(high)


def _shapes(model: ModelConfig, config: ClassifierConfig, size: int, classes: int) -> dict:
    """Path -> shape of the arrays of such a classifier."""

    def init(key, frames):
        features, _ = PairFeatures(model, config).init_with_output(key, frames, frames)
        head = Head(classes, config).init(key, features, deterministic=True)["params"]
        return {"head": head, "mean": features[0, 0], "deviation": features[0, 0]}

    frames = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    return flatten_dict(jax.eval_shape(init, jax.random.key(0), frames), sep="/")
