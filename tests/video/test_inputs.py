import os

import pytest
from helpers import drawn

from micron_jax.video.file_notes import FileNotes
from micron_jax.video.inputs import find_inputs


def test_photographs_in_folders_are_single_clips(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        drawn.write(tmp_path / name, 1)
    assert [clip.count for clip in find_inputs([tmp_path])] == [2, 1]
    stills = find_inputs([tmp_path], stills=True)
    assert [clip.name for clip in stills] == [
        str(tmp_path / name) for name in ("a/1.png", "a/2.png", "b/1.png")
    ]


def test_notes_of_several_folders_name_the_folder(tmp_path):
    notes = FileNotes()
    for name in ("a", "b"):
        drawn.write(tmp_path / name / "1.png", 1)
        (tmp_path / name / "x.heic").write_bytes(b"x")
    find_inputs([tmp_path / "a", tmp_path / "b", tmp_path / "a" / "1.png"], notes=notes)
    (entry,) = notes.entries()
    assert entry["examples"] == [str(tmp_path / name / "x.heic") for name in "ab"]


def test_names_that_are_no_utf8_can_be_stored(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xc4"
    os.mkdir(folder)
    with open(folder + b"/1.png", "wb") as file:
        file.write(b"no image")
    (clip,) = find_inputs([os.fsdecode(folder)])
    (still,) = find_inputs([os.fsdecode(folder + b"/1.png")])
    assert (clip.name, still.name) == (f"{tmp_path}/\\xc4", f"{tmp_path}/\\xc4/1.png")
    assert [str(frame) for frame in clip.frames()] == ["1.png: not a whole image"]


def test_times_in_names_are_those_of_the_clip(tmp_path):
    for name in ("9.900", "10.100", "10.300"):
        drawn.write(tmp_path / f"{name}.png", 1)
    (clip,) = find_inputs([tmp_path])
    assert clip.fps == pytest.approx(5)
    assert [seconds for _, seconds, _ in clip.read()] == pytest.approx([0, 0.2, 0.4])
    (clip,) = find_inputs([tmp_path], fps=100)
    assert [seconds for _, seconds, _ in clip.read()] == pytest.approx([0, 0.01, 0.02])


def test_numbers_that_vary_give_the_times(tmp_path):
    for number in (9, 10, 12):
        drawn.write(tmp_path / f"frame{number}_224.png", 1)
    (clip,) = find_inputs([tmp_path], fps=10)
    numbers, seconds, _ = zip(*clip.read(), strict=True)
    assert (numbers, clip.stride) == ((9, 10, 12), 1)
    assert seconds == pytest.approx([0, 0.1, 0.3])
