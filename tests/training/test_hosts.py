"""One process among none; programs/test_pretrain_processes.py starts several."""

import signal

import pytest

from micron_jax.errors import UserError
from micron_jax.training import hosts


def test_one_process_starts_nothing(monkeypatch):
    def never(*_, **__):
        raise AssertionError("initialized")

    monkeypatch.setattr("jax.distributed.initialize", never)
    monkeypatch.setattr("micron_jax.training.roll_call.roll_call", never)
    hosts.initialize()
    hosts.initialize("localhost:1", 1, 0)


def test_a_signal_is_agreed_on_at_once_by_one_process():
    before = signal.getsignal(signal.SIGTERM)
    with hosts.StopSignals() as stop:
        assert stop.agreed() == 0
        signal.raise_signal(signal.SIGTERM)
        assert stop.agreed() == signal.SIGTERM
        stop.ask(1000)
        assert stop.agreed() == 1000
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_single_process_meets_nobody():
    assert hosts.together(lambda: 3) == 3
    assert hosts.gather("said") == ["said"]
    with pytest.raises(UserError, match="mine"):
        hosts.together(lambda: (_ for _ in ()).throw(UserError("mine")))
