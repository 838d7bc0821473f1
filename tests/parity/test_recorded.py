"""The release's numbers, and what a recording may lack."""

import contextlib
import dataclasses
import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest
from helpers.small_disk import small_disk

from micron_jax import npz
from micron_jax.cli import main
from micron_jax.errors import UserError
from micron_jax.finetuning import array_files
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
        ({"cls": np.array("text")}, None, "cls has shape"),
        (None, {"depth": 10**9}, "depth=1000000000 is no setting"),
        (None, {"embed_dim": 65536}, "a model of .* numbers, more than any recording's"),
        (None, {"img_size": 8 * 9000}, "more than any recording"),
        (None, {"local_size": 99_992}, "a batch of 3 .* more than any recording's"),
        (None, {"local_size": 20}, "local_size is no multiple of patch_size"),
        (None, {"lr": float("nan")}, "lr=nan is no setting"),
        (None, {"teacher_temp": "0.04"}, "teacher_temp='0.04' is no setting"),
        (None, {"num_heads": 2.0}, "num_heads=2.0 is no setting"),
        ({"features": np.zeros(3, np.float32)}, None, "a batch of 100000"),
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


def damaged(path, header=None, data=b"", name="cls.npy", **settings):
    """Writes an `.npz` with one entry, of any header."""
    with zipfile.ZipFile(path, "w", **settings) as file:
        if header is not None:
            out = io.BytesIO()
            np.lib.format.write_array_header_1_0(out, header)
            data = out.getvalue() + data
        file.writestr(name, data)


@pytest.mark.parametrize(
    ("header", "data", "reason"),
    [
        ({"descr": "<f4", "fortran_order": False, "shape": (10**12,)}, b"", "not as large as its"),
        ({"descr": "<f4", "fortran_order": False, "shape": (-1, -4)}, b"1234" * 4, "not as large"),
        ({"descr": "<f4", "fortran_order": False, "shape": (2,)}, b"1234", "not as large as its"),
        ({"descr": "<f4", "fortran_order": False, "shape": (2**62, 4)}, b"", "not as large"),
        ({"descr": "|S0", "fortran_order": False, "shape": (10**12,)}, b"", "holds"),
        ({"descr": "|O", "fortran_order": False, "shape": (1,)}, b"cos\nsystem\n", "holds object"),
        (
            {"descr": [("a", "<f4")], "fortran_order": False, "shape": (1,)},
            b"1234",
            "neither numbers nor",
        ),
        (None, b"no array at all", "not a readable"),
        (None, b"", "not a readable"),
    ],
)
def test_arrays_that_are_not_what_they_say_are_refused(header, data, reason, tmp_path):
    damaged(tmp_path / "x.npz", header, data)
    with pytest.raises(UserError, match=reason) as caught:
        npz.read(tmp_path / "x.npz")
    assert str(caught.value).isprintable()


def test_a_small_file_that_unfolds_to_gigabytes_is_refused_unread(tmp_path, monkeypatch):
    settings = {"compression": zipfile.ZIP_DEFLATED}
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**20,)}
    damaged(tmp_path / "x.npz", header, bytes(2**22), **settings)
    assert npz.read(tmp_path / "x.npz")["cls"].shape == (2**20,)
    monkeypatch.setattr(npz, "_MOST_BYTES", 2**21)
    monkeypatch.delattr(npz, "_read_array")
    with pytest.raises(UserError, match="unfolds to more than 2 MiB"):
        npz.read(tmp_path / "x.npz")


HEADERS = ("{'descr': '<f4", "{'descr': ('<f4',", "{0x: ", '"""', "(" * 9)


@pytest.mark.parametrize("text", HEADERS)
def test_a_damaged_header_that_is_no_python_is_refused(text, tmp_path):
    """NumPy takes it apart by a tokenizer, which has an error of its own."""
    data = np.lib.format.magic(1, 0) + struct.pack("<H", len(text)) + text.encode()
    damaged(tmp_path / "x.npz", None, data)
    with pytest.raises(UserError, match="not a readable"):
        npz.read(tmp_path / "x.npz")
    assert array_files.read(tmp_path / "x.npz") is None


def test_random_damage_is_refused_or_read(recording_path, tmp_path):
    sound, rng = recording_path.read_bytes(), np.random.default_rng(0)
    path, reads = tmp_path / "x.npz", 0
    for _ in range(60):
        data = bytearray(sound)
        for place in rng.integers(0, len(data), rng.integers(1, 9)):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, 2 * len(data))])
        with contextlib.suppress(UserError):
            recorded.read(path)
            reads += 1
    assert reads < 30


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


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_full_disk_is_one_line(option, checks, recording_path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(formula, "compare", lambda _: checks.values())
    with small_disk(tmp_path / "disk", "4k") as disk:
        (disk / "filler").write_bytes(bytes(4096))
        argv = ["compare", "--recording", str(recording_path), option, str(disk / "out")]
        assert main(argv) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line == f"micron-jax: {disk / 'out'}: cannot be written (No space left on device)"
        assert os.listdir(disk) == ["filler"]
