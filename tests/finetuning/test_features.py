import numpy as np
import pytest

from micron_jax.errors import UserError
from micron_jax.finetuning.features import CACHE, cached


def test_arrays_are_made_once_for_a_key_and_again_if_their_file_is_damaged(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"x": np.arange(3) + len(calls)}

    for key, count in (({"a": 1}, 1), ({"a": 1}, 1), ({"a": 2}, 2)):
        np.testing.assert_array_equal(cached(tmp_path, "f", key, make)["x"], np.arange(3) + count)
    (tmp_path / CACHE / "f.npz").write_bytes(b"PK")
    np.testing.assert_array_equal(cached(tmp_path, "f", {"a": 2}, make)["x"], np.arange(3) + 3)


def test_a_workdir_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"f\.npz: cannot be written"):
        cached(tmp_path / "file", "f", {}, lambda: {"x": np.zeros(1)})
