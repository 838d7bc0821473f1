import json

import cv2
import numpy as np
import pytest
from helpers.benchmarks import imitate
from helpers.refusals import refusal

from micron_jax.cli import main
from micron_jax.datasets import check, frames
from micron_jax.datasets.frames.builder import build
from micron_jax.errors import UserError
from micron_jax.faces import landmarks

PNG = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A data_dir with a corpus of two clips, one of subject 12 of CAS(ME)3."""
    folder = tmp_path_factory.mktemp("check")
    for clip in ("spNO.12/a", "talk"):
        (folder / "source" / clip).mkdir(parents=True)
        for number in range(4):
            path = folder / "source" / clip / f"{number}.png"
            cv2.imwrite(str(path), np.full((40, 40, 3), 9 * number + len(clip), np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            landmarks, "all_faces_detector", lambda: lambda image: landmarks.CANONICAL[None] * 40
        )
        build(folder / "source", folder / "data", size=32)
    return folder / "data"


@pytest.fixture
def clips(monkeypatch):
    """Stands for the built sets: casme3 alone."""

    def open_clips(data_dir, name, *, frames):
        if name != "casme3":
            raise UserError(f"no data set `{name}` in {data_dir}")
        samples = imitate(name)
        return [{"frames": [b"%d" % i + PNG]} for i in range(len(samples))], samples

    def describe_clips(data_dir, name):
        return {"keep": "clip", "skipped": [{"clip": "spNO.1/z", "row": 9, "reason": "no folder"}]}

    monkeypatch.setattr(check, "open_clips", open_clips)
    monkeypatch.setattr(check, "describe_clips", describe_clips)


def test_check_frames_by_command(built, tmp_path, capsys):
    out = tmp_path / "report.json"
    assert main(["data", "check", "frames", "--data-dir", str(built), "--json", str(out)]) == 0
    assert "frames: clips: 2, frames: 8" in capsys.readouterr().out
    assert main(["data", "check", "frames", "--data-dir", str(built), "--sample", "3"]) == 0
    assert "frame sizes: 32x32 3" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["frame_sizes"] == {"32x32": 8}
    assert report["unreadable"] == report["misplaced"] == report["duplicates"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_check_a_benchmark_by_command(built, clips, tmp_path, capsys):
    out = tmp_path / "report.json"
    more = ["--json", str(out), "--protocol", "casme3_4", "--corpus", str(built)]
    assert main(["data", "check", "casme3", "--data-dir", str(tmp_path), *more]) == 0
    report = json.loads(out.read_text())
    assert (report["clips"], report["subjects"]) == (860, 94)
    assert report["emotions"]["disgust"] == 250
    assert [(fit["name"], fit["ok"]) for fit in report["protocols"]] == [("casme3_4", True)]
    assert report["corpus"]["subjects"] == {"12": 1}
    assert report["corpus"]["leave_out"] == ["spNO.12/a"]
    assert report["skipped"] == [{"clip": "spNO.1/z", "row": 9, "reason": "no folder"}]
    text = capsys.readouterr().out
    assert "  spNO.12/a" in text
    assert "skipped when built: 1\n  spNO.1/z: no folder" in text
    assert frames.describe(built)["clips"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frames"], "micron-jax data build frames"),
        (["casme2"], "no data set `casme2`"),
        (["casme3", "--protocol", "samm_5"], "those that do: casme3_3, casme3_4, casme3_7"),
        (["casme3", "--protocol", "seven"], "no protocol 'seven'; choose one of composite"),
        (["casme3", "--corpus", "nowhere"], "no data set `frames` in nowhere"),
        (["frames", "--protocol", "casme3_4"], "protocol is for benchmarks"),
        (["frames", "--sample", "0"], "--sample: '0': give 1 or more, or all"),
        (["frames", "--sample", "some"], "--sample: 'some': give 1 or more, or all"),
        (["casme3", "--json", "gone/out.json"], "--json: gone/out.json: name a file"),
    ],
)
def test_bad_input_is_one_line(arguments, words, clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(["data", "check", *arguments, "--data-dir", "."], capsys)
    assert list(tmp_path.iterdir()) == []
