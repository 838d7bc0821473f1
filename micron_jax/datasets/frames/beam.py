"""Shards built by Apache Beam (the extra `beam`), by whichever of its runners is asked for.

Beam builds only where a user asks for it: the result is the same, and the pool reports a worker
that was killed, while Beam 2.77's DirectRunner waits for it for ever.
"""

import contextlib
import io
import pickle
import threading
from collections.abc import Sequence
from typing import Any

from etils import epath
from tqdm import tqdm

from micron_jax.datasets.frames.plan import Shard
from micron_jax.datasets.frames.remote import is_remote
from micron_jax.datasets.frames.shard import build_shard
from micron_jax.errors import UserError
from micron_jax.faces.crop import detector

POLL = 5.0  # seconds between two looks at which shards are finished
OPTION = "beam_pipeline_options"

try:
    import apache_beam as beam
    from apache_beam.options import pipeline_options
except ImportError:
    beam = None


def parse(text: str, workers: int) -> Any:
    """Parses Beam's options as TFDS writes them: `runner=DataflowRunner,project=P,...`.

    Without a runner it is the DirectRunner, in `workers` processes.

    Raises:
      UserError: Beam is not installed, or knows no such option.
    """
    if beam is None:
        raise UserError(f"{OPTION}: Apache Beam is not installed: pip install 'micron-jax[beam]'")
    flags = [f"--{option.strip()}" for option in text.split(",") if option.strip()]
    options = pipeline_options.PipelineOptions(flags)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            parsed = options.get_all_options(retain_unknown_options=True)
    except SystemExit:  # argparse's answer to a value of the wrong kind
        raise UserError(f"{OPTION} {text}: Beam cannot read a value in it") from None
    if unknown := parsed.keys() - pipeline_options.PipelineOptions([]).get_all_options().keys():
        raise UserError(f"{OPTION}: Beam knows no option {min(unknown)}")
    if runner(options) == "DirectRunner":
        direct = options.view_as(pipeline_options.DirectOptions)
        if "direct_num_workers" not in text:
            direct.direct_num_workers = workers
        if "direct_running_mode" not in text:
            direct.direct_running_mode = "multi_processing" if workers > 1 else "in_memory"
        if "log_level" not in text:
            options.view_as(pipeline_options.WorkerOptions).default_sdk_harness_log_level = "ERROR"
    return options


def runner(options: Any) -> str:
    """Returns the name of the runner that the options name."""
    return options.view_as(pipeline_options.StandardOptions).runner or "DirectRunner"


def build_with_beam(shards: Sequence[Shard], bar: tqdm, options: Any) -> None:
    """Builds the shards; `bar` counts the frames of those that are finished.

    Raises:
      UserError: the runner's machines cannot see the source, or the set.
      RuntimeError: a shard cannot be written.
    """
    dataflow = runner(options) == "DataflowRunner"
    for shard in shards if dataflow else ():
        for option, path in (
            ("data_dir", shard.folder),
            *(("source: the clip", clip.path) for clip in shard.clips),
        ):
            if not is_remote(path):
                raise UserError(f"{option} {path}: Dataflow's machines see buckets alone (gs://)")
    # Shards go by files: a job's description must stay small.
    tasks = [shard.report.parent / "tasks" / f"{shard.number:05}" for shard in shards]
    tasks[0].parent.mkdir(exist_ok=True)
    for task, shard in zip(tasks, shards, strict=True):
        task.write_bytes(pickle.dumps(shard))
    ended = threading.Event()
    follower = threading.Thread(target=_follow, args=(shards, bar, ended))
    follower.start()
    try:
        with beam.Pipeline(options=options) as pipeline:
            numbered = pipeline | beam.Create([str(task) for task in tasks])
            numbered | beam.Reshuffle() | beam.ParDo(_BuildShard())
    finally:
        ended.set()
        follower.join()


def _follow(shards: Sequence[Shard], bar: tqdm, ended: threading.Event) -> None:
    left = {shard.report.name: sum(shard.lengths) for shard in shards}
    last = False
    while not last:
        last = ended.wait(POLL)
        reports = {report.name for report in shards[0].report.parent.glob("[0-9]*.json")}
        bar.update(sum(left.pop(name) for name in reports & left.keys()))


class _BuildShard(beam.DoFn if beam else object):
    """Builds the shard that a task's file describes."""

    def setup(self) -> None:
        self._detect: dict[str, Any] = {}

    def process(self, task: str) -> None:
        shard = pickle.loads(epath.Path(task).read_bytes())
        crop = shard.recipe["crop"]
        if crop not in self._detect:
            self._detect[crop] = detector(crop)
        build_shard(shard, self._detect[crop])
