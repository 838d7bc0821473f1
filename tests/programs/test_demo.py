"""The demo's order of things; what each of them does is tested with it."""

import pytest
from helpers import drawn

from micron_jax.cli import main
from micron_jax.datasets.clips import open_clips
from micron_jax.datasets.frames import open_frames
from micron_jax.faces import landmarks
from micron_jax.programs import demo, finetune
from micron_jax.synthetic import expressions, samples
from micron_jax.training import loop
from micron_jax.visualization import folder as looks


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    for name, frames in (("LEAD", (1, 2)), ("RISE", (2, 3)), ("FALL", (2, 3)), ("TAIL", (1, 2))):
        monkeypatch.setattr(expressions, name, frames)

    monkeypatch.setattr(samples, "STILLS", samples.STILLS[:3])
    monkeypatch.setattr(demo, "CLIPS_OF_A_PERSON", 1)

    def fetch(folder, names=samples.CLIPS):
        for seed, name in enumerate(names):
            picture = name if names is samples.STILLS else f"{name}/1.png"
            drawn.write(folder / picture, seed)
        return [folder / name for name in names]

    monkeypatch.setattr(samples, "fetch", fetch)


def test_the_demo_leaves_a_labeled_set(tmp_path, monkeypatch, capsys):
    trained, tuned, shown = [], [], []

    def pretrain(config, workdir, corpus, notify):
        trained.append(config)
        return loop.PretrainResult(1, 1, 0, {}, workdir)

    monkeypatch.setattr(loop, "pretrain", pretrain)
    monkeypatch.setattr(looks, "visualize", lambda model, clips, output: shown.append(output))
    monkeypatch.setattr(finetune, "run", lambda config, workdir: tuned.append(config))
    assert main(["demo", "--workdir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    people, clips = len(samples.STILLS), len(samples.STILLS) * demo.CLIPS_OF_A_PERSON
    assert f"casme2 (synthetic): clips: {clips}, subjects: {people}, frames: " in out
    assert "unreadable or skipped: 0" in out
    assert shown == [tmp_path / demo.LOOKS]
    assert f"to look at: {tmp_path / demo.LOOKS / 'moments.png'}" in out
    assert len(open_frames(trained[0].data.data_dir)[1]) == len(samples.CLIPS)
    assert tuned[0].checkpoint == str(tmp_path)
    assert [(each.checkpoint, each.classifier.features) for each in tuned[1:]] == [
        ("micron-tiny", "auto")
    ]
    assert tuned[1].data == tuned[0].data
    _, labeled = open_clips(tuned[0].data.data_dir, "casme2")
    assert len(labeled) == clips
    assert (tmp_path / demo.SYNTHETIC / "truth.json").is_file()

    monkeypatch.setattr(samples, "STILLS", None)  # nothing is fetched or made again
    assert main(["demo", "--workdir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.replace("\n", "") in out.replace("\n", "")


def test_a_workdir_that_cannot_be_written_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()
    (tmp_path / "file").touch()
    assert main(["demo", "--workdir", str(tmp_path / "file")]) == 2
    line = capsys.readouterr().err.strip()
    assert line == f"micron-jax: {tmp_path}/file/clips: cannot be written (Not a directory)"
