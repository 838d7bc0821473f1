import numpy as np

from micron_jax.spotting.rows import Rows


def test_rows_are_read_as_they_were_added():
    values = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    rows = Rows()
    for value in values:
        rows.add(value)
        np.testing.assert_array_equal(rows.last, value)
    np.testing.assert_array_equal(rows.array(), values)
