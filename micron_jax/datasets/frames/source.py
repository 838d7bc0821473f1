"""The records of the corpus by number, and the shards that hold them, which errors name."""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import Any, SupportsIndex

from etils import epath

from micron_jax.errors import UserError

_MEND = "see if its disk is there, and permits to read it; or copy the set anew"


@dataclasses.dataclass(frozen=True)
class FrameSource:
    """Random access to the records.

    Attributes:
      records: TFDS's source, which opens a shard when it first reads of it.
      shards: the files, in order.
      lengths: records of each.
    """

    records: Any
    shards: tuple[str, ...]
    lengths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> Sequence[dict[str, Any]]:
        """Reads records.

        Raises:
          UserError: a shard cannot be read; the message names it.
        """
        try:
            return self.records.__getitems__(indices)
        except (OSError, RuntimeError, ValueError):  # as array_record has them
            for index in indices:
                if not 0 <= int(index) < len(self):
                    raise
                try:
                    self.records[index]
                except (OSError, RuntimeError, ValueError) as error:
                    reason = str(error).splitlines()[0]
                    raise UserError(
                        f"{self.shard_of(int(index))}: cannot be read ({reason}); {_MEND}"
                    ) from error
            raise

    def shard_of(self, index: int) -> str:
        """The file that holds a record."""
        ends = itertools.accumulate(self.lengths)
        return next(shard for shard, end in zip(self.shards, ends, strict=True) if index < end)

    def check(self) -> None:
        """Raises a `UserError` that names the first shard which is not there or may not be read."""
        for shard in map(epath.Path, self.shards):
            if not shard.exists():
                raise UserError(f"{shard}: is not there; {_MEND}")
            if not os.access(shard, os.R_OK):
                raise UserError(f"{shard}: may not be read; {_MEND}")
