"""`micron-jax demo`: everything once, in minutes, on real video."""

from pathlib import Path

from micron_jax.programs import Arguments


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax demo",
        description="Fetch sample clips, build a corpus of their faces, pretrain a tiny model. "
        "Started again, it goes on where it was.",
        allow_abbrev=False,
    )
    parser.add_argument("--workdir", required=True, type=Path, help="everything is put there")
    workdir = parser.parse_args(argv).workdir

    from micron_jax import config as configs
    from micron_jax.data import samples
    from micron_jax.datasets.frames.builder import build
    from micron_jax.pretraining import pretrain
    from micron_jax.training.checkpoint import Checkpoints
    from micron_jax.training.recipe import parse

    clips, corpus = workdir / "clips", workdir / "corpus"
    settings = [f"--config.data.data_dir={corpus}"]
    config = parse(configs.override(configs.load("pretrain_demo"), settings))

    print("1/3 sample clips", flush=True)
    samples.fetch(clips)
    print("2/3 corpus of face crops", flush=True)
    build(clips, corpus, size=config.model.img_size)
    print("3/3 pretraining", flush=True)
    if status := pretrain(config, workdir):
        return status
    print(f"""
checkpoint   {Checkpoints.folder(workdir)}
curves       {workdir / "curves.png"}, tensorboard --logdir {workdir / "tensorboard"}
pictures     {workdir / "pictures"}
in Python    micron_jax.load("{workdir}")""")
    return 0
