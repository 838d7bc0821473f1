"""Everything that lies in a searched folder is read, or told with its reason."""

import os

import cv2
import numpy as np
import pytest
from helpers.films import gradient, only_clip, write_image, write_video

from micron_jax.errors import UserError
from micron_jax.video import folder_walk
from micron_jax.video.clip_files import find_clips
from micron_jax.video.file_notes import MOST, OTHER, FileNotes
from micron_jax.video.reader import read_frames

PACKET = b"\x47" + bytes(187)  # of a transport stream


def search(root, **options):
    notes = FileNotes()
    names = [clip.name for clip in find_clips(root, notes, **options)]
    return names, {
        entry["reason"]: (entry["files"], entry["examples"]) for entry in notes.entries()
    }


@pytest.fixture
def root(tmp_path):
    write_image(tmp_path / "in" / "clip" / "1.png", gradient())
    write_image(tmp_path / "in" / "clip" / "2.PNG", gradient())
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("IMG_1.HEIC", ".heic: HEIC pictures are not read: convert to JPEG or PNG"),
        ("DSC_1.NEF", ".nef: raw photographs: convert to JPEG or PNG"),
        ("face.pgm", ".pgm: pictures of this kind are not read: convert to JPEG or PNG"),
        ("all.zip", ".zip: archives: unpack"),
        ("a.mp4.part", ".part: unfinished downloads: finish or remove"),
        ("raw.h264", ".h264: streams without times: put them into MP4"),
        ("face.npy", ".npy: arrays, no pictures"),
        ("face.xyz", ".xyz: no kind of film or image that we know"),
        ("face", "no suffix in the name"),
        (".face.jpg", "hidden files"),
        ("index.ts", ".ts: not an MPEG transport stream"),
        ("theme.mod", ".mod: not a camcorder's or a DVD's film"),
    ],
)
def test_files_that_are_not_read_have_their_reason(root, name, reason):
    (root / name).write_bytes(b"no picture at all")
    names, notes = search(root)
    assert names == ["clip"]
    ((told, counted),) = notes.items()
    assert told.startswith(reason)
    assert counted == (1, [name])


def test_many_files_are_counted_and_a_few_named(root):
    for number in range(9):
        (root / f"{number}.heic").write_bytes(b"x")
    for name in ("notes.txt", "labels.csv", "Thumbs.db", "desktop.ini", ".DS_Store", "._1.png"):
        (root / name).write_bytes(b"x")
    notes = FileNotes()
    find_clips(root, notes)
    heic, others = notes.lines()
    assert heic.endswith("PNG: 9 (0.heic, 1.heic, 2.heic, and 6 more)")
    assert others.startswith("neither films nor images (")
    assert others.endswith("): 6")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("00001.MTS", b"".join(bytes(4) + PACKET for _ in range(3))),
        ("00001.m2ts", b"".join(bytes(4) + PACKET for _ in range(3))),
        ("a.ts", 3 * PACKET),
        ("VTS_01_1.VOB", b"\x00\x00\x01\xba" + bytes(90)),
        ("MOV001.MOD", b"\x00\x00\x01\xba" + bytes(90)),
        ("tape.dv", b"\x1f\x07\x00" + bytes(90)),
        ("phone.3gp", b"anything"),
        ("a.ogv", b"anything"),
        ("a.mxf", b"anything"),
        ("a.ASF", b"anything"),
    ],
)
def test_films_of_many_kinds(root, name, head):
    (root / name).write_bytes(head)
    assert search(root) == (sorted([name, "clip"]), {})


@pytest.mark.parametrize(
    ("suffix", "container", "codec"),
    [
        (".3gp", "3gp", "mpeg4"),
        (".MTS", "mpegts", "libx264"),
        (".TOD", "mpegts", "mpeg2video"),
        (".VOB", "vob", "mpeg2video"),
        (".asf", "asf", "mpeg4"),
        (".mxf", "mxf", "mpeg2video"),
        (".ogv", "ogg", "libvpx"),
        (".qt", "mov", "mpeg4"),
        (".y4m", "yuv4mpegpipe", "wrapped_avframe"),
    ],
)
def test_films_of_many_kinds_are_read(tmp_path, suffix, container, codec):
    frames = [np.full((144, 176, 3), 20 * n, np.uint8) for n in range(8)]
    write_video(tmp_path / f"a{suffix}", frames, codec=codec, container=container)
    films = list(read_frames(only_clip(tmp_path)))
    np.testing.assert_allclose([seconds for _, seconds, _ in films], np.arange(8) / 25, atol=1e-6)
    np.testing.assert_allclose([frame.mean() for *_, frame in films], np.arange(8) * 20, atol=4)


