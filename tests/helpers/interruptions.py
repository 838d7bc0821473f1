"""Commands on tiny inputs that a signal stops, and what became of them."""

import dataclasses
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from helpers import portrait
from helpers.drawn_weights import draw_weights
from helpers.evaluated import composite
from helpers.films import write_image
from helpers.patience import Patience, await_end, await_handlers, members
from helpers.tiny import PAPER
from helpers.vendor_trees import casme2_row, write_casme2

from micron_jax import checkpoints
from micron_jax.evaluation.predictions import write_csv
from micron_jax.training.checkpoint import read_weights

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME = (".csv", ".npz", ".safetensors", ".jpg")
# One device, and code that is compiled soon: this is about the process, not its arithmetic.
QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
FAULTS = ("Traceback", "Fatal Python error", "Segmentation", "semaphore", "Exception ignored")


@dataclasses.dataclass(frozen=True)
class Case:
    """A command whose words may hold {out}; it takes about `seconds` and `makes` files or not."""

    name: str
    words: list[str]
    seconds: float
    makes: bool = True


@dataclasses.dataclass
class Outcome:
    """What a signal did; without `problems` all is well."""

    name: str
    number: signal.Signals
    moment: float
    status: int
    seconds: float  # from the signal to the end, wall time
    line: str
    again: int | None  # the status of the same command, started again
    problems: list[str]

    def row(self) -> str:
        again = "-" if self.again is None else self.again
        verdict = "; ".join(self.problems) or "ok"
        return (
            f"{self.name:<14}{self.number.name:<9}{self.moment:6.1f} s{self.status:6}"
            f"{self.seconds:7.1f} s{again:>6}  {verdict:<12}  {self.line}"
        )


HEADER = f"{'command':<14}{'signal':<9}{'after':>8}{'status':>6}{'ended in':>9}{'again':>6}"


