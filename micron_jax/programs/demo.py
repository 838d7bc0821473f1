"""`micron-jax demo`: everything once, in minutes, on real video."""

from pathlib import Path

from micron_jax.programs import Arguments

# Below the workdir: micro-expressions with known truth, in CASME II's layout; and the data_dir
# with the set `casme2` that is built of them.
SYNTHETIC, DATA = "synthetic", "data"
CLIPS_OF_A_PERSON = 3  # half a minute on 2 cores


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax demo",
        description="Fetch sample clips, build a corpus of their faces, make micro-expressions "
        "with known truth and a benchmark's set of them, pretrain a tiny model. Started again, it "
        "goes on where it was.",
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

    print("1/4 sample clips", flush=True)
    samples.fetch(clips)
    print("2/4 corpus of face crops", flush=True)
    build(clips, corpus, size=config.model.img_size)
    print("3/4 micro-expressions with known truth", flush=True)
    print("\n".join(make_synthetic(workdir)), flush=True)
    print("4/4 pretraining", flush=True)
    if status := pretrain(config, workdir):
        return status
    print(f"""
checkpoint   {Checkpoints.folder(workdir)}
curves       {workdir / "curves.png"}, tensorboard --logdir {workdir / "tensorboard"}
pictures     {workdir / "pictures"}
labelled     {workdir / SYNTHETIC}, and as a built set: {workdir / DATA}
in Python    micron_jax.load("{workdir}")""")
    return 0


def make_synthetic(workdir: Path) -> list[str]:
    """Makes the labelled set of the demo, or what is missing of it; -> what it holds, in lines."""
    from micron_jax.data import samples, synthetic
    from micron_jax.datasets.catalogue import builder_class
    from micron_jax.datasets.check import check
    from micron_jax.datasets.check_text import lines
    from micron_jax.datasets.clips_builder import build_clips

    stills, source, data_dir = workdir / "stills", workdir / SYNTHETIC, workdir / DATA
    if not source.exists():
        samples.fetch(stills, samples.STILLS)
        synthetic.make(stills, source, clips=CLIPS_OF_A_PERSON)
    build_clips(builder_class("casme2"), source, data_dir)
    report = check("casme2", data_dir)
    broken = len(report["unreadable"]) + len(report["skipped"])
    return [*lines(report)[:2], f"unreadable or skipped: {broken}"]
