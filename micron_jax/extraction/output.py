"""The output of an extraction: parts, each written whole, that become one file or folder.

```
OUTPUT.partial/settings.json       what is extracted; a run with other settings is refused
OUTPUT.partial/00000.npz           a part of the rows; of an array_record: 00000.array_record
OUTPUT.partial/00000.json          its clips and place; a part that has it is finished
```
`FILE.npz` holds, of R rows, C clips and Q pairs: `tokens`, `cls`, `pooled` [R, ...], `clip` (which
of the clips), `frame` and `seconds` [R], `clip_name` and `clip_fps` [C], `clip_transform`
[C, 2, 3], `dma` [Q, ...] with `dma_rows` [Q, 2] (the rows of frames t and t + δ), and `about`, a
JSON text. A folder `NAME.array_record` holds `index.json` and records, one a row, each as
safetensors bytes (`safetensors.numpy.load`): the same of one row, `dma` where it ends a pair.
"""

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.numpy
from array_record.python import array_record_module

from micron_jax import locks, npz
from micron_jax.errors import UserError
from micron_jax.extraction.batches import Place
from micron_jax.extraction.pairing import Pairing
from micron_jax.files import remove_debris, write_whole

SUFFIXES = (".npz", ".array_record")
SETTINGS, INDEX = "settings.json", "index.json"
NOTES = ("clips", "skipped", "dropped", "identical")  # of a part, lists of entries


