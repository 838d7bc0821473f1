"""The folder that `spot` writes: a film at a time, so that a stopped search goes on."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from micron_jax.errors import UserError
from micron_jax.files import remove_debris, write_json, write_whole, writing
from micron_jax.spotting import restless
from micron_jax.spotting.confidence import FACTS
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

    def has(self, name: str, facts: str, *methods: str) -> bool:
        """Tells whether a film, as `InputClip` names and describes it, is searched by methods."""
        film = self._films.get(name, {"found": {}})
        return film.get("facts") == _short(facts) and {*methods} <= film["found"].keys()

    def add(
        self,
        name: str,
        facts: str,
        found: dict[str, list[Spotted]],
        spans: Sequence[restless.Span],
        notes: Sequence[str],
    ) -> None:
        """Keeps what a film shows, beside what it did by other methods."""
        before = self._films[name]["found"] if self.has(name, facts) else {}
        now = {method: [*map(dataclasses.asdict, some)] for method, some in found.items()}
        self._films[name] = {
            "facts": _short(facts),
            "notes": list(notes),
            "found": before | now,
            "restless": [*map(dataclasses.asdict, spans)],
        }
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / STATE, {"settings": self._settings, "films": self._films})

    def write(self, films: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Writes the tables of some films.

        Args:
          films: name -> candidates, as `spotted.table` takes them.
        """
        text = table(films)
        spans = restless.table({name: self._films[name]["restless"] for name in films})
        with writing(self.path):
            write_whole(self.path / RESTLESS, spans.encode())
            write_whole(self.path / TABLE, text.encode())

    def found(self, name: str, method: str) -> list[dict]:
        """The candidates of a film, as dicts of `Spotted`."""
        return self._films[name]["found"][method]

    def notes(self, name: str) -> list[str]:
        """What a user should know of a film."""
        return self._films[name]["notes"]


def _short(facts: str) -> str:
    return hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()[:16]
