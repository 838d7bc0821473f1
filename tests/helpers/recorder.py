"""`python recorder.py FILE pretrain …`: the command, with the ids of every batch that it reads."""

import json
import os
import sys

import jax

from micron_jax.cli import main
from micron_jax.data.pipeline import PairIterator

if __name__ == "__main__":
    file = open(f"{sys.argv[1]}.{os.getpid()}", "a", buffering=1)  # noqa: SIM115
    read_batch = PairIterator.__next__

    def recorded(self):
        number = self.get_state()["batch"]
        batch = read_batch(self)
        row = {"batch": number, "process": jax.process_index(), "index": batch["index"].tolist()}
        file.write(json.dumps(row) + "\n")
        return batch

    PairIterator.__next__ = recorded
    sys.exit(main(sys.argv[2:]))
