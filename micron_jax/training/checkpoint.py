"""Checkpoints of a run: its state and its place in the data, every so many steps."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import grain
import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from flax.traverse_util import flatten_dict
from orbax.checkpoint import checkpoint_managers as policies

from micron_jax.errors import UserError
from micron_jax.training import hosts

_BEST = "validation_loss"


class SaveError(Exception):
    """A checkpoint could not be written; the message names it and the reason."""


class Checkpoints:
    """Checkpoints of a workdir, written whole or not at all, in the background.

    A context: its end waits for the checkpoint being written, but not at an error of one process
    of several, as the others may never come. The last `keep` stay, and the one of the lowest
    validation loss.

    Raises:
      UserError: the folder cannot be read or made.
    """

    def __init__(self, workdir: Path, *, keep: int):
        self._workdir, self._keep = workdir, keep
        self._folder = self.folder(workdir)
        self._newest: int | None = None  # step of the save that began last
        try:
            self._manager = self._open()
        except OSError as error:
            raise UserError(f"{self._folder}: {error.strerror or error}") from error

    def _open(self) -> ocp.CheckpointManager:
        best = policies.BestN(
            get_metric_fn=lambda metrics: metrics[_BEST],
            reverse=True,
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy(
                [policies.LatestN(self._keep), best]
            ),
            best_fn=best.get_metric_fn,  # without it orbax records no metrics
            best_mode="min",
            cleanup_tmp_directories=True,
        )
        return ocp.CheckpointManager(
            self._folder.absolute(), options=options, item_names=("state", "data")
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self._manager.close()
        elif jax.process_count() == 1:
            with contextlib.suppress(Exception):  # of two errors, the first is the cause
                self._manager.close()

    @staticmethod
    def folder(workdir: Path) -> Path:
        """The folder of a run's checkpoints, which holds a folder a step."""
        return workdir / "checkpoints"

    def latest(self) -> int | None:
        """The newest step, or None."""
        return self._manager.latest_step()

    def save(
        self, step: int, state, data: grain.DatasetIterator, *, validation_loss: float | None = None
    ) -> None:
        """Begins to save; `state` may be donated to the next step as soon as this returns.

        Args:
          data: iterator whose place is saved too, the same on every process.
          validation_loss: of this very state; without one it cannot be the best.

        Raises:
          SaveError: this save could not begin. Call `check` or `wait` first, for an earlier one.
        """
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), data=ocp.args.JsonSave(data.get_state())
        )
        metrics = None if validation_loss is None else {_BEST: validation_loss}
        with self._reporting(step):
            self._manager.save(step, args=items, metrics=metrics, force=True)
        self._newest = step

    def check(self) -> None:
        """Raises `SaveError` if the save in the background has failed by now."""
        with self._reporting(self._newest):
            self._manager.check_for_errors()

    def wait(self) -> None:
        """Waits for the save in the background; raises `SaveError` if it fails."""
        with self._reporting(self._newest):
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _reporting(self, step: int | None) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # orbax and tensorstore raise whatever they like
            if jax.process_count() == 1:
                # A manager that failed once keeps the error, and its half-written folder.
                with contextlib.suppress(Exception):
                    self._manager.close()
                with contextlib.suppress(Exception):
                    self._manager = self._open()
            path = self._folder / str(step)
            raise SaveError(f"{path}: not written ({_first_line(error)})") from error

    def restore(self, like, data: grain.DatasetIterator) -> tuple[int, object] | None:
        """Restores the newest state that can be read, and moves the iterator to its place.

        Moves damaged checkpoints that are newer to `damaged/`, with a warning.

        Args:
          like: `ShapeDtypeStruct`s with shardings, on whatever mesh there is now.
          data: a new iterator.

        Returns:
          (step, state), or None if the run has no checkpoint yet.

        Raises:
          UserError: none can be read, they are of another network, or their place of other data.
        """
        damaged = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            path = self._folder.absolute() / str(step)
            content = hosts.together(lambda path=path: self._read(path, like))
            # If one process finds damage, the others cannot use the checkpoint either.
            reasons = hosts.gather(content if isinstance(content, str) else "")
            if any(reasons):
                damaged[step] = next(filter(None, reasons))
                continue
            state, place = content
            data.set_state(place)
            if damaged:
                self._move_damaged(damaged, going_on_at=step)
            return step, state
        if damaged:
            step, reason = max(damaged.items())
            raise _damaged(self._folder / str(step), reason)
        return None

    def _read(self, folder: Path, like) -> tuple[object, dict] | str:
        """(state, place in the data), or a description of the damage.

        It calls the handlers themselves, as the manager's barriers would let the other processes
        wait when this one finds damage.
        """
        handler = ocp.StandardCheckpointHandler()
        try:
            place = ocp.JsonCheckpointHandler().restore(folder / "data", ocp.args.JsonRestore())
            saved = handler.metadata(folder / "state")
            _check_shapes(folder, getattr(saved, "tree", saved), like.params)
            state = handler.restore(folder / "state", args=ocp.args.StandardRestore(like))
        except PermissionError as error:
            raise UserError(f"{folder}: {error.strerror}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = _first_line(error)
            if "PERMISSION_DENIED" in reason:
                raise UserError(f"{folder}: {reason}") from error
            if "RESOURCE_EXHAUSTED" in reason:
                raise
            return reason
        return state, place

    def _move_damaged(self, damaged: dict[int, str], *, going_on_at: int) -> None:
        for step, reason in damaged.items() if hosts.is_chief() else ():
            place = self._workdir / "damaged" / f"{step}"
            place.parent.mkdir(exist_ok=True)
            while place.exists():
                place = place.with_name(place.name + "_")
            (self._folder / str(step)).rename(place)
            print(
                f"warning: checkpoint {step} is damaged ({reason}); it is now {place}, and "
                f"the run goes on at step {going_on_at}",
                file=sys.stderr,
            )
        hosts.gather("")  # no process reads the folder before it is done
        self._manager.reload()


def _check_shapes(folder: Path, saved, params) -> None:
    """Raises a `UserError` if an undamaged checkpoint is of another network."""
    here, there = (
        {name: tuple(leaf.shape) for name, leaf in flatten_dict(tree, sep="/").items()}
        for tree in (params, saved["params"])
    )
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            raise UserError(
                f"{folder}: is of another network ({name} has shape {there.get(name)} there and "
                f"{here.get(name)} here); use a new workdir"
            )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip() or type(error).__name__


def read_weights(workdir: Path) -> tuple[int, dict]:
    """Reads the newest step of a run and its `params`, `teacher` and `center` as numpy arrays.

    Raises:
      UserError: the workdir holds no checkpoint yet, or a damaged one.
    """
    folder = Checkpoints.folder(workdir)
    steps = ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []
    if not steps:
        raise UserError(f"{workdir}: holds no checkpoint yet; train first")
    step = max(steps)
    path = (folder / str(step) / "state").absolute()
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # Orbax warns of a metadata file that nobody needs
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            metadata = reader.metadata(path).item_metadata
            if metadata is None:
                raise ValueError("its metadata cannot be read")
            tree = {name: metadata.tree.get(name) for name in ("params", "teacher", "center")}
            as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
            args = ocp.args.PyTreeRestore(tree, restore_args=as_numpy, partial_restore=True)
            return step, reader.restore(path, args=args)
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(folder / str(step), _first_line(error)) from error
    finally:
        logging.set_verbosity(verbosity)


def _damaged(checkpoint: Path, reason: str) -> UserError:
    return UserError(f"{checkpoint}: damaged ({reason}); remove it to use the one before")
