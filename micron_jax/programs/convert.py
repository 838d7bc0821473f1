"""`micron-jax convert`: a checkpoint becomes an interchange folder."""

from pathlib import Path

from micron_jax.programs import Arguments


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax convert",
        description="Turn a checkpoint of the PyTorch release (.pth), or a run's workdir, into a "
        "folder with config.json and model.safetensors. Needs no torch and runs no code of the "
        "checkpoint.",
        allow_abbrev=False,
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="RELEASE.pth or a run's workdir")
    parser.add_argument("folder", type=Path, metavar="DST", help="the folder to write, new")
    arguments = parser.parse_args(argv)

    from micron_jax import pretrained
    from micron_jax.errors import UserError
    from micron_jax.interop import folder

    if arguments.folder.suffix in (".pth", ".safetensors"):
        raise UserError(f"{arguments.folder}: only folders are written; name one without a suffix")
    weights = pretrained.read(arguments.source)
    folder.save(weights, arguments.folder)
    config = weights.config
    parts = ", ".join([*weights.params, *(["teacher"] if weights.teacher else [])])
    print(
        f"{arguments.folder}: {config.img_size} px, patch {config.patch_size}, width "
        f"{config.width}, depth {config.depth}, {config.heads} heads; {parts}"
    )
    return 0
