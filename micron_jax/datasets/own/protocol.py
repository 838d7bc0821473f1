"""The protocol of a set of one's own: all labels of its table, and their counts."""

from pathlib import Path

from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.own import NAME
from micron_jax.datasets.protocols import Counts, Protocol, emotion_of, find


def find_protocol(name: str, data_dir: str | Path) -> Protocol:
    """Returns a published protocol, or `own`, that of the set `own` in `data_dir`.

    The classes of `own` are the labels of its samples, sorted; the counts are those of its table,
    so that rows which the build left out are told.

    Raises:
      UserError: no protocol has this name, or the set is not built.
    """
    if name != NAME:
        return find(name)
    _, samples = open_clips(data_dir, NAME)
    described = describe_clips(data_dir, NAME)
    counts = {
        dataset: Counts(dict(part["samples"]), part["subjects"])
        for dataset, part in described["expected"].items()
    }
    classes = tuple(sorted({emotion_of(sample) for sample in samples}))
    sets = dict.fromkeys(sample.dataset for sample in samples)
    rules = {dataset: {label: label for label in classes} for dataset in sets}
    return Protocol(NAME, classes, rules, counts, built=(NAME,))
