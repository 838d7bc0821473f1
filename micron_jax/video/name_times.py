"""Times in the names of files: `01.966`, `2021-05-01_12-00-01.966`, `20210501_120001_966`."""

import datetime
import itertools
import re
import statistics

MOST_STEPS = 20  # between two frames; what is further apart is not one recording

_DATE = r"(?:(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)[-_ t.]+)?"
_CLOCK = re.compile(_DATE + r"(\d\d)[-_.:h ]?(\d\d)[-_.:m ]?(\d\d)(?:[-_.,s](\d{1,9}))?s?$")
_SECONDS = re.compile(r"()()()()()(\d+)[.,](\d{1,9})s?$")  # the groups of `_CLOCK`


def times_in(stems: list[str]) -> list[float] | None:
    """Returns the times that names (in lower case, without suffix) end with, in seconds.

    They count from the first of them. None: the names do not all end with a time, they differ in
    something else, too, or the times are not those of one recording: two are equal, or two that
    follow each other lie far apart.
    """
    for pattern in (_SECONDS, _CLOCK):
        matches = [pattern.search(stem) for stem in stems]
        if not all(matches) or len({m.string[: m.start()] for m in matches}) > 1:
            continue
        if len({len(match[7] or "") for match in matches}) > 1:
            continue  # 1.5 and 1.25: in which order?
        try:
            times = [_nanoseconds(*match.groups(default="")) for match in matches]
        except ValueError:
            continue
        rising = sorted(times)
        steps = [b - a for a, b in itertools.pairwise(rising)]
        if steps and 0 < max(steps) <= MOST_STEPS * statistics.median_low(steps) and min(steps):
            return [(time - rising[0]) / 1e9 for time in times]
    return None


def _nanoseconds(year, month, day, hour, minute, second, fraction) -> int:
    days = datetime.date(int(year), int(month), int(day)).toordinal() if year else 0
    if hour and not (int(hour) < 24 and int(minute) < 60 and int(second) < 60):
        raise ValueError
    seconds = ((days * 24 + int(hour or 0)) * 60 + int(minute or 0)) * 60 + int(second)
    return seconds * 10**9 + int(fraction.ljust(9, "0"))