class Output:
    """An output in the making; `opened` before anything is added."""

    def __init__(self, output: Path, settings: dict, pairing: Pairing | None = None):
        """Takes the settings that tell this output from others, and how rows are paired, if so.

        Raises:
          UserError: the output's name has no suffix of `SUFFIXES`.
        """
        if output.suffix not in SUFFIXES:
            raise UserError(f"{output}: name a file *.npz or a folder *.array_record")
        self._output, self._settings, self._pairing = output, settings, pairing
        self._folder = output.with_name(f"{output.name}.partial")
        self._parts: list[dict] = []

    @property
    def place(self) -> Place:
        """The place where the last part ends."""
        return Place(**self._parts[-1]["place"]) if self._parts else Place()

    def about(self) -> dict | None:
        """Returns the description in a finished output; None: there is none.

        Raises:
          UserError: something else is there, or features of other settings.
        """
        if not os.path.lexists(self._output):
            return None
        try:
            if self._output.suffix == ".npz":
                with np.load(self._output) as arrays:
                    about = json.loads(str(arrays["about"]))
            else:
                about = json.loads((self._output / INDEX).read_text("utf-8"))
            self._compare(about["settings"], self._output)
        except npz.DAMAGE:
            raise UserError(
                f"{self._output} exists and holds no features; remove it, or name another output"
            ) from None
        shutil.rmtree(self._folder, ignore_errors=True)  # of a run killed at its very end
        return about

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Makes the folder of parts, or goes on with the one that is there.

        Raises:
          UserError: it is of other settings; another run writes it; it cannot be written.
        """
        busy = f"{self._output}: another run is writing it; wait"
        try:
            with locks.sole_writer(self._folder, busy=busy):
                remove_debris(self._folder)
                path = self._folder / SETTINGS
                if path.is_file():
                    self._compare(json.loads(path.read_text("utf-8")), self._folder)
                self._write_json(SETTINGS, self._settings)
                while (path := self._folder / f"{len(self._parts):05d}.json").is_file():
                    self._parts.append(json.loads(path.read_text("utf-8")))
                try:
                    yield
                finally:
                    if not self._parts:
                        shutil.rmtree(self._folder, ignore_errors=True)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(
                f"{self._output}: cannot write it: {reason}; what is finished stays, and "
                "the same command goes on"
            ) from None

    def add(self, arrays: dict[str, np.ndarray], notes: dict, place: Place) -> None:
        """Writes a part.

        Args:
          arrays: of the part's rows; `dma_rows` counts rows from the first of all.
          notes: lists of entries, by the names in `NOTES`; "paired", the clips that have pairs in
            it; and "pair_seconds", the least and the most that the frames of its pairs are apart,
            where that is known.
        """
        name = f"{len(self._parts):05d}"
        if self._output.suffix == ".npz":
            scratch = self._folder / "incomplete"
            with open(scratch, "wb") as file:  # not by way of memory: a part is large
                np.savez(file, **arrays)
            os.replace(scratch, self._folder / f"{name}.npz")
        else:
            _write_records(self._folder / f"{name}.array_record", arrays, self.place.rows)
        part = {**notes, "place": vars(place), "pairs": len(arrays.get("dma_rows", ()))}
        self._write_json(f"{name}.json", part)
        self._parts.append(part)

    def clear(self) -> list[dict]:
        """Forgets all parts; returns the entries of skipped clips."""
        skipped = [entry for part in self._parts for entry in part["skipped"]]
        self._parts = []
        return skipped

    def finish(self) -> dict:
        """Joins the parts under the output's name; returns its description."""
        about = {"settings": self._settings, "rows": self.place.rows}
        about["pairs"] = sum(part["pairs"] for part in self._parts)
        apart = [seconds for part in self._parts for seconds in part.get("pair_seconds", ())]
        about["pair_seconds"] = [min(apart), max(apart)] if apart else None
        for name in NOTES:
            about[name] = [entry for part in self._parts for entry in part.get(name, ())]
        about["pairless"] = self._pairless(about["clips"])
        if self._output.suffix == ".npz":
            whole = self._folder / "joined"
            self._join(whole, about)
            os.replace(whole, self._output)
            shutil.rmtree(self._folder)
            return about
        for number in range(len(self._parts)):
            (self._folder / f"{number:05d}.json").unlink()
        self._write_json(INDEX, about)
        for name in (SETTINGS, locks.FILE):
            (self._folder / name).unlink()
        os.replace(self._folder, self._output)
        return about

    def _pairless(self, clips: list[dict]) -> list[dict]:
        """Returns entries of the clips that give no pair."""
        if self._pairing is None or not all("paired" in part for part in self._parts):
            return []  # an earlier version wrote a part
        paired = {clip for part in self._parts for clip in part["paired"]}
        return [
            {"clip": clip["clip"], "reason": self._pairing.reason_against(clip["fps"])}
            for number, clip in enumerate(clips)
            if number not in paired
        ]

    def _join(self, path: Path, about: dict) -> None:
        clips = about["clips"]
        headings = {
            "about": np.array(json.dumps(about, ensure_ascii=False)),
            "clip_name": np.array([clip["clip"] for clip in clips]),
            "clip_fps": np.array([clip["fps"] or np.nan for clip in clips], np.float64),
            "clip_transform": np.array([clip["transform"] for clip in clips], np.float64),
        }
        paths = [self._folder / f"{number:05d}.npz" for number in range(len(self._parts))]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, value in headings.items():
                with archive.open(f"{name}.npy", "w") as entry:
                    np.lib.format.write_array(entry, value)
            with np.load(paths[0]) as first:
                rows = {name: (first[name].dtype, first[name].shape[1:]) for name in first.files}
            for name, (dtype, shape) in rows.items():
                count = about["pairs"] if name.startswith("dma") else about["rows"]
                header = {"shape": (count, *shape), "fortran_order": False}
                header["descr"] = np.lib.format.dtype_to_descr(dtype)
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array_header_2_0(entry, header)
                    for part in paths:
                        with np.load(part) as arrays:
                            entry.write(np.ascontiguousarray(arrays[name]).tobytes())

    def _compare(self, earlier: dict, path: Path) -> None:
        differ = [name for name in self._settings if earlier.get(name) != self._settings[name]]
        if differ:
            raise UserError(
                f"{path} holds features of other settings ({', '.join(differ)}); give the same, "
                "remove it, or name another output"
            )

    def _write_json(self, name: str, value: dict) -> None:
        write_whole(self._folder / name, json.dumps(value, ensure_ascii=False).encode())


def _write_records(path: Path, arrays: dict[str, np.ndarray], before: int) -> None:
    scratch = path.with_suffix(".incomplete")
    try:
        _fill(array_record_module.ArrayRecordWriter(str(scratch), "group_size:1"), arrays, before)
    except RuntimeError as error:  # of a full disk, too
        raise OSError(str(error)) from error
    os.replace(scratch, path)


def _fill(writer, arrays: dict[str, np.ndarray], before: int) -> None:
    paired = {int(last): pair for pair, (_, last) in enumerate(arrays.get("dma_rows", ()))}
    for row in range(len(arrays["frame"])):
        record = {
            name: np.asarray(value[row])
            for name, value in arrays.items()
            if not name.startswith("dma")
        }
        if (pair := paired.get(before + row)) is not None:
            record |= {
                name: np.ascontiguousarray(arrays[name][pair]) for name in ("dma", "dma_rows")
            }
        writer.write(safetensors.numpy.save(record))
    writer.close()
