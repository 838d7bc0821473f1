"""A source and a set in a bucket, for which a folder stands here."""

import cv2
import numpy as np
import pytest
from etils import epath
from etils.epath import backend
from fsspec.implementations.local import LocalFileSystem
from helpers.films import write_video

from micron_jax.datasets.frames import describe
from micron_jax.datasets.frames.builder import build
from micron_jax.errors import UserError


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """The folder in which gs://bucket/x is x."""

    class Bucket(LocalFileSystem):
        protocol = "gcs"

        @classmethod
        def _strip_protocol(cls, path):
            if str(path).startswith("gs://bucket"):
                path = f"{tmp_path}/bucket{str(path).removeprefix('gs://bucket')}"
            return super()._strip_protocol(path)

    (tmp_path / "bucket").mkdir()
    kind = type(backend.fsspec_backend)
    monkeypatch.setattr(kind, "_get_filesystem", lambda self, name: Bucket())
    monkeypatch.setenv("EPATH_USE_TF", "false")
    assert epath.Path("gs://bucket").exists()
    return tmp_path / "bucket"


def write_clips(folder):
    (folder / "clip").mkdir(parents=True)
    for number in range(6):
        picture = np.full((20, 20, 3), 30 * number, np.uint8)
        cv2.imwrite(str(folder / "clip" / f"{number}.png"), picture)
    write_video(folder / "talk.mp4", [np.full((32, 32, 3), 10 * n, np.uint8) for n in range(8)])


def write_list(folder, prefix, *lines):
    path = folder / "clips.csv"
    rows = [f"{prefix}{line}\n" for line in lines]
    path.write_text("path,name,first,last\n" + "".join(rows))
    return path


LINES = ("/clip,a,,", "/talk.mp4,b,,", "/clip,c,2,3")


def test_a_set_in_a_bucket_equals_one_on_disk(bucket, tmp_path):
    write_clips(bucket)
    there = write_list(tmp_path, "gs://bucket", *LINES)
    assert build(there, "gs://bucket/data", size=16, crop="whole") is True
    assert build(there, "gs://bucket/data", size=16, crop="whole") is False
    here = write_list(bucket, "", *(line[1:] for line in LINES))
    build(here, tmp_path / "data", size=16, crop="whole")
    folders = bucket / "data" / "frames" / "1.0.0", tmp_path / "data" / "frames" / "1.0.0"
    names, expected = (sorted(path.name for path in folder.iterdir()) for folder in folders)
    assert names == expected
    shard = "frames-train.array_record-00000-of-00001"
    assert (folders[0] / shard).read_bytes() == (folders[1] / shard).read_bytes()
    assert describe("gs://bucket/data")["frames"] == 6 + 8 + 2
    assert str(describe("gs://bucket/data")["folder"]) == "gs://bucket/data/frames/1.0.0"


def test_a_file_missing_in_the_bucket_is_named(bucket, tmp_path):
    path = write_list(tmp_path, "gs://bucket", "/gone.mp4,a,,")
    with pytest.raises(
        UserError, match=r"row 2, path: gs://bucket/gone.mp4 is neither a video nor"
    ):
        build(path, "gs://bucket/data", size=16, crop="whole")
