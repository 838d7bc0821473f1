import signal
import subprocess
import sys

from micron_jax.children import SIGNALS, signals_left_to_parent

MASK = "import signal; print(*map(int, sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))))"


def test_children_get_no_signals_of_the_terminal():
    command = [sys.executable, "-c", MASK]
    with signals_left_to_parent():
        blocked = subprocess.run(command, capture_output=True, text=True).stdout
    assert [int(number) for number in blocked.split()] == sorted(SIGNALS)
    assert subprocess.run(command, capture_output=True, text=True).stdout == "\n"
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_the_first_process_that_is_spawned_gets_none_either():
    program = f"""
import multiprocessing
from micron_jax.children import signals_left_to_parent

with signals_left_to_parent():
    process = multiprocessing.get_context("spawn").Process(target=exec, args=({MASK!r},))
    process.start()
process.join()
"""
    blocked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert [int(number) for number in blocked.stdout.split()] == sorted(SIGNALS), blocked.stderr
