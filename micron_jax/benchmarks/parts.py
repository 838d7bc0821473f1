"""Parts of a report: processes, one after another, each with a limit to its time."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_RESULT = "OUT.json"  # stands for the path of the result in a part's command
_LEAST = 20.0  # seconds that a part needs at all
_GRACE = 5.0  # seconds for the report itself


@dataclasses.dataclass(frozen=True)
class Part:
    """A process that measures.

    Attributes:
      name: of its files.
      title: for people.
      command: its words; `OUT.json` among them stands for the file that it writes.
      limit: seconds.
      environ: variables besides those of this process.
    """

    name: str
    title: str
    command: Sequence[str]
    limit: float
    environ: dict[str, str] = dataclasses.field(default_factory=dict)


def run_all(
    parts: Sequence[Part], folder: Path, *, seconds: float, report: Callable[[dict], None]
) -> dict[str, dict]:
    """Runs the parts in their order, as long as there is time.

    Args:
      folder: gets `parts/NAME.json` of each part, and what it prints in `logs/NAME.txt`.
      seconds: of all parts together.
      report: is called after each part with the results so far.

    Returns:
      Name -> {"title", "state": `done`, `failed`, `out of time` or `not begun`, "seconds",
      "reason": the last line that it printed, where it is not done, "result": its JSON or None}. A
      part that is stopped may have written a result.
    """
    end = time.monotonic() + seconds
    results = {
        part.name: {"title": part.title, "state": "not begun", "seconds": 0.0, "reason": "no time "
                    "is left", "result": None}
        for part in parts
    }  # fmt: skip
    report(results)
    for part in parts:
        left = end - time.monotonic() - _GRACE
        if left >= min(_LEAST, part.limit):
            results[part.name] = run(part, folder, min(part.limit, left))
            report(results)
    return results


def run(part: Part, folder: Path, seconds: float) -> dict:
    """Runs one part, and ends it and its own processes after so many seconds; see `run_all`."""
    path, log = folder / "parts" / f"{part.name}.json", folder / "logs" / f"{part.name}.txt"
    for place in (path, log):
        place.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    command = [str(path) if word == _RESULT else word for word in part.command]
    begin = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | part.environ,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:  # also of processes that the part has left behind, and at Ctrl-C
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    state = {None: "out of time", 0: "done"}.get(status, "failed")
    return {
        "title": part.title,
        "state": state,
        "seconds": round(time.monotonic() - begin, 1),
        "reason": None if state == "done" else _last_line(log),
        "result": _read(path),
    }


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it printed nothing")[:300]
