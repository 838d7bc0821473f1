"""A set of one's own: clips in a table that a user writes, films and folders of images."""

import dataclasses

NAME = "own"
COLUMNS = ("subject", "clip", "path", "onset", "apex", "offset", "label")
OPTIONAL = ("fps", "au", "set", "split")  # `apex` may be missing, too
INSTRUCTIONS = """\
A set of your own: --source names a table, a clip a row (.csv, .tsv, .xlsx, ...). Its columns:
  subject  who is seen; one spelling a person
  clip     name of the clip, unique for its subject
  path     a film, or a folder of images; from the table's own folder, or from anywhere
  onset, apex, offset
           frame numbers: a film's frames count from 0, images have the numbers in their names; or
           seconds from the beginning of the film or folder, if values of the table have decimals
           or an s (0.48, 2s). Then all values of the table are seconds. apex may be empty.
  label    the class
and, as wanted:
  fps      frames a second of the recording, in place of what the film says
  au       action units
  set      where subjects come from: equal names in two sets are two people
  split    train, test, test A, ...: the parts of --config.split.kind=fixed"""


@dataclasses.dataclass(frozen=True)
class OwnSet:
    """The description of the set, as `ClipSet` is one of a benchmark's."""

    name: str = NAME
    title: str = "clips of your own, in a table: films or folders of images, onset, offset, label"
    instructions: str = INSTRUCTIONS
    homepage: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()


OWN = OwnSet()
