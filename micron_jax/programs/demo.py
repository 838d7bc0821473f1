"""`micron-jax demo`: everything once, in minutes, on real video."""

from pathlib import Path

from micron_jax.programs.arguments import Arguments
from micron_jax.programs.pretrain import run as pretrain
from micron_jax.programs.stopping import keeping

# Below the workdir: micro-expressions with known truth, in CASME II's layout; the data_dir with the
# set `casme2` that is built of them; the workdirs of what is fine-tuned on it: the demo's own
# checkpoint, and the weights that come with the package.
SYNTHETIC, DATA, TUNED, TINY = "synthetic", "data", "tuned", "tuned_micron_tiny"
LOOKS = "looks"  # what `visualize` shows of a sample film
CLIPS_OF_A_PERSON = 8  # one of each kind, and two without motion; a minute and a half on 2 cores


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax demo",
        "Fetch sample clips, show what moves in one of them, build a corpus of their faces and "
        "pretrain a tiny model; make micro-expressions with known truth and a benchmark's set of "
        "them, fine-tune on it that model, and the weights that come with the package, and write "
        "reports. Started again, it continues.",
        "  micron-jax demo\n  micron-jax demo --workdir runs/demo",
    )
    parser.option(
        "--workdir",
        "folder for everything that the demo makes",
        default=Path("runs/demo"),
        required=False,
    )
    workdir = parser.parse_args(argv).workdir
    with keeping("parts that are done"):
        return _run(workdir)


def _run(workdir: Path) -> int:
    from micron_jax.datasets.frames.builder import build
    from micron_jax.evaluation.report import HTML
    from micron_jax.finetuning import config as tuning
    from micron_jax.programs.finetune import run as finetune
    from micron_jax.synthetic import samples
    from micron_jax.training.checkpoint import Checkpoints
    from micron_jax.training.config import parse

    clips, corpus = workdir / "clips", workdir / "corpus"
    config = parse(_recipe("pretrain_demo", f"data.data_dir={corpus}"))

    print(
        "about 4 minutes on 2 CPU cores, the first picture after one; 11 MB are fetched, and "
        f"{workdir} becomes 210 MB",
        flush=True,
    )
    print("1/7 sample clips", flush=True)
    film = samples.fetch(clips)[-1]
    print(
        f"2/7 what moves in {film.name}, by micron-tiny, which comes with the package", flush=True
    )
    print("\n".join(show_film(film, workdir / LOOKS)), flush=True)
    print("3/7 corpus of face crops", flush=True)
    build(clips, corpus, size=config.model.img_size)
    print("4/7 pretraining", flush=True)
    if status := pretrain(config, workdir):
        return status
    print("5/7 micro-expressions with known truth", flush=True)
    print("\n".join(make_synthetic(workdir)), flush=True)
    tiny = ["checkpoint=micron-tiny"]
    for title, name, settings in (
        ("6/7 fine-tuning, one subject left out", TUNED, [f"checkpoint={workdir}"]),
        ("7/7 the same with micron-tiny", TINY, tiny),
    ):
        print(title, flush=True)
        fields = _recipe("finetune_demo", f"data.data_dir={workdir / DATA}", *settings)
        if status := finetune(tuning.parse(fields), workdir / name):
            return status
    print(f"""
a film       {workdir / LOOKS / "moments.png"}
checkpoint   {Checkpoints.folder(workdir)}
curves       {workdir / "curves.png"}, tensorboard --logdir {workdir / "tensorboard"}
pictures     {workdir / "pictures"}
labeled      {workdir / SYNTHETIC}, and as a built set: {workdir / DATA}
reports      {workdir / TUNED / HTML}
             {workdir / TINY / HTML}
in Python    micron_jax.load("{workdir}")""")
    return 0


def _recipe(name: str, *settings: str) -> dict:
    from micron_jax import config

    return config.override(config.load(name), settings)


def show_film(film: Path, output: Path) -> list[str]:
    """Draws what moves in a film, if it is not drawn; returns where to look, in lines."""
    import micron_jax
    from micron_jax.video.inputs import find_inputs
    from micron_jax.visualization.folder import visualize

    if not output.exists():
        visualize(micron_jax.load(), find_inputs([film]), output)
    page = "pip install 'micron-jax[app]' && micron-jax app"
    return [
        f"to look at: {output / 'moments.png'}, {output / 'annotated.mp4'}",
        f"films of your own, on a page in the browser: {page}",
    ]


def make_synthetic(workdir: Path) -> list[str]:
    """Makes what is missing of the labeled set of the demo; returns its contents, in lines."""
    from micron_jax.datasets.catalog import clip_set
    from micron_jax.datasets.check import check, lines
    from micron_jax.datasets.clips_builder import build_clips
    from micron_jax.synthetic import dataset, samples

    stills, source, data_dir = workdir / "stills", workdir / SYNTHETIC, workdir / DATA
    if not source.exists():
        samples.fetch(stills, samples.STILLS)
        dataset.make_dataset(stills, source, clips=CLIPS_OF_A_PERSON)
    build_clips(clip_set("casme2"), source, data_dir)
    report = check("casme2", data_dir)
    broken = len(report["unreadable"]) + len(report["skipped"])
    return [*lines(report)[:2], f"unreadable or skipped: {broken}"]
