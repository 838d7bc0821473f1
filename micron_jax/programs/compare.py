"""`micron-jax compare`: our numbers beside the PyTorch release's."""

import sys
from collections.abc import Iterable
from pathlib import Path

from micron_jax.errors import UserError, printable
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import new_file
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
        "and compare each layer, the losses and the gradients; or compare with a recording of such "
        "a run. The error is max |JAX - release| / max |release|. Ends with 1 where a check "
        "fails.",
        EXAMPLES,
        usage="micron-jax compare --checkpoint CKPT --release CHECKOUT [--input IMAGES ...] "
        "[--record OUT.npz] [--plot PNG] [--json OUT]\n       micron-jax compare --recording "
        "FILE.npz [--checkpoint CKPT] [--plot PNG] [--json OUT]",
    )
    parser.option("--checkpoint", default=None)
    text = "folder of a checkout of the PyTorch release; needs torch"
    parser.option("--release", text, type=Path, metavar="CHECKOUT")
    text = "instead of --release: a recording"
    parser.option("--recording", text, type=Path, metavar="FILE.npz")
    text = "images or folders of images, of which the first 5 are taken; without: drawn images"
    parser.option("--input", text, type=Path, metavar="IMAGES", nargs="+")
    text = "write a recording of the release there"
    parser.option("--record", text, type=new_file, metavar="OUT.npz")
    parser.option("--json")
    parser.option("--plot", "draw the error of each layer there", type=new_file, metavar="PNG")
    arguments = parser.parse_args(argv)
    if bool(arguments.release) == bool(arguments.recording):
        parser.error("give either --release, with --checkpoint, or --recording")
    if arguments.release and not arguments.checkpoint:
        parser.error("--release needs --checkpoint")
    for option in ("input", "record"):
        if arguments.recording and getattr(arguments, option):
            parser.error(f"--{option} goes with --release")

    return _report(_recorded(arguments) if arguments.recording else _live(arguments), arguments)


def _recorded(arguments) -> Iterable:
    from micron_jax.checkpoints import load
    from micron_jax.parity import formula, live, recorded

    path = arguments.recording
    recording = recorded.read(path)
    if recording.settings:
        if arguments.checkpoint:
            raise UserError(f"{path}: makes its weights by a formula; leave out --checkpoint")
        return formula.compare(recording)
    if not arguments.checkpoint:
        raise UserError(f"{path}: says what a checkpoint computed; name it with --checkpoint")
    return live.compare(load.read(arguments.checkpoint), recording)


def _live(arguments) -> Iterable:
    from micron_jax.checkpoints import load
    from micron_jax.checkpoints.release_architecture import differences
    from micron_jax.checkpoints.tensor_file import is_tensor_file
    from micron_jax.parity import inputs, live, recorded

    checkpoint = Path(arguments.checkpoint)
    weights = load.read(arguments.checkpoint)
    if sentences := differences(weights.config):
        raise UserError(f"{checkpoint}: no model that the release can run. {sentences[0]}")
    if "dma" not in weights.params:
        raise UserError(f"{checkpoint}: an encoder alone, which the release's model cannot load")
    side = weights.config.img_size
    images = arguments.input
    frames = inputs.read_images(images, side) if images else inputs.draw_images(side)
    views = inputs.make_views(frames, weights.config)
    print("running the release's code ...", file=sys.stderr, flush=True)
    # The release reads a .pth: the user's own as it is.
    own = checkpoint.is_file() and not is_tensor_file(checkpoint)
    recording = live.record(weights, checkpoint if own else None, arguments.release, views)
    if arguments.record:
        recorded.write(recording, arguments.record)
    return live.compare(weights, recording)


def _report(checks: Iterable, arguments) -> int:
    """Prints the table row by row, writes the plot and the JSON; returns the exit status."""
    rows = []
    for check in checks:
        if not rows:
            print(f"{'check':<30} {'largest':>9}  {'error':>9}  {'cosine':>12}  {'bound':>7}")
        verdict = "ok" if check.ok else "FAILS"
        numbers = f"{check.largest:9.2e}  {check.error:9.2e}  {check.cosine:12.9f}"
        name = printable(check.name)
        print(f"{name:<30} {numbers}  {check.bound:7.0e}  {verdict}", flush=True)
        rows.append(check)
    failed = [check for check in rows if not check.ok]
    print(f"{len(rows) - len(failed)} of {len(rows)} checks within their bounds")
    if failed:
        print(f"the first that differs: {printable(failed[0].name)}, {failed[0].error:.2e}")
    if arguments.plot:
        from micron_jax.parity.plot import draw

        draw(rows, arguments.plot)
    described = [{n: getattr(c, n) for n in ("name", "error", "bound", "ok")} for c in rows]
    write_json(arguments.json, {"ok": not failed, "checks": described})
    return 1 if failed else 0
