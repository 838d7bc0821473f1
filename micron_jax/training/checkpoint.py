"""Checkpoints of a run: its state and its place in the data, every so many steps."""

import contextlib
import functools
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import grain
import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from flax.traverse_util import flatten_dict
from orbax.checkpoint import checkpoint_managers as policies

from micron_jax.errors import Notice, UserError
from micron_jax.files import writing
from micron_jax.training import checkpoint_sums, hosts

Result = TypeVar("Result")

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
        _ignore_late_writes()
        hosts.together(lambda: hosts.is_chief() and self._move_unopenable())
        try:
            self._manager = self._open()
        except OSError as error:
            raise UserError(f"{self._folder}: {error.strerror or error}") from error

    def _move_unopenable(self) -> None:
        """Moves checkpoints aside with whose small files no manager could be opened."""
        steps = _steps(self._folder)
        damaged = {step: _damage_at_opening(self._folder / str(step)) for step in steps}
        damaged = {step: reason for step, reason in damaged.items() if reason}
        if damaged and len(damaged) == len(steps):
            raise self._no_other(damaged)
        self._move(damaged)

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
            async_options=ocp.AsyncOptions(post_finalization_callback=self._write_sums),
        )
        return ocp.CheckpointManager(
            self._folder.absolute(), options=options, item_names=("state", "data")
        )

    def _write_sums(self) -> None:
        # Orbax calls it on one process, when all have written, and then renames the folder.
        [scratch] = self._folder.glob(f"{self._newest}.*")
        checkpoint_sums.write(scratch, self._newest)

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
        self._newest = step
        with self._reporting(step):
            self._manager.save(
                step, args=items, metrics=metrics, force=True, custom_metadata=checkpoint_sums.MARK
            )

    def check(self) -> None:
        """Raises `SaveError` if the save in the background has failed by now."""
        with self._reporting(self._newest):
            self._manager.check_for_errors()

    def wait(self) -> None:
        """Waits for the save in the background; raises `SaveError` if it fails."""
        with self._reporting(self._newest):
            self._manager.wait_until_finished()
        if self._newest is not None and hosts.is_chief():
            checkpoint_sums.add_last_files(self._folder / str(self._newest))

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
        """Restores the newest state that is as it was written, and moves the iterator to its place.

        Moves damaged checkpoints that are newer to `damaged/`, with a `Notice` for each.

        Args:
          like: `ShapeDtypeStruct`s with shardings, on whatever mesh there is now.
          data: a new iterator.

        Returns:
          (step, state), or None if the run has no checkpoint yet.

        Raises:
          UserError: none can be read, they are of another network, or their place of other data.
        """
        damaged: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            content = self._read_together(self._folder.absolute() / str(step), like)
            if isinstance(content, str):
                damaged[step] = content
                continue
            state, place = content
            data.set_state(place)
            if damaged:
                hosts.together(lambda: hosts.is_chief() and self._move(damaged))
                self._manager.reload()
            return step, state
        if damaged:
            raise self._no_other(damaged)
        return None

    def _no_other(self, damaged: dict[int, str]) -> UserError:
        step, reason = max(damaged.items())
        before = "so are all before it" if len(damaged) > 1 else "there is none before it"
        return UserError(
            f"{self._folder / str(step)}: damaged ({reason}), and {before}; put a copy of one in "
            "its place, or begin again in a new workdir"
        )

    def _read_together(self, folder: Path, like) -> tuple[object, dict] | str:
        """(state, place in the data), or the damage; the same on all processes."""

        def first_damage(here: str | None) -> str:
            # If one process finds damage, the others cannot use the checkpoint either.
            return next(filter(None, hosts.gather(here or "")), "")

        with_sums = checkpoint_sums.exist(folder)
        sums = functools.partial(
            checkpoint_sums.damage, folder, share=jax.process_index(), of=jax.process_count()
        )
        if damage := first_damage(hosts.together(lambda: _permitted(folder, sums))):
            return damage
        read = functools.partial(_read, folder, like, intact=with_sums)
        content = hosts.together(lambda: _permitted(folder, read))
        return first_damage(content if isinstance(content, str) else None) or content

    def _move(self, damaged: dict[int, str]) -> None:
        for step, reason in damaged.items():
            place = self._workdir / "damaged" / f"{step}"
            with writing(place):
                place.parent.mkdir(exist_ok=True)
                while place.exists():
                    place = place.with_name(place.name + "_")
                (self._folder / str(step)).rename(place)
            message = f"checkpoint {step} is damaged ({reason}); it is now {place}"
            warnings.warn(
                Notice(f"{message}, and the run goes on from the one before"), stacklevel=2
            )


