import pytest
from helpers.plans import step_cost

from micron_jax.planning.batch import largest_batch
from micron_jax.planning.steps import TooLarge


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize(("each", "first"), [(3, 1), (3, 5), (3, 40), (0.5, 7), (90, 4)])
def test_the_largest_batch_is_found_in_few_attempts(each, first, refuses):
    attempts = []

    def attempt(samples):
        attempts.append(samples)
        needed = 10 + each * samples
        if refuses and needed > 100:
            return TooLarge(needed, 100)
        return step_cost(needed=needed, available=100)

    largest, fitting = largest_batch(attempt, first)
    assert largest == int(90 / each)
    assert fitting.needed == 10 + each * largest
    assert len(attempts) == len(set(attempts)) <= 6


def test_no_batch_fits():
    assert largest_batch(lambda samples: TooLarge(200 * samples, 100), 3) == (0, None)
