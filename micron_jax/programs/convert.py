"""`micron-jax convert`: a checkpoint becomes an interchange folder, or a `.pth` again."""

from pathlib import Path

from micron_jax.programs.arguments import Arguments
from micron_jax.programs.stopping import writing_whole

EXAMPLES = """
  micron-jax convert RELEASE.pth weights
  micron-jax convert weights OURS.pth
  micron-jax convert --weights teacher runs/release teacher.safetensors
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax convert",
        "Turn a checkpoint of the PyTorch release (.pth), a run's workdir or what was "
        "converted before into a folder with config.json and model.safetensors; where DST ends in "
        ".pth, into a checkpoint that the PyTorch release loads; where it ends in .safetensors, "
        "into one file that carries its settings. A model card is written with it. Needs no torch, "
        "runs no code of the checkpoint, and copies float32 weights bit for bit.",
        EXAMPLES,
        usage="micron-jax convert [--weights student|teacher] SRC DST",
    )
    parser.option("source", "what `micron_jax.load` takes", metavar="SRC")
    text = "a new folder, NEW.pth or NEW.safetensors"
    parser.option("target", text, type=Path, metavar="DST")
    parser.option(
        "--weights",
        "whose encoder and head to write: the network that was trained (student, the "
        "default), or its moving average, where training was with DINO",
        choices=("student", "teacher"),
        default="student",
    )
    arguments = parser.parse_args(argv)

    from micron_jax.checkpoints import files, load
    from micron_jax.checkpoints.release_architecture import differences

    target = arguments.target
    with writing_whole(target):
        weights = load.read(arguments.source, weights=arguments.weights)
        files.save(weights, target)
    c, parts = weights.config, [*weights.params, *(["teacher"] if weights.teacher else [])]
    sizes = f"{c.img_size} px, patch {c.patch_size}, width {c.width}, depth {c.depth}"
    print(f"{target}: {sizes}, {c.heads} heads; {', '.join(parts)}")
    if target.suffix == ".pth":
        for sentence in differences(c):
            print(f"note: {sentence}")
    return 0
