"""Notes on the files of a folder: those that are not read, and orders that a person should see."""

import os
from collections import Counter

EXAMPLES = 3  # names of files that a note has
MOST = 50  # reasons; a folder may hold a suffix a file
OTHER = "of other kinds"


class FileNotes:
    """Counts files by the reason why they are not read; memory does not grow with their number."""

    def __init__(self):
        self.folder = ""  # of a search among several; it stands before the names
        self._files, self._examples, self._companions = Counter(), {}, Counter()

    def add(self, reason: str, name: str, files: int = 1) -> None:
        """Counts a file, or a folder with as many."""
        if reason not in self._files and len(self._files) >= MOST:
            reason = OTHER
        self._files[reason] += files
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(os.path.join(self.folder, name))

    def add_companion(self, name: str) -> None:
        """Counts a file that stands beside clips and is none."""
        if name.startswith("._"):
            name = "._*"  # a Mac's, one a file
        suffix = os.path.splitext(name.lower())[1]
        self._companions[suffix or name.lower()] += 1

    def entries(self) -> list[dict]:
        """Returns [{"reason", "files", "examples": names}], the most frequent first."""
        entries = [
            {"reason": reason, "files": files, "examples": self._examples[reason]}
            for reason, files in self._files.most_common()
        ]
        if self._companions:
            kinds = " ".join(suffix for suffix, _ in self._companions.most_common(8))
            files = self._companions.total()
            reason = f"neither films nor images ({kinds})"
            entries.append({"reason": reason, "files": files, "examples": []})
        return entries

    def lines(self) -> list[str]:
        """Returns the entries as text, a line each."""
        return [line_of(entry) for entry in self.entries()]


def line_of(entry: dict) -> str:
    """Returns an entry of `FileNotes` in one line."""
    names, more = entry["examples"], entry["files"] - len(entry["examples"])
    if not names:
        return f"{entry['reason']}: {entry['files']:,}"
    rest = f", and {more:,} more" if more > 0 else ""
    return f"{entry['reason']}: {entry['files']:,} ({', '.join(names)}{rest})"
