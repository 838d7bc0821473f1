"""What a classifier said of one test clip, and the words for what cannot be used."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.files import write_whole


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One test clip under one seed.

    Attributes:
      clip: unique for its subject.
      subject: unique in its set: subjects of two sets are two people, whatever their numbers.
      label, prediction: class names.
      set: the data set's name, or empty where there is one set and no name for it.
      seed: of the training.
      fold: in which the clip was tested; empty if unknown.
      probabilities: class -> probability, in the order of the protocol's classes; may be empty.
    """

    clip: str
    subject: str
    label: str
    prediction: str
    set: str = ""
    seed: int = 0
    fold: str = ""
    probabilities: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def person(self) -> tuple[str, str]:
        return self.set, self.subject

    @property
    def key(self) -> tuple[str, str, str]:
        """The clip itself, under whatever seed."""
        return self.set, self.subject, self.clip


def name_of(key: tuple[str, str, str]) -> str:
    """A clip as a message names it."""
    dataset, subject, clip = key
    return f"clip {clip} of subject {f'{dataset}/{subject}' if dataset else subject}"


def refused(path: Path, row: int, reason: str) -> UserError:
    """What to raise for a row that cannot be used."""
    return UserError(f"{path}, row {row}: {reason}")


def read_text(path: Path) -> str:
    """A file's text, without a byte order mark; UserError if it cannot be read or is not UTF-8."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, row {row}: not UTF-8: save it as CSV UTF-8") from None


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all; UserError if it cannot be written."""
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
