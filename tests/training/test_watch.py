import math

import pytest

from micron_jax.training.watch import Diverged, HealthCheck


def metrics(loss=1.0, **more):
    return {"loss": loss, "grad_norm": 1.0} | more


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_named(value):
    with pytest.raises(Diverged, match=f"step 3: grad_norm is {value}") as caught:
        HealthCheck(spike=0).check(3, metrics(grad_norm=value))
    assert caught.value.step == 3


def test_a_spike_is_measured_against_the_median_of_a_hundred():
    health = HealthCheck(spike=3.0)
    for step in range(300):  # from 1 down to 0.1, with one loss of twice its neighbors
        health.check(step, metrics((2 if step == 150 else 1) * 0.1 ** (step / 300)))
    with pytest.raises(Diverged, match=r"loss is 0.5, and its median so far 0.14"):
        health.check(300, metrics(0.5))


def test_losses_about_zero_are_measured_by_how_they_vary():
    health = HealthCheck(spike=10.0)
    for step in range(200):  # within 0.5 of 0.01, as a likelihood may be
        health.check(step, metrics(0.01 + 0.5 * math.sin(step)))
    health.check(200, metrics(2.4))
    with pytest.raises(Diverged, match=r"loss is 5, and its median so far 0.0"):
        health.check(201, metrics(5.0))


def test_losses_below_zero_have_spikes_too():
    health = HealthCheck(spike=10.0)
    for step in range(50):
        health.check(step, metrics(-1.0))
    health.check(50, metrics(1.0))
    with pytest.raises(Diverged):
        health.check(51, metrics(9.0))


def test_the_first_losses_are_no_measure():
    health = HealthCheck(spike=3.0)
    for step in range(20):
        health.check(step, metrics(100.0 if step == 1 else 1.0))


def test_spikes_do_not_count_in_the_median():
    health = HealthCheck(spike=3.0)
    for step in range(40):
        health.check(step, metrics())
    for _ in range(100):
        with pytest.raises(Diverged):
            health.check(40, metrics(9.0))


def test_collapse_is_reported_once_of_each_kind():
    health = HealthCheck(spike=0)
    assert health.check(1, metrics(feature_spread=0.5, teacher_entropy=0.5)) is None
    warning = health.check(2, metrics(feature_spread=0.01))
    assert "step 2: feature_spread is 0.01: the CLS" in warning
    assert health.check(3, metrics(feature_spread=0.01)) is None
    both = metrics(feature_spread=0.01, teacher_entropy=0.999)
    assert "teacher_entropy is 0.999" in health.check(4, both)
    assert health.check(5, both) is None
