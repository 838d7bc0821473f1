"""Kills, signals, damage, full disks and double starts of every command, and what became of them.

Afterwards the same command goes on, and ends with the files of one that was left alone.
"""

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from helpers import interruptions
from helpers.damage import KINDS, damage
from helpers.interruptions import FAULTS, Case, files_of, run, start
from helpers.patience import await_end
from helpers.small_disk import mount


@dataclasses.dataclass
class Trial:
    """One trial of a command; without `problems` all is well."""

    name: str
    kind: str
    detail: str
    problems: list[str] = dataclasses.field(default_factory=list)

    def row(self) -> str:
        verdict = "; ".join(self.problems) or "ok"
        return f"{self.name:<15}{self.kind:<14}{self.detail:<34}{verdict}"


class Soak:
    """Trials of commands at random moments.

    Args:
      folder: for what the commands make; emptied after each trial.
      seed: of the choices.
    """

    def __init__(self, cases: list[Case], folder: Path, seed: int):
        self._cases, self._folder, self._chance = cases, folder, random.Random(seed)
        self._alone: dict[str, tuple[dict, float, int]] = {}  # files, seconds, bytes
        self._count = 0
        self.kinds: dict[str, Callable[[Case], Trial]] = {
            "signal": self.signal,
            "kill -9": self.kill,
            "double start": self.double_start,
            "full disk": self.full_disk,
            "damage": self.damage,
        }

    def run(self, until: Callable[[], bool]) -> list[Trial]:
        """Makes random trials, and prints each, until a condition holds."""
        trials = []
        while not until():
            case, kind = self._chance.choice(self._cases), self._chance.choice([*self.kinds])
            if kind != "signal" and not case.makes:
                continue
            if kind == "damage" and not case.name.startswith("pretrain"):
                continue
            trials.append(self.kinds[kind](case))
            print(trials[-1].row(), flush=True)
        return trials

    def signal(self, case: Case) -> Trial:
        """Sends a signal that asks a command to end."""
        files, seconds, _ = self._left_alone(case)
        number, moment = self._chance.choice(interruptions.NUMBERS), self._moment(seconds)
        folder = self._new_folder()
        outcome = interruptions.interrupt(
            case, folder, number, moment, files if case.makes else None
        )
        shutil.rmtree(folder)
        detail = f"{outcome.number.name} after {moment:.1f} s: {outcome.status}"
        return Trial(case.name, "signal", detail, outcome.problems)

    def kill(self, case: Case) -> Trial:
        """Kills a command and its children."""
        _, seconds, _ = self._left_alone(case)
        folder, moment = self._new_folder(), self._moment(seconds)
        trial = Trial(case.name, "kill -9", f"after {moment:.1f} s")
        self._kill(case, folder, moment)
        return self._goes_on(trial, case, folder)

    def double_start(self, case: Case) -> Trial:
        """Starts a command twice on one place: one does the work, the other one says so."""
        _, seconds, _ = self._left_alone(case)
        folder, delay = self._new_folder(), self._chance.choice([0.0, self._moment(seconds)])
        processes = [start(_words(case, folder))]
        time.sleep(delay)
        processes.append(start(_words(case, folder)))
        ends = [(await_end(process)[1], process.returncode) for process in processes]
        statuses = sorted(status for _, status in ends)
        trial = Trial(case.name, "double start", f"{delay:.1f} s apart: {statuses}")
        if statuses not in ([0, 0], [0, 2]):
            trial.problems.append("; ".join(error[-300:] for error, _ in ends))
        trial.problems += _faults("".join(error for error, _ in ends))
        return self._goes_on(trial, case, folder)

    def full_disk(self, case: Case) -> Trial:
        """Runs a command on a disk that is too small, and again when there is room."""
        size = self._left_alone(case)[2]
        folder = self._new_folder()
        share = self._chance.uniform(0.0, 1.1)
        kilobytes = max(8, int(share * size) // 1024)
        if not mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder):
            shutil.rmtree(folder)
            return Trial(case.name, "full disk", "no disk could be mounted")
        try:
            first = run(_words(case, folder))
            trial = Trial(case.name, "full disk", f"{kilobytes} kB: {first.returncode}")
            if first.returncode not in (0, 2):
                trial.problems.append(f"status {first.returncode}: {first.stderr[-300:]!r}")
            trial.problems += _faults(first.stderr)
            assert mount("-o", "remount,size=2g", folder)
            return self._goes_on(trial, case, folder, keep=True)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
            shutil.rmtree(folder)

    def damage(self, case: Case) -> Trial:
        """Kills a pretraining, and damages a file of its newest checkpoint."""
        _, seconds, _ = self._left_alone(case)
        folder = self._new_folder()
        self._kill(case, folder, self._chance.uniform(0.6, 1.0) * seconds)
        steps = [path for path in folder.glob("out/checkpoints/*") if path.name.isdecimal()]
        steps.sort(key=lambda path: int(path.name))
        trial = Trial(case.name, "damage", "no checkpoint yet")
        if steps:
            kind = self._chance.choice([kind for kind in KINDS if kind != "files swapped"])
            name = damage(self._chance, kind, steps[-1])
            trial.detail = f"step {steps[-1].name}: {kind}, {Path(name).name[:12]}"
        return self._goes_on(trial, case, folder, alone=len(steps) == 1)

    def _kill(self, case: Case, folder: Path, moment: float) -> None:
        process = start(_words(case, folder))
        try:
            process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _goes_on(
        self, trial: Trial, case: Case, folder: Path, *, alone: bool = False, keep: bool = False
    ) -> Trial:
        """Starts the command again; `alone`: it may refuse a checkpoint that is the only one."""
        again = run(_words(case, folder))
        if again.returncode == 0 or (again.returncode == 2 and "exists" in again.stderr):
            if files_of(folder) != self._left_alone(case)[0]:
                trial.problems.append("other files than those of one that is left alone")
        elif not (alone and again.returncode == 2):
            trial.problems.append(f"again: {again.returncode} {again.stderr[-300:]!r}")
        trial.problems += _faults(again.stderr)
        if not keep:
            shutil.rmtree(folder)
        return trial

    def _left_alone(self, case: Case) -> tuple[dict, float, int]:
        """Files, seconds and bytes of a command that is left alone."""
        if not case.makes:
            return {}, case.seconds, 0
        if case.name not in self._alone:
            folder, began = self._folder / f"alone{len(self._alone)}", time.monotonic()
            files = interruptions.finish(case, folder)
            seconds = time.monotonic() - began
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            self._alone[case.name] = files, seconds, size
            shutil.rmtree(folder)
        return self._alone[case.name]

    def _moment(self, seconds: float) -> float:
        return self._chance.uniform(0.3, 1.05 * seconds)

    def _new_folder(self) -> Path:
        self._count += 1
        folder = self._folder / f"trial{self._count}"
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        return folder


def table(trials: list[Trial]) -> str:
    """Returns the counts of trials and of problems, by command and kind, as a table of Markdown."""
    kinds = list(dict.fromkeys(trial.kind for trial in trials))
    counts = Counter((trial.name, trial.kind) for trial in trials)
    bad = Counter((trial.name, trial.kind) for trial in trials if trial.problems)
    lines = [f"| command | {' | '.join(kinds)} |", "|" + "---|" * (1 + len(kinds))]
    for name in dict.fromkeys(trial.name for trial in trials):
        cells = []
        for kind in kinds:
            count, problems = counts[name, kind], bad[name, kind]
            cells.append((f"{count}, {problems} BAD" if problems else str(count)) if count else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, f"{len(trials)} trials, {sum(bad.values())} with problems"])


def _words(case: Case, folder: Path) -> list[str]:
    return [word.replace("{out}", str(folder / "out")) for word in case.words]


def _faults(error: str) -> list[str]:
    return [fault for fault in FAULTS if fault in error]
