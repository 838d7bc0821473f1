"""`micron-jax compare`: our numbers beside the PyTorch release's."""

import dataclasses
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from micron_jax.programs.arguments import Arguments, new_file
from micron_jax.programs.options import add_checkpoint, add_json
from micron_jax.programs.output import write_json

EXAMPLES = """
  micron-jax compare --checkpoint RELEASE.pth --release Micron-BERT --plot errors.png
  micron-jax compare --checkpoint weights --release Micron-BERT --input faces --record run.npz
  micron-jax compare --checkpoint weights --recording run.npz

Before the first: git clone https://github.com/uark-cviu/Micron-BERT
pip install 'micron-jax[torch]' && pip install --no-deps timm==0.4.12
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax compare",
        "Run a checkpoint through a checkout of the PyTorch release and through ours, "
        "and compare every layer, the losses and the gradients; or compare with what a recording "
        "holds of such a run. Error is max |ours - theirs| / max |theirs|. Ends with 1 where a "
        "check fails.",
        EXAMPLES,
        usage="micron-jax compare --checkpoint CKPT --release CHECKOUT [--input IMAGES ...] "
        "[--record OUT.npz] [--plot PNG] [--json OUT]\n       micron-jax compare --recording "
        "FILE.npz [--checkpoint CKPT] [--plot PNG] [--json OUT]",
    )
    add_checkpoint(parser, default=None)
    parser.option(
        "--release", Path, "CHECKOUT", "folder of a checkout of the PyTorch release; needs torch"
    )
    parser.option("--recording", Path, "FILE.npz", "instead of --release: a recording")
    parser.option(
        "--input",
        Path,
        "IMAGES",
        "images or folders of images, of which the first 5 are taken; without: drawn images",
        nargs="+",
    )
    parser.option("--record", new_file, "OUT.npz", "write a recording of the release there")
    add_json(parser)
    parser.option("--plot", new_file, "PNG", "draw the error of each layer there")
    arguments = parser.parse_args(argv)
    if bool(arguments.release) == bool(arguments.recording):
        parser.error("give either --release, with --checkpoint, or --recording")
    if arguments.release and not arguments.checkpoint:
        parser.error("--release needs --checkpoint")
    for option in ("input", "record"):
        if arguments.recording and getattr(arguments, option):
            parser.error(f"--{option} goes with --release")

    checks = _recorded(arguments) if arguments.recording else _live(arguments)
    return _report(checks, arguments)


def _recorded(arguments) -> Iterable:
    from micron_jax.checkpoints import load
    from micron_jax.errors import UserError
    from micron_jax.parity import live, recorded

    recording = live.read(arguments.recording)
    if recording is None:
        if arguments.checkpoint:
            raise UserError(
                f"{arguments.recording}: makes its weights by a formula; leave out --checkpoint"
            )
        return recorded.compare(arguments.recording)
    if not arguments.checkpoint:
        raise UserError(
            f"{arguments.recording}: says what a checkpoint computed; name it with --checkpoint"
        )
    weights = load.read(arguments.checkpoint)
    return live.compare(weights, recording, str(arguments.recording))


def _live(arguments) -> Iterable:
    from micron_jax.checkpoints import files, load
    from micron_jax.checkpoints.release_architecture import differences
    from micron_jax.errors import UserError
    from micron_jax.parity import inputs, live

    checkpoint = Path(arguments.checkpoint)
    weights = load.read(checkpoint)
    if differing := differences(weights.config):
        raise UserError(f"{checkpoint}: no model that the release can run. {differing[0]}")
    side = weights.config.img_size
    pictures = (
        inputs.read_images(arguments.input, side) if arguments.input else inputs.made_images(side)
    )
    views = inputs.make_views(pictures, weights.config)
    with tempfile.TemporaryDirectory() as scratch:
        # The release reads a .pth; the user's own is given as it is.
        if not checkpoint.is_file() or checkpoint.suffix == ".safetensors":
            checkpoint = Path(scratch, "checkpoint.pth")
            files.save(weights, checkpoint)
        print("running the release's code ...", file=sys.stderr, flush=True)
        recording = live.record(weights, checkpoint, arguments.release, views)
    if arguments.record:
        live.save(recording, arguments.record)
    return live.compare(weights, recording, str(arguments.release))


def _report(checks: Iterable, arguments) -> int:
    """Prints the table as it comes, writes what was asked for; the exit status."""
    done = []
    for check in checks:
        measured = [f"{check.error:9.2e}"]
        heads = ["    error"]
        if hasattr(check, "cosine"):
            measured = [f"{check.largest:9.2e}", *measured, f"{check.cosine:12.9f}"]
            heads = ["  largest", *heads, "      cosine"]
        if not done:
            print(f"{'check':<30} {'  '.join(heads)}    bound")
        verdict = "ok" if check.ok else "FAILS"
        print(f"{check.name:<30} {'  '.join(measured)}  {check.bound:7.0e}  {verdict}", flush=True)
        done.append(check)
    failed = [check for check in done if not check.ok]
    print(f"{len(done) - len(failed)} of {len(done)} checks within their bounds")
    if failed:
        print(f"the first that differs: {failed[0].name}, {failed[0].error:.2e}")
    if arguments.plot:
        from micron_jax.parity.plot import draw

        draw(done, arguments.plot)
    if arguments.json:
        names = ("name", "error", "bound")
        rows = [{n: dataclasses.asdict(c)[n] for n in names} | {"ok": c.ok} for c in done]
        write_json(arguments.json, {"ok": not failed, "checks": rows})
    return 1 if failed else 0
