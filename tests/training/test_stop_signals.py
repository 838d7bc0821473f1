import os
import signal

import pytest

from micron_jax.training import hosts
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


def test_a_second_signal_kills(monkeypatch):
    now, raised = [100.0], []
    monkeypatch.setattr(hosts.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    with StopSignals():
        os.kill(os.getpid(), signal.SIGTERM)
        assert raised == []
        now[0] += 1
        os.kill(os.getpid(), signal.SIGTERM)
        assert raised == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.agreed() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
