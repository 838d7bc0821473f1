"""Damaged files fed to the readers in a process of its own: `python tests/fuzz/campaign.py`.

A reader may read a damaged file or refuse it in one line. Everything else is a fault: another
exception, a crash, more than SECONDS or more than MEMORY, a reason that is no printable line,
other content where the file has checksums.
"""

import argparse
import collections
import dataclasses
import itertools
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.readers import READERS
from helpers.mutations import damage

SECONDS = 10.0  # to read one file
MEMORY = 2**30  # bytes beyond what reading the sound files takes


@dataclasses.dataclass
class Outcomes:
    """The outcomes of one reader: counts of reads and refusals, faults in words, cost."""

    read: int = 0
    refused: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0  # the slowest
    memory: int = 0  # bytes, the rise of the peak


def run(names: list[str], mutations: int, seed: int = 0) -> dict[str, Outcomes]:
    """Feeds `mutations` damaged files to each reader; the same seed damages alike."""
    outcomes = {name: Outcomes() for name in names}
    tasks = collections.deque(itertools.product(names, range(mutations)))
    while tasks:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(list(tasks), seed, sender)
        )
        process.start()
        sender.close()
        _collect(receiver, tasks, outcomes)
        process.kill()
        process.join()
    return outcomes


def _collect(receiver: Connection, tasks: collections.deque, outcomes: dict[str, Outcomes]) -> None:
    """Takes results until all tasks are done, or one ends or hangs the process."""
    started = False
    while tasks:
        name, number = tasks[0]
        # Imports and the sound files come before the first result of a process.
        patience = SECONDS if started else 120
        try:
            kind, detail, seconds, memory = (
                receiver.recv() if receiver.poll(patience) else ("fault", "hangs", patience, 0)
            )
        except EOFError:
            if not started:
                raise RuntimeError(f"{name}: its sound files cannot be read") from None
            kind, detail, seconds, memory = "fault", "the process crashes", 0.0, 0
        if kind == "ready":
            started = True
            continue
        tasks.popleft()
        outcome = outcomes[name]
        if kind == "fault":
            outcome.faults.append(f"mutation {number}: {detail}")
        else:
            setattr(outcome, kind, getattr(outcome, kind) + 1)
        outcome.seconds, outcome.memory = max(outcome.seconds, seconds), max(outcome.memory, memory)
        if detail in ("hangs", "the process crashes"):
            return


def _work(tasks: list[tuple[str, int]], seed: int, sender: Connection) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for name, group in itertools.groupby(tasks, key=lambda task: task[0]):
            reader, folder = READERS[name], Path(scratch, name.strip("."))
            folder.mkdir()
            files = reader.write(folder)
            sound = {file: (file.read_bytes(), reader.read(file)) for file in files}
            sender.send(("ready", "", 0.0, 0))
            for _, number in group:
                file = files[number % len(files)]
                data, content = sound[file]
                file.write_bytes(damage(data, random.Random(f"{seed} {name} {number}")))
                sender.send(_outcome(reader, file, content))
                file.write_bytes(data)


def _outcome(reader, file: Path, content: object) -> tuple[str, str, float, int]:
    from micron_jax.errors import UserError
    from micron_jax.video.image_files import Unreadable

    memory, start = _peak(), time.monotonic()
    kind, detail = "read", ""
    try:
        if reader.exact and reader.read(file) != content:
            kind, detail = "fault", "read as something else"
        elif not reader.exact:
            reader.read(file)
    except (UserError, Unreadable) as error:
        kind = "refused"
        if not str(error).isprintable():
            kind, detail = "fault", f"not one printable line: {str(error)!r}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(place.filename).name}:{place.lineno}"
        kind, detail = "fault", f"{type(error).__name__} at {place}: {str(error)[:200]!r}"
    seconds, rise = time.monotonic() - start, _peak() - memory
    if rise > MEMORY:
        kind, detail = "fault", f"takes {rise / 2**20:.0f} MiB"
    elif seconds > SECONDS:
        kind, detail = "fault", f"takes {seconds:.0f} s"
    return kind, detail, seconds, rise


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def table(outcomes: dict[str, Outcomes]) -> str:
    """Returns the outcomes as a table of Markdown."""
    lines = ["| reader | read | refused | faults | slowest, s | memory, MiB |", "|" + "---|" * 6]
    for name, outcome in outcomes.items():
        lines.append(
            f"| {name} | {outcome.read} | {outcome.refused} | {len(outcome.faults)} "
            f"| {outcome.seconds:.2f} | {outcome.memory / 2**20:.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)}")
    parser.add_argument("--mutations", type=int, default=2000, help="of each reader (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes = run(options.readers or list(READERS), options.mutations, options.seed)
    print(table(outcomes))
    for name, outcome in outcomes.items():
        for fault in outcome.faults[:20]:
            print(f"{name}, {fault}")
    return int(any(outcome.faults for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
