"""Files of features of other programs, and their faults."""

import hashlib

import numpy as np
import pytest

from micron_jax.datasets import feature_file
from micron_jax.datasets.joining import ClipName
from micron_jax.errors import UserError


def arrays(**more):
    x = np.arange(12, dtype=np.float64).reshape(3, 2, 2)
    return {"set": ["samm"] * 3, "clip": ["a", "b", "c"], "x": x} | more


def test_a_file_is_read(tmp_path):
    path = tmp_path / "f.npz"
    np.savez(path, **arrays(clip=np.array([1, 2, 3]), subject=["1", "1", "2 "], label=["x"] * 3))
    file = feature_file.read(path)
    assert file.clips[2] == ClipName("samm", "3", "2")
    assert file.labels == ["x"] * 3
    assert file.x.dtype == np.float32
    np.testing.assert_array_equal(file.x, np.arange(12).reshape(3, 4))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.about == {"file": "f.npz", "sha256": digest, "shape": [3, 2, 2]}


def damaged(value, dtype=np.float64):
    x = arrays()["x"].astype(dtype)
    x[1, 0, 1] = value
    return x


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"x": damaged(np.nan)}, "x of row 1, samm b, has a number that is NaN, infinite"),
        ({"x": damaged(-np.inf, np.float16)}, "x of row 1, samm b"),
        ({"x": damaged(1e300)}, "too large for float32"),
        ({"x": np.ones((3, 5))}, "x is the same in all 3 rows"),
        ({"x": np.ones(3)}, "x is float64 (3,); it needs numbers [n, ...]"),
        ({"x": np.ones((0, 4)), "clip": [], "set": []}, "n > 0"),
        ({"x": np.ones((3, 4), complex)}, "x.npy holds complex128, neither numbers nor text"),
        ({"x": np.array([["a"]] * 3)}, "it needs numbers"),
        ({"clip": ["a", "b"]}, "clip is (2,), but x is (3, 2, 2): one clip for each row of x"),
        ({"clip": np.array(["a", "b", "c"], object)}, "clip.npy holds object"),
        ({"clip": ["a", "", "c"]}, "clip of row 1 is '' (the first row is 0)"),
        ({"subject": ["1", "nan", "2"]}, "subject of row 1 is 'nan'"),
        ({"label": np.array([0, 1, 2])}, "label holds int64; write the names of the classes"),
    ],
)
def test_faults_are_one_line(tmp_path, more, words):
    path = tmp_path / "f.npz"
    np.savez(path, **arrays(**more))
    with pytest.raises(UserError) as error:
        feature_file.read(path)
    assert str(error.value).startswith(str(path))
    assert words in str(error.value)


def test_no_such_arrays(tmp_path):
    np.savez(tmp_path / "f.npz", features=np.ones((3, 2)))
    with pytest.raises(UserError, match=r"no array 'clip'; it needs .* its arrays: features"):
        feature_file.read(tmp_path / "f.npz")
    (tmp_path / "g.npz").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"not a readable \.npz file; copy it again"):
        feature_file.read(tmp_path / "g.npz")
    with pytest.raises(UserError, match=r"is a folder; name an \.npz file"):
        feature_file.read(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        feature_file.read(tmp_path / "h.npz")
