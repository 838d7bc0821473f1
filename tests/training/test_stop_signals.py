import os
import signal

import pytest

from micron_jax.training.hosts import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_that_comes_twice_stops_and_kills_not(number):
    before = signal.getsignal(number)
    with StopSignals() as stop:
        assert stop.agreed() == 0
        for _ in range(3):  # as `timeout` sends it, to the process and to its group
            os.kill(os.getpid(), number)
        assert stop.agreed() == number
    assert signal.getsignal(number) == before


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.agreed() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
