"""The release's numbers, and what a recording may lack."""

import dataclasses
import json

import numpy as np
import pytest

from micron_jax.cli import main
from micron_jax.errors import UserError
from micron_jax.parity import formula, recorded
from micron_jax.parity.recorded import BOUNDS, Check


def compare(path):
    return formula.compare(recorded.read(path))


@pytest.fixture(scope="module")
def checks(recording_path):
    return {check.name: check for check in compare(recording_path)}


def test_every_array_of_the_recording_is_checked_and_within_its_bound(checks, recording):
    _, arrays = recording
    losses = {f"{m}/losses/{part}" for m in ("full", "diag") for part in ("total", "dino")}
    losses |= {"full/losses/reconstruction", "diag/losses/reconstruction"}
    plain = {name for name in arrays if not name.endswith(("_names", "losses"))}
    assert set(checks) == plain | losses
    assert [check for check in checks.values() if not check.ok] == []


def test_bounds_are_those_of_the_recordings(checks):
    assert BOUNDS == {"output": 1e-5, "gradient": 1e-4, "curve": 1e-4, "final": 1e-3}
    assert checks["full/latent"].bound == 1e-5
    assert checks["diag/grad_norms"].bound == 1e-4
    assert checks["diag/losses/dino"].bound == 1e-4
    assert checks["full/final_first"].bound == 1e-3


def test_nan_is_no_agreement():
    assert not Check("x", float("nan"), 1.0).ok
    assert Check("x", 1.0, 1.0).ok


@pytest.fixture
def changed(recording_path, tmp_path):
    """(changes to arrays, changes to settings) -> a recording with them; None takes one out."""

    def write(arrays=None, settings=None):
        with np.load(recording_path) as recording:
            kept = {name: recording[name] for name in recording.files}
        config = json.loads(str(kept["config"])) | (settings or {})
        kept["config"] = json.dumps({k: v for k, v in config.items() if v is not None})
        kept |= arrays or {}
        path = tmp_path / "changed.npz"
        np.savez(path, **{name: value for name, value in kept.items() if value is not None})
        return path

    return write


@pytest.mark.usefixtures("quickly")
def test_a_recording_of_other_numbers_fails(changed, recording, monkeypatch, capsys, tmp_path):
    _, arrays = recording
    path = changed({"cls": arrays["cls"] + 1e-4})
    # The trainings were checked above; here only the outputs are computed.
    monkeypatch.setattr(formula, "_training", lambda *args: iter(()))
    out = tmp_path / "out.json"
    assert main(["compare", "--recording", str(path), "--json", str(out)]) == 1
    printed = capsys.readouterr().out
    assert "FAILS" in printed
    written = json.loads(out.read_text())
    assert written["ok"] is False
    assert [check["name"] for check in written["checks"] if not check["ok"]] == ["cls"]
    assert set(written["checks"][0]) == {"name", "error", "bound", "ok"}


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        ({"full/pred": None, "cls": None}, None, "a recording without cls, full/pred"),
        ({"salt": None}, None, "a recording without salt"),
        (None, {"out_dim": None}, "a recording without out_dim"),
        (None, {"embed_dim": 128}, r"att has shape|latent has shape"),
        (None, {"num_heads": 5}, "model.heads=5: does not divide width=64"),
        ({"cls": np.zeros((3, 63), np.float32)}, None, "cls has shape"),
    ],
)
def test_incomplete_recordings_are_named(changed, arrays, settings, message):
    with pytest.raises(UserError, match=message):
        list(compare(changed(arrays, settings)))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short", b"text"])
def test_other_files_are_no_recordings(tmp_path, content):
    path = tmp_path / "recording.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"recording\.npz: (no such file|not a readable)"):
        list(compare(path))


def test_a_pickle_in_a_recording_is_refused(tmp_path, recording_path):
    with np.load(recording_path) as recording:
        arrays = dict(recording)
    path = tmp_path / "pickle.npz"
    np.savez(path, **(arrays | {"cls": np.array([print], dtype=object)}))
    with pytest.raises(UserError, match="not a readable"):
        recorded.read(path)


def test_subsampled_axes_are_recognized():
    full = np.arange(2 * 30 * 20.0).reshape(2, 30, 20)
    values, reference = recorded.vectors("x", "latent", full, full[:, ::9, ::9])
    np.testing.assert_array_equal(values, reference)
    with pytest.raises(UserError, match="latent has shape"):
        recorded.vectors("x", "latent", full, full[:, ::7])


@pytest.mark.slow
def test_the_recording_of_full_size(recording_path):
    checks = list(compare(recording_path.with_name("release_full.npz")))
    assert [dataclasses.asdict(check) for check in checks if not check.ok] == []
