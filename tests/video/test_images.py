import dataclasses
import struct

import cv2
import numpy as np
import pytest

from micron_jax.errors import UserError
from micron_jax.video import images


def gradient(height=48, width=64, shift=0):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 + shift, y * 4, (x + y) * 2], -1).astype(np.uint8)


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())


def write_video(path, frames, fps=25.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = frames[0].shape
    plain = path.with_name("plain.mp4")  # OpenCV's writer chooses the format by a lower-case name
    writer = cv2.VideoWriter(str(plain), cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    plain.rename(path)


def only_clip(folder):
    (clip,) = images.find_clips(folder)
    return clip


def test_jpeg_keeps_colors_and_their_order():
    image = gradient()
    back = images.decode_jpeg(images.encode_jpeg(image))
    assert back.dtype == np.uint8
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 2
    assert len(images.encode_jpeg(image, 30)) < len(images.encode_jpeg(image, 95))


@pytest.mark.parametrize("kind", ["gray", "16-bit", "alpha"])
def test_every_kind_of_image_becomes_rgb(kind):
    gray = gradient()[..., 0]
    stored = {
        "gray": gray,
        "16-bit": gray.astype(np.uint16) * 256,
        "alpha": np.dstack([gray, gray, gray, np.full_like(gray, 100)]),
    }[kind]
    image = images.decode_jpeg(cv2.imencode(".png", stored)[1].tobytes())
    np.testing.assert_array_equal(image, np.dstack([gray] * 3))


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: b"text", lambda d: d[: len(d) // 2]])
def test_damaged_images_are_refused(damage):
    with pytest.raises(images.Unreadable, match="not a whole image"):
        images.decode_jpeg(damage(images.encode_jpeg(gradient())))


def test_frames_are_counted_by_the_last_integer():
    assert images.number_in("reg_img46.jpg") == 46
    assert images.number_in("006_1_2_05561.jpg") == 5561
    assert images.number_in("still.jpg") == -1


def test_find_clips(tmp_path):
    write_image(tmp_path / "a" / "é ü" / "img1.jpg", gradient())
    write_image(tmp_path / "a" / "é ü" / "img2.JPG", gradient())
    write_image(tmp_path / "a" / "b" / "c" / "1.png", gradient())
    write_image(tmp_path / "0.bmp", gradient())
    write_video(tmp_path / "a" / "日本.MP4", [gradient()] * 3)
    write_image(tmp_path / ".hidden" / "1.png", gradient())
    (tmp_path / "a" / "._1.jpg").write_bytes(b"resource fork")
    (tmp_path / "notes.txt").write_text("no clip")
    clips = images.find_clips(tmp_path)
    assert [clip.name for clip in clips] == [".", "a/b/c", "a/é ü", "a/日本.MP4"]
    assert [clip.files for clip in clips] == [1, 1, 2, 1]
    assert clips[3].bytes == (tmp_path / "a" / "日本.MP4").stat().st_size


def test_find_clips_says_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match=r"gone does not exist"):
        images.find_clips(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file is not a folder"):
        images.find_clips(tmp_path / "file")
    with pytest.raises(UserError, match=r"no video and no image.*\.mp4"):
        images.find_clips(tmp_path)


def test_folder_frames_come_in_natural_order_and_name_the_bad_ones(tmp_path):
    for number in (1, 2, 10, 11):
        write_image(tmp_path / f"img{number}.png", np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "img2.png").write_bytes(b"damaged")
    write_image(tmp_path / "img11.png", np.zeros((8, 9, 3), np.uint8))
    clip = only_clip(tmp_path)
    assert images.clip_facts(clip) == (None, 4)
    numbers, frames = zip(*images.read_frames(clip), strict=True)
    assert numbers == (0, 1, 2, 3)
    assert [frames[0][0, 0, 0], frames[2][0, 0, 0]] == [1, 10]
    assert str(frames[1]) == "img2.png: not a whole image"
    assert str(frames[3]) == "frame 3 is 9x8, the first one 8x8"


def test_a_folder_that_cannot_be_opened(tmp_path, monkeypatch):
    write_image(tmp_path / "1.png", gradient())
    clip = only_clip(tmp_path)

    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(images.os, "listdir", refuse)
    ((_, frame),) = images.read_frames(clip)
    assert str(frame) == "cannot be opened: Permission denied"


def test_parts_of_clips(tmp_path):
    for number in range(5, 15):
        write_image(tmp_path / "f" / f"img{number}.png", np.full((8, 8, 3), number, np.uint8))
    write_video(tmp_path / "v.mp4", [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(10)])
    folder, video = images.find_clips(tmp_path)
    part = dataclasses.replace(folder, first=7, last=9, fps=200.0)
    assert images.clip_facts(part) == (200.0, 3)
    assert [(n, int(f[0, 0, 0])) for n, f in images.read_frames(part)] == [(2, 7), (3, 8), (4, 9)]
    part = dataclasses.replace(video, first=3, last=5)
    assert images.clip_facts(part) == (25.0, 3)
    numbers, frames = zip(*images.read_frames(part), strict=True)
    assert numbers == (3, 4, 5)
    assert np.abs(frames[0].mean() - 60) < 4
    ((_, frame),) = images.read_frames(dataclasses.replace(folder, first=90))
    assert str(frame) == "none of its frames is there"


def test_video_frames_come_in_order(tmp_path):
    write_video(tmp_path / "v.mp4", [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(10)])
    clip = only_clip(tmp_path)
    assert images.clip_facts(clip) == (25.0, 10)
    frames = [frame for _, frame in images.read_frames(clip)]
    assert [frame.shape for frame in frames] == [(32, 48, 3)] * 10
    assert np.abs([frame.mean() - 20 * i for i, frame in enumerate(frames)]).max() < 4


def test_video_colors_are_rgb(tmp_path):
    write_video(tmp_path / "v.mp4", [np.full((32, 32, 3), (200, 100, 20), np.uint8)] * 2)
    (_, frame), *_ = images.read_frames(only_clip(tmp_path))
    assert np.abs(frame.mean((0, 1)) - (200, 100, 20)).max() < 8


def test_video_rotation_is_honoured(tmp_path):
    write_video(tmp_path / "v.mp4", [gradient(32, 64)] * 3)
    data = bytearray((tmp_path / "v.mp4").read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # of the track header; the rest is what a phone writes
    quarter_turn = (0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    data[matrix : matrix + 36] = struct.pack(">9i", *quarter_turn)
    (tmp_path / "v.mp4").write_bytes(data)
    (_, frame), *_ = images.read_frames(only_clip(tmp_path))
    assert frame.shape == (64, 32, 3)


def test_damaged_videos(tmp_path):
    rng = np.random.default_rng(0)
    write_video(tmp_path / "v.mp4", list(rng.integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)))
    data = (tmp_path / "v.mp4").read_bytes()
    (tmp_path / "v.mp4").write_bytes(data[: len(data) // 2])
    ((_, frame),) = images.read_frames(only_clip(tmp_path))
    assert str(frame) == "no frame can be decoded"


def test_a_video_that_breaks_off_is_noticed(tmp_path, monkeypatch):
    write_video(tmp_path / "v.mp4", [gradient()] * 5)
    monkeypatch.setattr(images, "clip_facts", lambda clip: (25.0, 50))
    *good, (number, last) = images.read_frames(only_clip(tmp_path))
    assert len(good) == number == 5
    assert str(last) == "breaks off after 5 of 50 frames"
