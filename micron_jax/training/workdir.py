"""Whose a run's folder is: the config it was started with, written once."""

import json
from pathlib import Path

from flax.traverse_util import flatten_dict

from micron_jax.config import up_to_date
from micron_jax.errors import UserError
from micron_jax.files import write_whole

CONFIG_FILE = "config.json"


def claim_workdir(workdir: Path, config: dict, *, free: set[str]) -> None:
    """Writes the run's config into its workdir, or checks it against the one there.

    Args:
      workdir: made if it is missing.
      config: nested dict of plain values.
      free: dotted names of fields that may change when a run goes on.

    Raises:
      UserError: the workdir belongs to another config, or cannot be written, or is in a bucket.
    """
    if str(workdir).partition("/")[0] in ("gs:", "s3:"):
        # To `Path` it is a folder here, one on each host.
        raise UserError(
            f"--workdir {workdir}: checkpoints and locks need a file system that all hosts mount "
            "(Filestore, NFS)"
        )
    path = workdir / CONFIG_FILE
    if path.exists():
        try:
            before = flatten_dict(up_to_date(json.loads(path.read_text())), sep=".")
        except ValueError as error:
            raise UserError(f"{path}: not JSON ({error}); use a new workdir") from error
        now = flatten_dict(json.loads(json.dumps(config)), sep=".")
        names = sorted((before.keys() | now.keys()) - free)
        if changed := [name for name in names if before.get(name) != now.get(name)]:
            name = changed[0]
            raise UserError(
                f"{workdir}: was started with another config "
                f"({name}={before.get(name)!r}, now {now.get(name)!r}); use a new --workdir"
            )
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(config, indent=2) + "\n").encode())
    except OSError as error:
        raise UserError(f"{workdir}: cannot be written ({error.strerror})") from error
