"""Every command of README and docs/ is run, where that is cheap.

A command stands in `RUN`, with what makes the files that it names, or in `NOT_RUN`,
with the reason. One that stands in neither fails.
"""

import itertools
import shlex
from pathlib import Path

import pytest
from helpers import drawn, evaluated, pages, spotting, tiny, vendor_trees
from helpers.drawn_weights import draw_weights
from helpers.films import write_video
from helpers.pages import COMMANDS, FRAGMENTS, SPANS, whole

from micron_jax import checkpoints
from micron_jax.cli import main
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.frames.builder import build as build_corpus
from micron_jax.faces import landmarks
from micron_jax.synthetic import expressions

# Commands that are not run here, and why. Those of ours are read by their parsers all the same.
NOT_RUN = {
    "bash launch/quickstart.sh": "network and minutes; its parts: tests/programs/test_demo.py",
    "time bash launch/quickstart.sh": "the same",
    "bash launch/quickstart.sh --help": "tests/test_launch.py",
    "bash launch/test.sh": "these very tests",
    "bash launch/gpu_report.sh": "a GPU; its parts: tests/programs/test_bench_gpu.py",
    'python -m pytest -n 2 --dist loadfile -m "not slow"': "these very tests",
    "python -m pytest tests/datasets/frames/test_scale.py -m slow -s": "slow, and a test itself",
    'python -m pytest -s -m "not slow" tests/export tests/pytorch': "tests themselves",
    "python tests/helpers/checksum_cost.py runs/cost --parameters 100": "gigabytes, a measurement",
    "pip install .": "network",
    **{
        f"pip install '.[{extra}]'": "network"
        for extra in ("app", "cuda", "hub", "onnx", "plan", "torch", "tpu")
    },
    "pip install --no-deps timm==0.4.12": "network",
    "git clone https://github.com/uark-cviu/Micron-BERT": "network",
    "micron-jax export runs/demo features.onnx": "the extra onnx: tests/export/test_onnx.py",
    "micron-jax export micron-tiny features.onnx": "the same",
    "python tests/helpers/onnx_speed.py micron-tiny features.onnx --batch 8 --rounds 60": "it too",
    "micron-jax app": "serves until it is stopped: tests/app",
    "micron-jax app --checkpoint runs/demo": "serves until it is stopped: tests/app",
    "micron-jax app --checkpoint runs/casme2_5": "the same",
    "micron-jax compare --checkpoint RELEASE.pth --release Micron-BERT --plot errors.png": "wants "
    "torch and a checkout: tests/parity/test_beside_release.py",
    "micron-jax compare --recording tests/fixtures/release_full.npz": "minutes: "
    "tests/parity/test_recorded.py, marked slow",
    "micron-jax pretrain --config pretrain_paper --workdir runs/paper --config.data.data_dir=DIR": (
        "hours; tests/programs/test_pretrain.py trains a smaller one"
    ),
    "micron-jax pretrain --config pretrain_pod --workdir /mnt/run "
    "--config.data.data_dir=/mnt/data": "a pod; tests/programs/test_pretrain_processes.py",
    "micron-jax plan --config pretrain_pod --topology v5e:16x16": "minutes, and a TPU's compiler: "
    "tests/programs/test_plan.py",
    **{
        f"micron-jax bench {rest}": "minutes, torch and a checkout, or a GPU: "
        "tests/programs/test_bench_speed.py"
        for rest in (
            "train --release Micron-BERT",
            "extract --release Micron-BERT",
            "extract --release Micron-BERT --against eager --rounds 3",
            "train --release Micron-BERT --against eager --rounds 3 --config.accumulate=2",
            "train --release Micron-BERT --batch 64 --against autocast compile-autocast",
            "extract --release Micron-BERT --batch 256 --against autocast compile-autocast",
        )
    },
    "python -m pytest -m slow tests/programs/test_pretrain_processes.py": "slow, tests themselves",
    "micron-jax bench ablation --corpus corpus --data-dir test --labeled-dir labeled "
    "--workdir runs/ablation --seeds 3": "an hour: tests/programs/test_bench_ablation.py",
    "micron-jax data build samm_lv --source FOLDER_AS_UNPACKED --data-dir DIR": (
        "the owners' sheet: tests/datasets/long_videos"
    ),
    "micron-jax evaluate --spotting detections.csv --truth samm_lv --data-dir DIR --report DIR": (
        "the same: tests/programs/test_evaluate_spotting.py"
    ),
    "micron-jax bench input": "minutes: tests/programs/test_bench_speed.py",
    "micron-jax bench input --rounds 3": "minutes: tests/programs/test_bench_speed.py",
    "micron-jax spot --input interview.mp4 --output looks/interview": (
        "a film of a face: tests/programs/test_spot.py"
    ),
    "micron-jax spot --input interview.mp4 --output looks/interview --classifier runs/casme2": (
        "the same"
    ),
    "micron-jax bench spot --fit-dir VAL --data-dir TEST --workdir runs/spot": (
        "minutes, and films of faces: tests/benchmarks/test_spotting.py"
    ),
    "micron-jax bench learn --checkpoint micron-tiny --data-dir TEST --choose-dir VAL --seeds 1": (
        "minutes, and other people's faces: tests/programs/test_bench_learn.py"
    ),
    "micron-jax finetune --config finetune_loso --workdir runs/casme2_5 "
    "--config.data.data_dir=DIR --config.checkpoint=CKPT --config.protocol=casme2_5": "a "
    "benchmark's clips: tests/finetuning/test_run.py trains on a smaller set",
    "micron-jax finetune --config finetune_loso --workdir runs/casme2_5 "
    "--config.data.data_dir=data --config.checkpoint=micron-tiny --config.protocol=casme2_5": (
        "the same"
    ),
    "micron-jax data flow --set casme2 --data-dir DIR --output FILE.npz": "faces in a built set: "
    "tests/datasets/test_flow_features.py",
    "micron-jax finetune --config finetune_loso --workdir runs/own --config.data.data_dir=DIR "
    "--config.checkpoint=CKPT --config.protocol=own": "the same",
    "micron-jax finetune --config finetune_demo --workdir DIR "
    "--config.data.data_dir=runs/demo/data --config.seeds=3": "the same",
}  # fmt: skip


