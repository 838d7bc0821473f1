"""`micron-jax convert`: a checkpoint becomes an interchange folder, or a `.pth` again."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError, printable
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import number
from micron_jax.programs.stopping import writing_whole

EXAMPLES = """
  micron-jax convert RELEASE.pth weights
  micron-jax convert weights OURS.pth
  micron-jax convert --weights teacher runs/release teacher.safetensors
  micron-jax convert --heads 4 --decoder-heads 4 --no-diag-att bare_state_dict.pth weights
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax convert",
        "Turn a checkpoint of the PyTorch release (.pth, .pt, .bin, .ckpt, or its state in a "
        ".safetensors), a run's workdir or what was converted before into a folder with "
        "config.json and model.safetensors; where DST ends in .pth, into a checkpoint that the "
        "PyTorch release loads; where it ends in .safetensors, into one file that carries its "
        "settings. A model card is written with it. Needs no torch, runs no code of the "
        "checkpoint, and copies float32 weights bit for bit.",
        EXAMPLES,
        usage="micron-jax convert [--weights student|teacher] [--heads N] [--decoder-heads N] "
        "[--diag-att|\n       --no-diag-att] [--state PLACE] "
        "[--dtype float32|bfloat16|float16] SRC DST",
    )
    parser.option("source", "what `micron_jax.load` takes", metavar="SRC")
    text = "a new folder, NEW.pth (or .pt, .bin, .ckpt) or NEW.safetensors"
    parser.option("target", text, type=Path, metavar="DST")
    parser.option(
        "--weights",
        "whose encoder and head to write: the network that was trained (student, the "
        "default), or its moving average, where training was with DINO",
        choices=("student", "teacher"),
        default="student",
    )
    heads = number(int, at_least=1)
    text = "attention heads, where SRC does not say them"
    parser.option("--heads", text, type=heads, metavar="N", default=None)
    text = "attention heads of the decoder, where they are others"
    parser.option("--decoder-heads", text, type=heads, metavar="N", default=None)
    parser.option(
        "--diag-att",
        "whether only the diagonal of the micro-attention counts, where SRC does not say it",
        action=argparse.BooleanOptionalAction,
        default=None,
    )
    text = "which network of SRC to take, where it holds several, as ema or state_dict/net"
    parser.option("--state", text, metavar="PLACE", default=None)
    parser.option(
        "--dtype",
        "numbers in a new folder; 16 bits take half the room and round the weights",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
    )
    arguments = parser.parse_args(_with_flags(argv))
    with writing_whole(arguments.target):
        return _convert(arguments)


def _with_flags(argv: list[str]) -> list[str]:
    """Words with `--diag-att true` or `=false`, as the release's scripts take flags, as flags."""
    words: list[str] = []
    for word in argv:
        if words[-1:] == ["--diag-att"] and word.lower() in ("true", "false"):
            words[-1] = f"--diag-att={word}"
        else:
            words.append(word)
    flags = {"--diag-att=true": "--diag-att", "--diag-att=false": "--no-diag-att"}
    return [flags.get(word.lower(), word) for word in words]


def _convert(arguments: argparse.Namespace) -> int:
    from micron_jax.checkpoints import classifier, files, load
    from micron_jax.checkpoints.release_architecture import differences

    target, source = arguments.target, load.locate(arguments.source)
    kind = files.kind_of(target)
    given = {
        "num_heads": arguments.heads,
        "decoder_num_heads": arguments.decoder_heads,
        "diag_att": arguments.diag_att,
        "state": arguments.state,
    }
    try:
        weights = load.read(source, weights=arguments.weights, given=given)
    except UserError as error:
        raise UserError(_with_option(str(error))) from error
    head = classifier.read(source, weights.config) if source.is_dir() else None
    fits = kind == "folder" and arguments.weights == "student"
    files.save(weights, target, head if fits else None, dtype=arguments.dtype)
    c, parts = weights.config, [*weights.params, *(["teacher"] if weights.teacher else [])]
    parts += ["classifier"] if head and fits else []
    sizes = f"{c.img_size} px, patch {c.patch_size}, width {c.width}, depth {c.depth}"
    print(printable(f"{target}: {sizes}, {c.heads} heads; {', '.join(parts)}"))
    sentences = differences(c) if kind == "pth" else []
    if head and not fits:
        place = "the network it learned on" if kind == "folder" else "a folder"
        sentences.append(f"The classifier of {source} is left out: it goes with {place} alone.")
    for sentence in sentences:
        print(printable(f"note: {sentence}"))
    return 0


def _with_option(message: str) -> str:
    """A message of the library with the option that gives the setting it asks for."""
    for setting, option in (
        ("give decoder_num_heads", "--decoder-heads N"),
        ("give num_heads", "--heads N"),
        ("give diag_att", "--diag-att or --no-diag-att"),
        ("choose one by state", "--state PLACE"),
        ("leave out num_heads", "--heads"),
        ("leave out decoder_num_heads", "--decoder-heads"),
        ("leave out diag_att", "--diag-att"),
        ("leave out state", "--state"),
    ):
        if message.endswith(setting):
            return f"{message} ({option})"
    return message
