import numpy as np
import pytest

from micron_jax.video.timing import seconds_of, step_of


@pytest.mark.parametrize(
    ("numbers", "step"),
    [
        ([], 1),
        ([7], 1),
        (range(5, 20), 1),
        (range(0, 50, 5), 5),
        ([1, 2, 3, 7, 8], 1),
        ([0, 33, 67, 100, 133, 167], 33),  # milliseconds at 30 per second
        ([3, 11, 12, 19, 40, 44, 61], 1),  # picked from a recording
        ([1_000, 1_031, 1_066, 1_095, 1_131], 31),  # milliseconds of a phone
        ([1, 2, 12, 22, 32], 10),
    ],
)
def test_the_step_between_numbers(numbers, step):
    assert step_of(numbers) == step


def test_numbers_and_a_rate_make_times():
    np.testing.assert_allclose(seconds_of([8, 9, 12], 50), [0, 0.02, 0.08])
    np.testing.assert_allclose(seconds_of([100, 105, 110, 125], 40), [0, 0.025, 0.05, 0.125])
    assert seconds_of([], 30) == []