def write_clip(name="clip.mp4"):
    shades = (1, 0.9, 0.6, 0.9, 1, 1)
    frames = [(shade * drawn.face(3)).astype("uint8") for shade in shades]
    write_video(Path(name), frames, 30)


def demo():
    checkpoints.save(draw_weights(tiny.PAPER, decoder=False), Path("runs/demo"))
    write_clip()


def write_pair():
    for seed, name in enumerate(("apex.jpg", "onset.jpg")):
        drawn.write(Path(name), seed)


def videos():
    drawn.write(Path("FOLDER/clip/1.png"), 1)
    drawn.write(Path("FOLDER/clip/2.png"), 2)


def built(data_dir="DIR"):
    vendor_trees.write_casme2(Path("FOLDER_AS_UNPACKED"))
    build = ["data", "build", "casme2", "--source", "FOLDER_AS_UNPACKED"]
    build += ["--data-dir", data_dir]
    assert main(build) == 0
    videos()
    build_corpus(Path("FOLDER"), Path(data_dir), size=32)


def own_clips():
    """Writes the table that the README shows, and the film and the folder that it names."""
    ((_, table),) = pages.blocks("csv")
    Path("clips.csv").write_text(table)
    faces = [(255 - 2 * n) / 255 * drawn.face(3) for n in range(40)]
    write_video(Path("films/anna.mp4"), [face.astype("uint8") for face in faces], 25)
    for number in range(40):
        drawn.write(Path(f"ben/take1/{number}.png"), number)


def own_built():
    own_clips()
    assert main(["data", "build", "own", "--source", "clips.csv", "--data-dir", "DIR"]) == 0
    # 0.20 to 0.60 s and 0.80 to 1.20 s at 25 a second, 0.12 to 0.36 s at 100
    assert len(open_clips("DIR", "own")[1]) == 3
    assert describe_clips("DIR", "own")["frames"] == 11 + 11 + 25