def test_linked_folders_are_searched_once(root, tmp_path):
    write_image(tmp_path / "other" / "deep" / "1.png", gradient())
    (tmp_path / "other" / "up").symlink_to(tmp_path)
    (root / "a_link").symlink_to(tmp_path / "other")
    (root / "b_link").symlink_to(tmp_path / "other" / "deep")
    (root / "itself").symlink_to(root)
    (root / "again").symlink_to(root / "clip")
    names, notes = search(root)
    assert names == ["a_link/deep", "clip"]
    links = ["again", "b_link", "itself"]
    assert notes == {"links to folders that are searched anyway": (4, links)}


def test_links_and_files_that_lead_nowhere(root):
    (root / "gone.mp4").symlink_to(root / "nothing.mp4")
    (root / "round.mp4").symlink_to(root / "round.mp4")
    os.mkfifo(root / "pipe.mp4")
    os.mkfifo(root / "clip" / "3.png")
    names, notes = search(root)
    assert len(list(read_frames(only_clip(root)))) == 2
    assert names == ["clip"]
    assert notes["broken links"] == (1, ["gone.mp4"])
    assert notes["no files, but pipes, sockets or devices"] == (2, ["pipe.mp4", "clip/3.png"])
    assert [reason for reason, (_, names) in notes.items() if names == ["round.mp4"]]


def test_a_linked_film_is_a_film(root, tmp_path):
    (tmp_path / "far.mp4").write_bytes(b"x")
    (root / "near.mp4").symlink_to(tmp_path / "far.mp4")
    assert search(root) == (["clip", "near.mp4"], {})


def test_hidden_folders_and_those_of_systems_are_noted(root):
    for name in (".cache", "@eaDir", "__MACOSX"):
        write_image(root / name / "1.png", gradient())
    assert search(root) == (["clip"], {"hidden folders": (3, [".cache", "@eaDir", "__MACOSX"])})


def test_a_folder_that_cannot_be_opened(root, monkeypatch):
    (root / "locked").mkdir()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(folder_walk.os, "scandir", refuse)
    names, notes = search(root)
    assert names == ["clip"]
    assert notes == {"folders that cannot be opened: Permission denied": (1, ["locked"])}


def test_frames_that_are_left_out_are_noted(root):
    for name in ("1 (1).png", "thumb.png"):
        write_image(root / "clip" / name, gradient())
    for name in ("apex.png", "onset.png"):
        write_image(root / "words" / name, gradient())
    write_image(root / "two" / "color_1.png", gradient())
    write_image(root / "two" / "ir_1.png", gradient())
    names, notes = search(root)
    assert names == ["clip", "two", "words"]
    assert notes == {
        "left out as a copy": (1, ["clip/1 (1).png"]),
        "left out as no number in its name, unlike the frames beside it": (1, ["clip/thumb.png"]),
        "no numbers in the names: in alphabetic order": (1, ["words/apex.png"]),
    }
    assert search(root, ordered=False)[1] == {}


def test_a_name_that_is_no_utf8(root):
    path = os.fsencode(root) + b"/\xc4\xd0.heic"
    with open(path, "wb") as file:
        file.write(b"x")
    (reason,) = search(root)[1].values()
    assert reason == (1, ["\\xc4\\xd0.heic"])


def test_a_folder_of_nothing_that_is_read_says_why(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.heic").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no video and no image .*; not read: .heic: HEIC .*: 2"):
        find_clips(tmp_path)


def test_the_contact_sheet_of_crops_is_no_frame(tmp_path):
    for name in ("crops.json", "contact_sheet.png", "1.png"):
        (tmp_path / name).write_bytes(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes())
    (clip,) = find_clips(tmp_path)
    assert clip.files == 1


def test_reasons_are_bounded(tmp_path):
    write_image(tmp_path / "1.png", gradient())
    for number in range(MOST + 30):
        (tmp_path / f"scan.x{number}").write_bytes(b"x")
    notes = search(tmp_path)[1]
    assert len(notes) == MOST + 1
    assert notes[OTHER][0] == 30
