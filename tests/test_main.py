"""The process of a command: signals at any moment, and closed pipes."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.patience import await_end

from micron_jax import __main__ as main

COMMAND = [sys.executable, "-m", "micron_jax"]
# A command `demo` that writes a folder and waits; what it does meanwhile stands in `work`.
PROGRAM = """
import os, pathlib, signal, sys, threading, time
from micron_jax.files import whole_folder
from micron_jax.programs import demo


def main(argv):
    with whole_folder(pathlib.Path(argv[0])) as folder:
        (folder / "part").write_text("part")
        {work}
        time.sleep(60)


demo.main = main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background ignores it
sys.argv = ["micron-jax", "demo", *sys.argv[1:]]
from micron_jax.__main__ import run

run()
"""
COMPILE = """
        import jax, jax.numpy as jnp

        def slow(x):
            for _ in range(2000):
                x = jnp.sin(x @ x)
            return x

        lowered = jax.jit(slow).lower(jnp.ones((8, 8)))
        threading.Thread(target=lowered.compile, daemon=True).start()
        time.sleep(0.5)
        print("ready", flush=True)
"""
READY = """
        print("ready", flush=True)
"""
# Python drops an exception in a finalizer.
IN_A_FINALIZER = """
        class Last:
            def __del__(self):
                print("ready", flush=True)
                time.sleep(60)

        last = Last()
        del last
"""


SWALLOWED = """
        try:
            print("ready", flush=True)
            time.sleep(60)
        except BaseException:
            pass
"""
# The end of a `with` takes as long as it needs.
CLEANING = """
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("cleaning", flush=True)
            time.sleep(1)
            (folder / "cleaned").touch()
"""


def started(work, output, *wrapper):
    """The process of the command, which is ready."""
    code = PROGRAM.replace("{work}", work.strip())
    process = subprocess.Popen(
        [*wrapper, sys.executable, "-c", code, str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("work", "number"),
    [
        (READY, signal.SIGINT),
        (READY, signal.SIGTERM),
        (READY, signal.SIGHUP),
        (COMPILE, signal.SIGINT),
        (COMPILE, signal.SIGTERM),
        (IN_A_FINALIZER, signal.SIGINT),
        (SWALLOWED, signal.SIGINT),
        (SWALLOWED, signal.SIGTERM),
    ],
)
def test_a_signal_ends_the_command_with_its_status(tmp_path, work, number):
    process = started(work, tmp_path / "out")
    process.send_signal(number)
    out, err = await_end(process)
    line = "stopped: the same command begins again\n"
    assert (process.returncode, out, err) == (128 + number, "", line)
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_ends_at_once(tmp_path):
    process = started(CLEANING.replace("sleep(1)", "sleep(60)"), tmp_path / "out")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "cleaning\n"
    time.sleep(main.SECOND + 0.1)
    process.send_signal(signal.SIGINT)
    out, err = await_end(process)
    assert (process.returncode, out, err) == (128 + signal.SIGINT, "", "")


def test_one_signal_that_comes_twice_is_one(tmp_path):
    process = started(CLEANING, tmp_path / "out")  # `timeout` sends it to the process and its group
    for _ in range(5):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    out, err = await_end(process)
    line = "stopped: the same command begins again\n"
    assert (process.returncode, out, err) == (128 + signal.SIGTERM, "cleaning\n", line)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_terminal_does_not_end_what_nohup_started(tmp_path):
    process = started(READY, tmp_path / "out", "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    await_end(process)
    assert process.returncode == 128 + signal.SIGTERM


# The interpreter ends; it would put back the signals' own effects.
DONE = """
        class Late:
            def __del__(self, kill=os.kill, pid=os.getpid()):
                for number in (1, 2, 15):
                    kill(pid, number)

        sys.late = Late()
        print("ready", flush=True)
        return 0
"""


def test_a_command_that_is_done_ends_so(tmp_path):
    process = started(DONE, tmp_path / "out")
    out, err = await_end(process)
    assert (process.returncode, out, err) == (0, "", "")


# As libraries ask for what may be missing.
IMPORTING = """
        (pathlib.Path(argv[0]).parent / "optional.py").write_text(
            "import time; print('ready', flush=True); time.sleep(1)"
        )
        sys.path.insert(0, str(pathlib.Path(argv[0]).parent))
        sys.dont_write_bytecode = True
        try:
            import optional
        except BaseException:
            print("it is missing")
        os.remove(optional.__file__)
"""


def test_an_import_is_not_interrupted(tmp_path):
    process = started(IMPORTING, tmp_path / "out")
    process.send_signal(signal.SIGINT)
    out, err = await_end(process)
    line = "stopped: the same command begins again\n"
    assert (process.returncode, out, err) == (128 + signal.SIGINT, "", line)


def test_an_error_is_no_signal():
    code = PROGRAM.replace("{work}", "raise ZeroDivisionError")
    done = subprocess.run(
        [sys.executable, "-c", code, os.devnull + "x"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    "words",
    [["data", "list"], ["data", "list", "casme2"], ["--help"], ["data", "build", "--help"]],
    ids=" ".join,
)
def test_a_closed_stdout_ends_the_command_quietly(words):
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    done = subprocess.run([*COMMAND, *words], stdout=writing_end, stderr=subprocess.PIPE, text=True)
    os.close(writing_end)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_closed_stderr_ends_the_command_quietly():
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    done = subprocess.run(
        [*COMMAND, "dance"], stdout=subprocess.PIPE, stderr=writing_end, text=True
    )
    os.close(writing_end)
    assert (done.returncode, done.stdout) == (141, "")


@pytest.mark.parametrize("descriptors", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_descriptors_are_no_error(descriptors):
    done = subprocess.run(
        ["bash", "-c", f'"$@" {descriptors}', "bash", *COMMAND, "data", "list"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_bars_are_few_in_a_log():
    program = (
        "import sys\nfrom micron_jax.__main__ import run\nsys.argv[1:] = ['--version']\n"
        "try:\n    run()\nexcept SystemExit:\n    from tqdm import tqdm\n"
        "    print(tqdm(total=3).mininterval)\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert process.stdout.splitlines()[1:] == ["10.0"], process.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_terminal_cannot_print_is_escaped(encoding):
    code = "from micron_jax import cli\n"
    code += "cli.main = lambda _: print('größe – \\udcff') or 0\n"
    code += "from micron_jax.__main__ import run; run()"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert text.encode(encoding, "backslashreplace").startswith(b"gr")
    assert text.rstrip().endswith("\\udcff")