def predictions():
    Path("runs").mkdir()
    evaluated.make_workdir(Path("runs/casme2_5"))
    evaluated.write_csv(Path("theirs.csv"), evaluated.composite(7))


def detections():
    _, table = spotting.write(Path())
    Path("looks/interview").mkdir(parents=True)
    table.rename("looks/interview/detections.csv")


def several_runs():
    Path("runs").mkdir()
    for seed, name in enumerate("abc"):
        evaluated.make_workdir(Path("runs") / name, seeds=(seed,))


# Commands that are run as they stand, in a folder of their own, and what lies there before.
RUN = {
    "micron-jax spot --input film.mp4 --output looks/spot": lambda: write_clip("film.mp4"),
    "micron-jax visualize --input film.mp4 --output looks/film": lambda: write_clip("film.mp4"),
    "micron-jax visualize --input clip.mp4 --output looks/clip": write_clip,
    "micron-jax visualize --input apex.jpg onset.jpg --output looks/pair": write_pair,
    "micron-jax visualize --checkpoint runs/demo --input clip.mp4 --output looks/demo": demo,
    "micron-jax export runs/demo features.jax": demo,
    "micron-jax extract --checkpoint runs/demo --input clip.mp4 --output clip.npz": demo,
    "micron-jax data build frames --source FOLDER --data-dir DIR": videos,
    "micron-jax data faces --source FOLDER --output DIR --sheet": videos,
    "micron-jax data synth --faces FOLDER --output DIR": videos,
    "micron-jax data list casme2": lambda: None,
    "micron-jax data build casme2 --source FOLDER_AS_UNPACKED --data-dir DIR": (
        lambda: vendor_trees.write_casme2(Path("FOLDER_AS_UNPACKED"))
    ),
    "micron-jax data build casme2 --source CASME2 --data-dir data": (
        lambda: vendor_trees.write_casme2(Path("CASME2"))
    ),
    "micron-jax data check casme2 --data-dir data": lambda: built("data"),
    "micron-jax data check casme2 --data-dir DIR": built,
    "micron-jax data build own --source clips.csv --data-dir DIR": own_clips,
    "micron-jax data check own --data-dir DIR": own_built,
    "micron-jax data check casme2 --data-dir DIR --corpus DIR": built,
    "micron-jax data check casme2 --data-dir DIR --corpus DIR --json FILE": built,
    "micron-jax evaluate runs/casme2_5 --against theirs.csv": predictions,
    "micron-jax evaluate runs/casme2_5 --report report": predictions,
    "micron-jax evaluate --spotting looks/interview/detections.csv --truth truth.csv": detections,
    "micron-jax evaluate runs/a --against runs/b --against runs/c --report DIR": several_runs,
    "micron-jax convert RELEASE.pth FOLDER": (
        lambda: checkpoints.save(draw_weights(tiny.RELEASE), Path("RELEASE.pth"))
    ),
    "micron-jax convert FOLDER OUT.pth": (
        lambda: checkpoints.save(draw_weights(tiny.RELEASE), Path("FOLDER"))
    ),
}


def test_no_command_escapes():
    others = [s for s in SPANS if " -" in s and whole(s) not in COMMANDS and s not in FRAGMENTS]
    assert set(others) == {"kill -9"}
    assert RUN.keys() & NOT_RUN.keys() == set()
    assert [c for c in COMMANDS if c not in RUN and c not in NOT_RUN] == [], "list it above"
    assert [c for c in (*RUN, *NOT_RUN) if c not in COMMANDS] == [], "no page has it any longer"


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("command", RUN)
def test_commands_run(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    for name in ("LEAD", "RISE", "FALL", "TAIL"):
        monkeypatch.setattr(expressions, name, (1, 2))
    RUN[command]()
    argv = shlex.split(command)[1:]
    assert main(argv) == 0, capsys.readouterr().err
    for option, value in itertools.pairwise(argv):
        if option in ("--output", "--plot", "--json"):
            assert Path(value).exists()
