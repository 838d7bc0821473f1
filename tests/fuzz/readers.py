"""The readers that are fed damaged files, each with the sound files that it reads."""

import dataclasses
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
      write: writes sound files into a new folder and returns those to damage.
      read: reads a file; returns what stands in it, comparable with `==`.
      exact: a file that can be read must hold what the sound one holds: it has checksums.
    """

    write: Callable[[Path], list[Path]]
    read: Callable[[Path], object]
    exact: bool = False


def _weights():
    from helpers import tiny
    from helpers.drawn_weights import draw_weights

    return draw_weights(tiny.RELEASE)


def _digest(arrays: dict) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()


def _write_pth(folder: Path) -> list[Path]:
    from micron_jax.checkpoints import files

    files.save(_weights(), folder / "release.pth")
    return [folder / "release.pth"]


def _write_folder(folder: Path) -> list[Path]:
    from micron_jax.checkpoints import files

    files.save(_weights(), folder / "converted")
    return [folder / "converted" / files.CONFIG]


def _write_safetensors(folder: Path) -> list[Path]:
    from micron_jax.checkpoints import files

    files.save(_weights(), folder / "converted")
    files.save(_weights(), folder / "one.safetensors")
    return [folder / "converted" / files.ARRAYS, folder / "one.safetensors"]


def _read_checkpoint(path: Path) -> object:
    from micron_jax.checkpoints import load

    weights = load.read(path if path.suffix == ".pth" or path.stem == "one" else path.parent)
    return _digest(weights.flat())


def _write_recording(folder: Path) -> list[Path]:
    from micron_jax.parity import recorded

    results = {"tokens": np.arange(60, dtype=np.float32).reshape(1, 5, 12), "loss": np.float32(2)}
    views = {"frames": np.zeros((2, 8, 8, 3), np.uint8)}
    recording = recorded.Recording("x", results, views, {"cls_token": 7})
    recorded.write(recording, folder / "recording.npz")
    return [folder / "recording.npz"]


def _read_recording(path: Path) -> object:
    from micron_jax.parity import recorded

    return _digest(recorded.read(path).results)


def _write_sheets(folder: Path) -> list[Path]:
    from helpers import vendor_trees

    header, rows = vendor_trees.CASME2_HEADER, vendor_trees.CASME2_ROWS
    names = ("sheet.xlsx", "sheet.xls")
    return [vendor_trees.write_sheet(folder / name, header, rows) for name in names]


def _read_sheet(path: Path) -> object:
    from micron_jax.datasets import annotations, clipset

    columns = clipset.columns(clip="Filename", onset="OnsetFrame")
    names = annotations.sheet_names(path)
    return [annotations.read_rows(path, name, columns) for name in names]


def _write_tables(folder: Path) -> list[Path]:
    labels = ("sad", "happy")
    rows = [f"EP{i:02},{i % 5:02},{labels[i % 2]},{labels[i % 3 % 2]}" for i in range(20)]
    (folder / "table.csv").write_text("\n".join(["clip,subject,label,prediction", *rows]))
    rows = [f"clip{i},name {i},{i + 1},{i + 6},{25 * (i + 1)}" for i in range(4)]
    (folder / "clips.csv").write_text("\n".join(["path,name,first,last,fps", *rows]))
    for clip, number in itertools.product(range(4), range(1, 11)):
        (folder / f"clip{clip}").mkdir(exist_ok=True)
        (folder / f"clip{clip}" / f"{number}.jpg").touch()
    return [folder / "table.csv", folder / "clips.csv"]


def _read_table(path: Path) -> object:
    if path.stem == "table":
        from micron_jax.evaluation.predictions import read_predictions

        return read_predictions(path)
    from micron_jax.datasets.frames import sources

    return sources.read_list(path)


def _write_films(folder: Path) -> list[Path]:
    import av

    films = []
    for name, codec in (
        ("h264.mp4", "libx264"),
        ("vp9.webm", "libvpx-vp9"),
        ("mpeg2.mpg", "mpeg2video"),
        ("mjpeg.avi", "mjpeg"),
        ("hevc.mkv", "libx265"),
        ("prores.mov", "prores_ks"),
    ):
        formats = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = formats.get(codec, "yuv420p")
            if codec == "libx265":
                stream.options = {"x265-params": "log-level=none"}
            for number in range(12):
                image = np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(image.repeat(8, 0).repeat(8, 1), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        films.append(folder / name)
    return films


def _write_images(folder: Path) -> list[Path]:
    from PIL import Image

    images = []
    for name in ("a.jpg", "a.png", "a.bmp", "a.tif", "a.webp", "a.gif"):
        image = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
        Image.fromarray(image.repeat(8, 0).repeat(8, 1)).save(folder / name)
        images.append(folder / name)
    return images


def _read_clip(path: Path) -> object:
    from micron_jax.video.image_files import Unreadable
    from micron_jax.video.inputs import find_inputs

    (clip,) = find_inputs([path])
    times = []
    for _, seconds, frame in clip.read():
        if isinstance(frame, Unreadable):
            _check_line(str(frame))
        else:
            assert frame.dtype == np.uint8, frame.dtype
            assert frame.ndim == 3, frame.shape
            times.append(seconds)
    return times


def _check_line(text: str) -> None:
    """Fails where a reason is not one line that a terminal may show."""
    assert text, "no reason"
    assert text.isprintable(), f"not one printable line: {text!r}"


READERS = {
    ".pth": Reader(_write_pth, _read_checkpoint),
    ".safetensors": Reader(_write_safetensors, _read_checkpoint, exact=True),
    "config.json": Reader(_write_folder, _read_checkpoint),
    ".npz": Reader(_write_recording, _read_recording),
    "sheet": Reader(_write_sheets, _read_sheet),
    "CSV": Reader(_write_tables, _read_table),
    "film": Reader(_write_films, _read_clip),
    "image": Reader(_write_images, _read_clip),
}