@functools.cache
def _ignore_late_writes() -> None:
    sys.unraisablehook = without_late_writes(sys.unraisablehook)


def without_late_writes(hook: Callable) -> Callable:
    """Returns `sys.unraisablehook` without the writes that end after their save has failed.

    TensorStore tells of each write to an event loop, which Orbax closes at the first error.
    """

    def unraisable(event) -> None:
        if event.object is not None or str(event.exc_value) != "Event loop is closed":
            hook(event)

    return unraisable


def _steps(folder: Path) -> list[int]:
    """The steps of a run's checkpoints."""
    return ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []


def _damage_at_opening(folder: Path) -> str | None:
    """Damage of the small files of a checkpoint that Orbax reads before it restores any."""
    if damage := _permitted(folder, lambda: checkpoint_sums.damage(folder, all_files=False)):
        return damage
    try:
        json.loads((folder / "metrics" / "metrics").read_bytes())[_BEST]
    except FileNotFoundError:
        pass  # it has no validation loss
    except (ValueError, KeyError, TypeError):
        return "metrics/metrics holds no loss"
    return None


def _permitted(folder: Path, action: Callable[[], Result]) -> Result:
    """Runs an action; what may not be read is no damage, but a `UserError`."""
    try:
        return action()
    except PermissionError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror}") from error


def _read(folder: Path, like, *, intact: bool) -> tuple[object, dict] | str:
    """(state, place in the data), or a description of the damage.

    It calls the handlers themselves, as the manager's barriers would let the other processes
    wait when this one finds damage.

    Args:
      intact: the files are as they were written, so that no error is damage.

    Raises:
      UserError: it is of another network, or cannot be read here.
    """
    handler = ocp.StandardCheckpointHandler()
    try:
        place = ocp.JsonCheckpointHandler().restore(folder / "data", ocp.args.JsonRestore())
        saved = handler.metadata(folder / "state")
        _check_shapes(folder, getattr(saved, "tree", saved), like.params)
        state = handler.restore(folder / "state", args=ocp.args.StandardRestore(like))
    except (UserError, PermissionError, MemoryError):
        raise
    except Exception as error:  # orbax and tensorstore raise whatever they like
        reason = _first_line(error)
        if "RESOURCE_EXHAUSTED" in reason:
            raise
        if intact or "PERMISSION_DENIED" in reason:
            raise UserError(f"{folder}: cannot be read ({reason})") from error
        return reason
    return state, place


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
    steps = _steps(folder)
    if not steps:
        raise UserError(f"{workdir}: holds no checkpoint yet; train first")
    step = max(steps)
    folder = folder / str(step)
    mend = "remove it to use the one before" if len(steps) > 1 else "there is none before it"
    if damage := _permitted(folder, lambda: checkpoint_sums.damage(folder)):
        raise UserError(f"{folder}: damaged ({damage}); {mend}")
    path = (folder / "state").absolute()
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
    except MemoryError:
        raise
    except Exception as error:  # orbax and tensorstore raise whatever they like
        raise UserError(f"{folder}: damaged ({_first_line(error)}); {mend}") from error
    finally:
        logging.set_verbosity(verbosity)
