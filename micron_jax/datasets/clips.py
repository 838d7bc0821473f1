"""Built sets of the labeled benchmarks: their places, contents, records and samples."""

from collections import Counter
from pathlib import Path
from typing import Any

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.own import NAME as OWN
from micron_jax.datasets.subjects import person
from micron_jax.errors import UserError

VERSION, SPLIT = "1.0.0", "train"
LABELS = "labels"  # the sheet alone, for features from elsewhere
WITH_FRAMES = ("clip", "pair")  # all frames onset..offset; onset and apex
KEEPS = (*WITH_FRAMES, LABELS)


def set_folder(data_dir: str | Path, name: str, keep: str) -> Path:
    """Returns the folder of a set below `data_dir`."""
    return Path(data_dir) / name / keep / VERSION


def built_keep(data_dir: str | Path, name: str, keep: str | None = None) -> str | None:
    """Returns the form that is built, the first of `KEEPS` (or `keep` alone); None: none is."""
    for form in [keep] if keep else KEEPS:
        # TFDS renames the folder into place at the very end.
        if (set_folder(data_dir, name, form) / "dataset_info.json").is_file():
            return form
    return None


def describe_clips(
    data_dir: str | Path, name: str, keep: str | None = None
) -> dict[str, Any] | None:
    """Describes a built set, or returns None if there is none.

    Returns:
      {"folder": Path, "keep": one of `KEEPS`, "clips": int, "subjects": int, "emotions": {as
      written: count}, "frames": int, "bytes": int, "sheet": {"file", "sheet", "sha256"},
      "mended": [{"clip", "row", "field", "was", "now", "reason"}], "skipped", "gaps"
      and "identical" (nothing changes in it): [{"clip", "row", "reason"}], "apex_is_onset": [clips
      with two equal frames], "notes": [str], "recipe": how it was built}.
    """
    keep = built_keep(data_dir, name, keep)
    if keep is None:
        return None
    import tensorflow_datasets as tfds

    folder = set_folder(data_dir, name, keep)
    info = tfds.builder_from_directory(folder).info
    metadata = dict(info.metadata.items())
    samples = metadata.pop("samples")
    return metadata | {
        "folder": folder,
        "keep": keep,
        "clips": len(samples),
        "subjects": len({person(sample["dataset"], sample["subject"]) for sample in samples}),
        "apex_is_onset": [s["clip"] for s in samples if s["apex"] == s["onset"]],
        "emotions": dict(Counter(sample["emotion"] for sample in samples).most_common()),
        "bytes": info.splits[SPLIT].num_bytes,
    }


def open_clips(
    data_dir: str | Path, name: str, keep: str | None = None, *, frames: bool = True
) -> tuple[Any, list[Sample]]:
    """Opens a built set.

    Args:
      name: casme2, samm, smic_hs, smic_vis, smic_nir, smic_hs_e, smic_vis_e, casme3,
        casme3_c, mmew, fourdme, dfme or own.
      keep: one of `KEEPS`; by default the first of them that is built.
      frames: whether frames are needed: `labels` has none.

    Returns:
      (source, samples): `samples[i]` is what the sheet says of the example `source[i]`, a record
      {"frames": {"image": [bytes of JPEG, PNG or BMP files, as they were on disk], "number":
      [int, as in the files' names]}, "clip", "subject", "emotion", "action_units", "sheet":
      UTF-8 bytes, "onset", "apex", "offset": int, "fps": float}. `pair` holds the frames onset and
      apex, in this order; `clip` all that exist from onset to offset.

    Raises:
      UserError: no such set is known, or built there, or it has no frames.
    """
    from micron_jax.datasets.catalog import clip_set

    if name != OWN:
        clip_set(name)
    form = built_keep(data_dir, name, keep)
    if form is None:
        which = f" --keep {keep}" if keep else ""
        source = "clips.csv" if name == OWN else "FOLDER_AS_UNPACKED"
        raise UserError(
            f"no data set `{name}`{which and f' ({keep})'} in {data_dir}; build it: micron-jax "
            f"data build {name} --source {source} --data-dir {data_dir}{which}"
        )
    if form == LABELS and frames:
        raise UserError(
            f"data set `{name}` in {data_dir} holds the labels alone (--keep {LABELS}); build it "
            f"with frames: micron-jax data build {name} --source FOLDER_AS_UNPACKED --data-dir "
            f"{data_dir}"
        )
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(set_folder(data_dir, name, form))
    samples = [Sample(**sample) for sample in builder.info.metadata["samples"]]
    return builder.as_data_source(SPLIT), samples
