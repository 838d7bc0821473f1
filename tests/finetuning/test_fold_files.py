import numpy as np
import pytest

from micron_jax.errors import UserError
from micron_jax.finetuning import fold_files


def test_results_are_read_back(tmp_path):
    result = fold_files.FoldResult(
        np.ones((2, 3), np.float32), {"train_loss": np.arange(3.0)}, None
    )
    path = fold_files.path_of(tmp_path, 1, 12)
    assert fold_files.read(path) is None
    fold_files.save(path, result)
    again = fold_files.read(path)
    np.testing.assert_array_equal(again.probabilities, result.probabilities)
    np.testing.assert_array_equal(again.curves["train_loss"], result.curves["train_loss"])
    assert again.test_curve is None
    path.write_bytes(path.read_bytes()[:50])
    assert fold_files.read(path) is None


def test_a_flipped_bit_makes_no_other_result(tmp_path):
    result = fold_files.FoldResult(
        np.ones((2, 3), np.float32), {"train_loss": np.arange(3.0)}, np.ones((3, 2, 3))
    )
    path = fold_files.path_of(tmp_path, 0, 0)
    fold_files.save(path, result)
    data = path.read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        if (again := fold_files.read(path)) is not None:  # it was a time, or a version
            np.testing.assert_array_equal(again.probabilities, result.probabilities)
            np.testing.assert_array_equal(again.curves["train_loss"], result.curves["train_loss"])
            np.testing.assert_array_equal(again.test_curve, result.test_curve)


def test_folds_of_another_origin_are_refused(tmp_path):
    origin = {"weights": "ab", "clips": ["casme2 a 0"]}
    fold_files.claim_origin(tmp_path, origin)
    fold_files.claim_origin(tmp_path, origin)
    with pytest.raises(UserError, match="not what its first folds were trained from"):
        fold_files.claim_origin(tmp_path, origin | {"folds": [(0, 1)]})


def test_a_restart_trains_as_many_folds_at_once(tmp_path):
    fold_files.claim_origin(tmp_path, {})
    assert fold_files.folds_at_once(tmp_path, lambda: 5) == 5
    assert fold_files.folds_at_once(tmp_path, lambda: 7) == 5
    (tmp_path / "folds" / "at_once").write_text("")
    with pytest.raises(UserError, match="at_once: damaged; remove folds/"):
        fold_files.folds_at_once(tmp_path, lambda: 7)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="origin: cannot be written"):
        fold_files.claim_origin(tmp_path / "file", {})
