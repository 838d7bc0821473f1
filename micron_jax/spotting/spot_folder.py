"""The folder that `spot` writes: a film at a time, so that a stopped search goes on."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from micron_jax.errors import UserError
from micron_jax.files import remove_debris, write_json, write_whole, writing
from micron_jax.spotting import restless
from micron_jax.spotting.confidence import FACTS, Confidence
from micron_jax.spotting.spotted import Spotted, table

TABLE, RESTLESS, STATE = "detections.csv", "restless.csv", "films.json"


class SpotFolder:
    """The films that are searched, in `films.json`, and the tables of what they show."""

    def __init__(self, output: Path, settings: dict[str, Any]):
        """Opens the folder, of an earlier call, or empty or not there, until a film is searched.

        Raises:
          UserError: it holds something else, was made with other settings, or cannot be written.
        """
        self.path, self._settings = output, settings | {"list of facts": [*FACTS]}
        self._films: dict[str, dict] = {}
        path = output / STATE
        if path.exists():
            try:
                state = json.loads(path.read_text("utf-8"))
                before, self._films = state["settings"], dict(state["films"])
            except (OSError, KeyError, TypeError, ValueError) as error:
                raise UserError(
                    f"{path}: not of `micron-jax spot` ({error}); name a new folder"
                ) from None
            now = self._settings
            changed = [name for name in now if before.get(name) != now[name]]
            if changed:
                raise UserError(f"{output}: made with another {changed[0]}; name a new folder")
        elif output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise UserError(f"{output} exists and is no folder of `micron-jax spot`")
        if output.exists():
            with writing(output):
                remove_debris(output)

    def has(self, name: str, facts: str) -> bool:
        """Tells whether a film, as `InputClip` names and describes it, is searched already."""
        return self._films.get(name, {}).get("facts") == _short(facts)

    def add(
        self,
        name: str,
        facts: str,
        found: dict[str, list[Spotted]],
        spans: Sequence[restless.Span],
        notes: Sequence[str],
    ) -> None:
        """Keeps what a film shows."""
        self._films[name] = {
            "facts": _short(facts),
            "notes": list(notes),
            "found": {method: [*map(dataclasses.asdict, some)] for method, some in found.items()},
            "restless": [*map(dataclasses.asdict, spans)],
        }
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / STATE, {"settings": self._settings, "films": self._films})

    def write(self, names: Sequence[str], method: str, confidence: Confidence, least: float) -> int:
        """Writes the tables of some films; returns how many candidates there are."""
        text, rows = table(self.found(names, method), confidence, least)
        spans = restless.table({name: self._films[name]["restless"] for name in names})
        with writing(self.path):
            write_whole(self.path / RESTLESS, spans.encode())
            write_whole(self.path / TABLE, text.encode())
        return rows

    def found(self, names: Sequence[str], method: str) -> dict[str, list[dict]]:
        """The candidates of films, as dicts of `Spotted`."""
        return {name: self._films[name]["found"][method] for name in names}

    def notes(self, name: str) -> list[str]:
        """What a user should know of a film."""
        return self._films[name]["notes"]


def _short(facts: str) -> str:
    return hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()[:16]
