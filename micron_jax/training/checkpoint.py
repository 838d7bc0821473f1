"""What a run remembers on disk: its config once, its state and place in the data every so often."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import grain
import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from flax.traverse_util import flatten_dict

from micron_jax.errors import UserError
from micron_jax.files import write_whole

CONFIG_FILE = "config.json"


class Checkpoints:
    """Checkpoints of a workdir, written whole or not at all, in the background."""

    def __init__(self, workdir: Path, *, keep: int):
        """Opens the run's folder; of its checkpoints the last `keep` stay."""
        self._manager = ocp.CheckpointManager(
            self.folder(workdir).absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True),
            item_names=("state", "data"),
        )

    @staticmethod
    def folder(workdir: Path) -> Path:
        """Where a run's checkpoints lie, a folder a step."""
        return workdir / "checkpoints"

    def latest(self) -> int | None:
        """The newest step, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state, data: grain.DatasetIterator) -> None:
        """Begins to save; `state` may be donated to the next step as soon as this returns."""
        items = {
            "state": ocp.args.StandardSave(state),
            # One file for all hosts: the place in the data is the same on each.
            "data": ocp.args.JsonSave(data.get_state()),
        }
        self._manager.save(step, args=ocp.args.Composite(**items))

    def restore(self, step: int, like, data: grain.DatasetIterator):
        """The state at a step; the iterator is moved to its place.

        Args:
          step: one that was saved.
          like: `ShapeDtypeStruct`s with shardings, on whatever mesh there is now.
          data: an iterator as it was made anew.

        Raises:
          UserError: the checkpoint is damaged, or its place is of other data.
        """
        items = {"state": ocp.args.StandardRestore(like), "data": ocp.args.JsonRestore()}
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(**items))
        except (OSError, ValueError, KeyError) as error:
            raise _damaged(Path(self._manager.directory) / str(step), error) from error
        data.set_state(restored.data)
        return restored.state

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.wait_until_finished()
        self._manager.close()


def read_weights(workdir: Path) -> tuple[int, dict]:
    """The newest step of a run and its `params`, `teacher` and `center`, as numpy arrays.

    Raises:
      UserError: the workdir holds no checkpoint yet, or a damaged one.
    """
    folder = Checkpoints.folder(workdir)
    steps = ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []
    if not steps:
        raise UserError(f"{workdir}: holds no checkpoint yet; train first")
    step = max(steps)
    path = (folder / str(step) / "state").absolute()
    try:
        with _quiet(), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            metadata = reader.metadata(path).item_metadata
            if metadata is None:
                raise ValueError("its metadata cannot be read")
            saved = metadata.tree
            wanted = {name: saved.get(name) for name in ("params", "teacher", "center")}
            as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
            args = ocp.args.PyTreeRestore(wanted, restore_args=as_numpy, partial_restore=True)
            return step, reader.restore(path, args=args)
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(folder / str(step), error) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Orbax's warning of a metadata file that our checkpoints do not need."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _damaged(checkpoint: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(f"{checkpoint}: damaged ({reason}); remove it to use the one before")


def claim_workdir(workdir: Path, config: dict, *, free: set[str]) -> None:
    """Writes the run's config into its workdir, or checks it against the one there.

    Args:
      workdir: made if it is missing.
      config: nested dict of plain values.
      free: dotted names of fields that may change when a run goes on.

    Raises:
      UserError: the workdir belongs to another config, or cannot be written.
    """
    path = workdir / CONFIG_FILE
    if path.exists():
        try:
            before = flatten_dict(json.loads(path.read_text()), sep=".")
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
