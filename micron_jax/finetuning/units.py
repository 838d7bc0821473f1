"""Action units as targets: the samples that tell them, and the units that can be learned."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from micron_jax.datasets.action_units import units_of
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.protocols import Protocol
from micron_jax.datasets.subjects import person
from micron_jax.errors import UserError
from micron_jax.finetuning.folds import Fold, Labeled

NAMED = 5  # clips that a line names at most


@dataclasses.dataclass(frozen=True)
class UnitTargets:
    """The units that are learned.

    Attributes:
      names: as `AU4`, ascending.
      targets: float32 [n, U], 1 where a sample shows a unit.
      lines: on clips and units that are left out, and why.
    """

    names: tuple[str, ...]
    targets: np.ndarray
    lines: list[str]


def with_units(
    samples: Sequence[Sample], protocol: Protocol
) -> tuple[Labeled, Protocol, list[str]]:
    """Returns the samples that tell their units, whatever their emotion.

    Args:
      samples: of the protocol's sets.

    Returns:
      The samples, each with the index 0, as folds need one; a protocol with this one class; lines
      on those that are left out.

    Raises:
      UserError: no sample tells its units.
    """
    silent = [sample for sample in samples if units_of(sample.action_units) is None]
    labeled = [(sample, 0) for sample in samples if units_of(sample.action_units) is not None]
    if not labeled:
        raise UserError(
            f"config.target: no clip of {', '.join(protocol.homes)} tells its action units; "
            "choose a set whose sheet does, as casme2, samm, casme3, mmew or dfme"
        )
    lines = []
    for name, count in Counter(sample.dataset for sample in silent).items():
        clips = [sample for sample in silent if sample.dataset == name]
        some = ", ".join(f"{one.clip} ({one.action_units or 'empty'})" for one in clips[:NAMED])
        more = ", ..." if count > NAMED else ""
        lines.append(f"{name}: {count} clips do not tell their action units: {some}{more}")
    return labeled, dataclasses.replace(protocol, classes=("units",), expected={}), lines


def choose_units(
    labeled: Labeled,
    folds: Sequence[Fold],
    at_least: int,
    lines: Sequence[str],
    *,
    order: np.ndarray | None = None,
) -> UnitTargets:
    """Chooses the units that enough clips show, and that each fold can learn.

    Args:
      at_least: number of clips that show a unit.
      lines: of `with_units`, on clips that are left out.
      order: of the samples' units, as a control permutes them.

    Raises:
      UserError: there is no such unit.
    """
    shown = [units_of(sample.action_units) or frozenset() for sample, _ in labeled]
    if order is not None:
        shown = [shown[number] for number in order]
    lines, few, names, columns = [*lines], [], [], []
    for unit in sorted(set().union(*shown)):
        column = np.array([unit in one for one in shown])
        people = {
            person(sample.dataset, sample.subject)
            for (sample, _), there in zip(labeled, column, strict=True)
            if there
        }
        if column.sum() < at_least:
            few.append(f"AU{unit} ({column.sum()})")
        elif lacking := [fold.name for fold in folds if len(set(column[list(fold.train)])) < 2]:
            lines.append(
                f"AU{unit} is left out: {column.sum()} clips of {len(people)} subjects show it, "
                f"and fold {lacking[0]} would learn from one kind of clips alone"
            )
        else:
            names.append(f"AU{unit}")
            columns.append(column)
    if few:
        lines.append(
            f"left out, shown by fewer than {at_least} clips (config.units_at_least): "
            f"{', '.join(few)}"
        )
    if not names:
        raise UserError(
            f"config.units_at_least={at_least}: no action unit is shown by so many clips and can "
            "be learned in every fold; give a smaller number, or a larger set"
        )
    return UnitTargets(tuple(names), np.stack(columns, 1).astype(np.float32), lines)