def make_cases(folder: Path, corpus: Path, recipe: Path) -> list[Case]:
    """Makes the inputs of the commands.

    Args:
      corpus: a data_dir with a set `frames`.
      recipe: of a pretraining on it.
    """
    face, clip, tree = folder / "faces", folder / "clips" / "a", folder / "casme2"
    for seed in range(3):
        write_image(face / f"{seed}.png", portrait.portrait(seed)[..., ::-1])
    for t in range(24):
        image = np.full((64, 64, 3), 90, np.uint8)
        image[20 : 30 + t // 2, 20:40] = 200
        write_image(clip / f"{t}.png", image)
    shutil.copytree(clip, clip.with_name("b"))
    weights = folder / "weights"
    checkpoints.save(draw_weights(PAPER), weights)
    emotions = ("disgust", "happiness", "surprise")
    rows = []
    for subject in range(1, 4):
        for n, emotion in enumerate(emotions):
            onset = 5 + 3 * subject
            times = onset, onset + 10 * (n + 1), onset + 35
            rows.append(casme2_row(f"{subject:02}", f"EP{n:02}", *times, emotion))
    write_casme2(tree, rows)
    tuning = folder / "tuning.py"
    tuning.write_text(f"""
import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.checkpoint = {str(weights)!r}
    config.protocol = "synthetic"
    config.data = dict(data_dir={str(folder / "sets")!r}, crop="whole", registered=False)
    config.classifier = dict(features="difference", pooling="mean", dropout=0.0)
    config.augment = dict(copies=1)
    config.tuning = dict(epochs=20, batch_size=6, learning_rate=0.05, warmup_epochs=0)
    config.seeds = 2
    config.folds_at_once = 2
    return config
""")
    predictions = folder / "predictions.csv"
    write_csv(predictions, composite())
    sets = ["data", "build", "casme2", "--source", str(tree), "--data-dir"]
    assert run([*sets, str(folder / "sets")]).returncode == 0
    whole = ["--crop", "whole"]
    given = ["--checkpoint", str(weights), *whole]
    recording = Path(__file__).parents[1] / "fixtures" / "release_tiny.npz"
    frames = [
        "data",
        "build",
        "frames",
        *whole,
        "--source",
        str(clip.parent),
        "--data-dir",
        "{out}",
    ]
    train = ["pretrain", "--config", str(recipe), "--workdir", "{out}", "--config.epochs=1"]
    return [
        Case("pretrain", train, 20),
        Case("pretrain, 2 w", [*train, "--config.data.workers=2"], 25),
        Case("finetune", ["finetune", "--config", str(tuning), "--workdir", "{out}"], 20),
        Case("extract", ["extract", *given, "--input", str(clip), "--output", "{out}.npz"], 8),
        Case("visualize", ["visualize", *given, "--input", str(clip), "--output", "{out}"], 15),
        Case("convert", ["convert", str(weights), "{out}.safetensors"], 5),
        Case("build frames", [*frames, *whole, "--workers", "2", "--size", "32"], 8),
        Case("build casme2", [*sets, "{out}"], 6),
        Case(
            "faces",
            ["data", "faces", *whole, "--source", str(clip.parent), "--output", "{out}"],
            4,
        ),
        Case("stills", ["data", "stills", "--faces", str(face), "--output", "{out}"], 4),
        Case(
            "synth",
            ["data", "synth", "--clips", "2", "--faces", str(face), "--output", "{out}"],
            8,
        ),
        Case("check", ["data", "check", "frames", "--data-dir", str(corpus)], 5, makes=False),
        Case("list", ["data", "list"], 1, makes=False),
        Case("evaluate", ["evaluate", str(predictions), "--report", "{out}"], 8),
        Case("compare", ["compare", "--recording", str(recording)], 10, makes=False),
        Case("bench loso", ["bench", "loso", "--epochs", "2", "--repeats", "1"], 10, makes=False),
        Case("app", ["app", "--checkpoint", str(weights), "--port", "0"], 6, makes=False),
    ]


def start(words: list[str]) -> subprocess.Popen:
    """Starts a command in a process group of its own, as a terminal does."""
    command = [sys.executable, "-X", "faulthandler", "-m", "micron_jax", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=_environment(), text=True, start_new_session=True, **pipes)


def _environment() -> dict[str, str]:
    return os.environ | {"XLA_FLAGS": QUICKLY}


def run(words: list[str]) -> subprocess.CompletedProcess:
    """Runs a command to its end."""
    process = start(words)
    out, error = await_end(process)
    return subprocess.CompletedProcess(words, process.returncode, out, error)


def interrupt(
    case: Case,
    folder: Path,
    number: int,
    moment: float | Callable[[], bool],
    expected: dict | None,
) -> Outcome:
    """Sends a signal to a command and its children; then, where it makes files, goes on with it.

    Args:
      folder: a new one, for what the command makes.
      moment: seconds after it began to handle signals, or a condition that must become true.
      expected: `files_of` one that was left alone; None: not compared.
    """
    words = [word.replace("{out}", str(folder / "out")) for word in case.words]
    for _ in range(10):
        folder.mkdir(exist_ok=True)
        process, began = start(words), time.monotonic()
        sent = _signal_at(process, number, moment)
        signaled = time.monotonic()
        _, err = await_end(process)
        if sent or not callable(moment):
            break
        shutil.rmtree(folder)  # on a busy machine it was over between two looks
    else:
        raise AssertionError("the moment never comes")
    moment, seconds, status = signaled - began, time.monotonic() - signaled, process.returncode
    lines = [line for line in err.splitlines() if "stopped" in line]
    outcome = Outcome(
        case.name, signal.Signals(number), moment, status, seconds, "".join(lines[-1:]), None, []
    )
    if status != 0 and status != 128 + number:
        outcome.problems.append(f"status {status}: {err[-300:]!r}")
    if status and len(lines) != 1:
        outcome.problems.append(f"{len(lines)} last lines: {err[-300:]!r}")
    outcome.problems += [fault for fault in FAULTS if fault in err]
    if left := _alive(process.pid):
        outcome.problems.append(f"processes {left} live on")
    if case.makes:
        again = run(words)
        outcome.again = again.returncode
        # Written whole before the signal came, it is refused.
        whole = again.returncode == 2 and "exists" in again.stderr
        if again.returncode and not whole:
            outcome.problems.append(f"started again: {again.stderr[-300:]!r}")
        elif expected is not None and files_of(folder) != expected:
            outcome.problems.append("other files than those of one that is left alone")
    return outcome


def _signal_at(process: subprocess.Popen, number: int, moment: float | Callable[[], bool]) -> bool:
    """Sends a signal to a process group at a moment of `interrupt`; False: it ended before."""
    await_handlers(process)
    began, patience = time.monotonic(), Patience(process.pid)
    while process.poll() is None and not patience.is_over():
        if moment() if callable(moment) else time.monotonic() - began > moment:
            os.killpg(process.pid, number)
            return True
        time.sleep(0.01)
    return False


def files_of(folder: Path) -> dict[str, str]:
    """The files of a command: of those that must be the same a digest, of others their names."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    named = {str(path.relative_to(folder)): path for path in paths}
    skipped = ("tensorboard", "compiled", "checkpoints", "damaged", ".lock")
    weights = {}
    if any(folder.glob("out/checkpoints/[0-9]*")):
        step, tree = read_weights(folder / "out")
        arrays = (np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree))
        weights[f"weights of step {step}"] = hashlib.sha256(b"".join(arrays)).hexdigest()
    return weights | {
        name: hashlib.sha256(path.read_bytes()).hexdigest() if name.endswith(SAME) else ""
        for name, path in named.items()
        if not any(part in name for part in skipped)
    }


def finish(case: Case, folder: Path) -> dict[str, str]:
    """Runs a command that is left alone, and returns its files."""
    folder.mkdir()
    done = run([word.replace("{out}", str(folder / "out")) for word in case.words])
    assert done.returncode == 0, done.stderr[-2000:]
    return files_of(folder)


def soak(cases: list[Case], folder: Path, *, count: int, seed: int) -> list[Outcome]:
    """Interrupts `count` commands, each at a random moment, and prints the table.

    The short ones come three times as often as the long ones, which close each round.
    """
    rng, outcomes, expected = random.Random(seed), [], {}
    short, long = (
        [case for case in cases if (case.seconds > 10) == late] for late in (False, True)
    )
    order = [*short * 3, *long]
    print(HEADER, flush=True)
    for n in range(count):
        case = order[n % len(order)]
        if case.makes and case.name not in expected:
            began = time.monotonic()
            expected[case.name] = finish(case, folder / f"alone{n}"), time.monotonic() - began
        files, seconds = expected.get(case.name, ({}, case.seconds))
        number, moment = rng.choice(NUMBERS[:2] * 3 + NUMBERS[2:]), rng.uniform(0.3, 1.05 * seconds)
        outcomes.append(interrupt(case, folder / f"run{n}", number, moment, files))
        print(outcomes[-1].row(), flush=True)
        shutil.rmtree(folder / f"run{n}")
    return outcomes


def _alive(group: int) -> list[int]:
    """Processes of a group that do not end."""
    patience = Patience(group, seconds=5, idle=10)
    while left := [process for process, _ in members(group)]:
        if patience.is_over():
            break
        time.sleep(0.1)
    return left
