"""The order of a folder's frames, by the one number that varies in their names."""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from micron_jax.video.image_files import Unreadable
from micron_jax.video.name_times import times_in

LARGEST = 2**63 - 1  # numbers beyond it are no frame numbers: files store them in 64 bits
APART = "put each clip into a folder of its own"
SIGNS, AFTER_LINE = ("-", "\u2212"), ("_-", "_\u2212")
NEAR = 10  # steps of a counter, between frames of one burst
UNNUMBERED = "no number in its name, unlike the frames beside it"

_DIGITS = re.compile(r"(\d+)")
_COPIES = (
    re.compile(r"(?P<base>.*\d)[ _]?\(\d+\)"),
    re.compile(r"(?P<base>.*\d)(?: -|-|_)? ?(?:copy|kopie|copie|copia|副本)(?: ?\(?\d+\)?)?"),
    re.compile(r"(?:copy|kopie|copie|copia)(?: \(\d+\))? (?:of|von|de) (?P<base>.*\d.*)"),
)


@dataclass(frozen=True)
class FrameOrder:
    """The frames of a clip, in order.

    Attributes:
      names: of the files.
      numbers: of the frames, rising; None: the names tell none.
      seconds: since the first frame, where the names are times; None: they are not.
      left_out: {name: reason} of files that are no frames of the clip.
      note: about an order that a person should look at; "": it is plain.
    """

    names: list[str]
    numbers: list[int] | None
    seconds: list[float] | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    note: str = ""


class _Name(NamedTuple):
    name: str
    stem: str  # without suffix, in lower case, with plain digits
    texts: tuple[str, ...]  # around its numbers
    digits: tuple[str, ...]  # of its numbers


def order_frames(names: Iterable[str]) -> FrameOrder:
    """Orders a folder's images; their names have one pattern, in which one number varies.

    Names that are times are put in order, too, and names without any number alphabetically. Copies
    (`img12 (1).jpg` beside `img12.jpg`), and names without a number beside names with one, are
    left out.

    Raises:
      Unreadable: the names do not tell the order; the message says why and how to mend it.
    """
    entries, left_out = _without_copies([_parse(name) for name in sorted(names)])
    numbered = [entry for entry in entries if entry.digits]
    if not numbered:
        note = "no numbers in the names: in alphabetic order" if len(entries) > 1 else ""
        return FrameOrder([entry.name for entry in entries], None, None, left_out, note)
    if len(entries) < 2 * len(numbered):
        left_out |= {entry.name: UNNUMBERED for entry in entries if not entry.digits}
        entries = numbered
    _check_one_kind(entries)
    values = [[int(digits) for digits in entry.digits] for entry in entries]
    varying = [n for n, column in enumerate(zip(*values, strict=True)) if len(set(column)) > 1]
    seconds, place = None, varying[0] if varying else len(values[0]) - 1
    if len(varying) > 1:
        seconds = times_in([entry.stem for entry in entries])
        place = _rising(entries, values, varying) if seconds is None else None
    keys = seconds if place is None else [row[place] for row in values]
    order = sorted(range(len(entries)), key=keys.__getitem__)
    entries, keys = [entries[n] for n in order], [keys[n] for n in order]
    names = [entry.name for entry in entries]
    if place is None:
        return FrameOrder(names, None, [key - keys[0] for key in keys], left_out)
    _check_numbers(entries, keys, place)
    ordinal = f"number {place + 1} in the names counts the frames ({names[0]})"
    note = f"several numbers vary: {ordinal}" if len(varying) > 1 else ""
    return FrameOrder(names, keys if keys[-1] <= LARGEST else None, None, left_out, note)


def _parse(name: str) -> _Name:
    stem = name.rpartition(".")[0] or name
    if not stem.isascii():  # full-width digits; letters that are composed in two ways
        stem = unicodedata.normalize("NFKC", stem)
    stem = stem.casefold()
    pieces = _DIGITS.split(stem)
    return _Name(name, stem, tuple(pieces[::2]), tuple(pieces[1::2]))


def _without_copies(entries: list[_Name]) -> tuple[list[_Name], dict[str, str]]:
    """Parts off the copies that file managers make beside the file of which they are."""
    name_of = {entry.stem: entry.name for entry in entries}
    copies = {}
    for entry in entries:
        if " " not in entry.stem and not entry.stem.endswith((")", "copy", "副本")):
            continue  # quickly: there may be 100,000
        bases = (match["base"].strip() for p in _COPIES if (match := p.fullmatch(entry.stem)))
        if base := next((name_of[base] for base in bases if base in name_of), None):
            copies[entry.name] = f"a copy of {base}, by its name"
    if 2 * len(copies) > len(entries):  # `take1.jpg` beside `take1 (1).jpg` to `take1 (50).jpg`
        return entries, {}
    return [entry for entry in entries if entry.name not in copies], copies


def _check_one_kind(entries: list[_Name]) -> None:
    kinds = Counter(entry.texts for entry in entries)
    if len(kinds) > 1:
        (first, count), (second, other), *_ = kinds.most_common(2)
        examples = {entry.texts: entry.name for entry in reversed(entries)}
        raise Unreadable(
            f"names of {len(kinds):,} kinds, as {examples[first]} ({count:,}) and "
            f"{examples[second]} ({other:,}): {APART}"
        )


def _rising(entries: list[_Name], values: list[list[int]], varying: list[int]) -> int:
    """Returns the place of the number that rises with all others, if there is one."""
    order = sorted(range(len(values)), key=lambda n: [values[n][place] for place in varying])
    places = []
    for place in varying:
        column = [values[n][place] for n in order]
        if all(a < b for a, b in itertools.pairwise(column)):
            places.append((column[-1] - column[0], place))
    if not places:
        raise Unreadable(
            f"several numbers vary in the names ({entries[order[0]].name} to "
            f"{entries[order[-1]].name}): {APART}, where one number counts the frames"
        )
    return min(places)[1]  # a frame's number is smaller than its time


def _check_numbers(entries: list[_Name], numbers: list[int], place: int) -> None:
    """Checks that numbers, which rise, can be those of frames one after the other."""
    for a, b, number, following in zip(entries, entries[1:], numbers, numbers[1:], strict=False):
        if number == following:
            raise Unreadable(f"two files of frame {number}, {a.name} and {b.name}: remove one")
    before, first, last = entries[0].texts[place], entries[0], entries[-1]
    if len(entries) > 1 and ((before in SIGNS and not place) or before.endswith(AFTER_LINE)):
        raise Unreadable(f"{first.name}: a negative number? Rename the files")
    widths = {len(entry.digits[place]) for entry in entries}
    if before in (".", ",") and place and len(widths) > 1:
        zeros = any(e.digits[place][0] == "0" < e.digits[place] for e in entries)
        if zeros or numbers[-1] - numbers[0] >= 2 * len(numbers):
            raise Unreadable(
                f"{first.name} and {last.name}: decimals, or frames {numbers[0]} and "
                f"{numbers[-1]}? Rename the files so that their numbers have one length"
            )
    top = 10 ** max(widths) - 1  # after which a camera counts from 0 or 1
    if len(widths) == 1 and top >= 999 and numbers[0] <= NEAR and numbers[-1] >= top - NEAR:
        steps = [b - a for a, b in itertools.pairwise(numbers)]
        *others, largest = sorted(steps)
        if largest > top // 2 and max(others, default=1) <= NEAR:
            after = steps.index(largest) + 1
            raise Unreadable(
                f"the counter begins anew after {last.name}, with {first.name}: rename the files "
                f"in their order, of which {entries[after].name} is the first"
            )
