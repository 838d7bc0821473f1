import dataclasses
import os

import cv2
import numpy as np
import pytest
from helpers.films import gradient, only_clip, write_image, write_video

from micron_jax.video.clip_files import find_clips
from micron_jax.video.reader import rate_and_length, read_frames


def test_folder_frames_come_in_natural_order_and_name_the_bad_ones(tmp_path):
    for number in (1, 2, 10, 11):
        write_image(tmp_path / f"img{number}.png", np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "img2.png").write_bytes(b"damaged")
    write_image(tmp_path / "img11.png", np.zeros((8, 9, 3), np.uint8))
    clip = only_clip(tmp_path)
    assert rate_and_length(clip) == (None, 4)
    numbers, _, frames = zip(*read_frames(clip), strict=True)
    assert numbers == (0, 1, 2, 3)
    assert [frames[0][0, 0, 0], frames[2][0, 0, 0]] == [1, 10]
    assert str(frames[1]) == "img2.png: not a whole image"
    assert str(frames[3]) == "frame 3 is 9x8, the first one 8x8"


def test_a_folder_that_cannot_be_opened(tmp_path, monkeypatch):
    write_image(tmp_path / "1.png", gradient())
    clip = only_clip(tmp_path)

    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    ((_, _, frame),) = read_frames(clip)
    assert str(frame) == "cannot be opened: Permission denied"


def test_parts_of_clips(tmp_path):
    for number in range(5, 15):
        write_image(tmp_path / "f" / f"img{number}.png", np.full((8, 8, 3), number, np.uint8))
    write_video(tmp_path / "v.mp4", [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(10)])
    folder, video = find_clips(tmp_path)
    part = dataclasses.replace(folder, first=7, last=9, fps=200.0)
    assert rate_and_length(part) == (200.0, 3)
    assert [(n, int(f[0, 0, 0])) for n, _, f in read_frames(part)] == [(2, 7), (3, 8), (4, 9)]
    part = dataclasses.replace(video, first=3, last=5)
    assert rate_and_length(part) == (25.0, 3)
    numbers, _, frames = zip(*read_frames(part), strict=True)
    assert numbers == (3, 4, 5)
    assert np.abs(frames[0].mean() - 60) < 4
    ((_, _, frame),) = read_frames(dataclasses.replace(folder, first=90))
    assert str(frame) == "none of its frames is there"


def test_video_frames_come_in_order(tmp_path):
    write_video(tmp_path / "v.mp4", [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(10)])
    clip = only_clip(tmp_path)
    assert rate_and_length(clip) == (25.0, 10)
    frames = [frame for _, _, frame in read_frames(clip)]
    assert [frame.shape for frame in frames] == [(32, 48, 3)] * 10
    assert np.abs([frame.mean() - 20 * i for i, frame in enumerate(frames)]).max() < 4


def test_video_colors_are_rgb(tmp_path):
    write_video(tmp_path / "v.mp4", [np.full((32, 32, 3), (200, 100, 20), np.uint8)] * 2)
    (_, _, frame), *_ = read_frames(only_clip(tmp_path))
    assert np.abs(frame.mean((0, 1)) - (200, 100, 20)).max() < 8


def test_a_video_without_its_index_has_no_frame(tmp_path):
    write_video(tmp_path / "v.mov", [gradient()] * 20)
    data = (tmp_path / "v.mov").read_bytes()
    (tmp_path / "v.mov").write_bytes(data[: len(data) // 2])
    ((_, _, frame),) = read_frames(only_clip(tmp_path))
    assert str(frame) == "no frame can be decoded"


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_frames_of_few_bits_in_16_have_one_scale(tmp_path, bits, suffix):
    most = (1 << bits) - 1
    for number in range(1, 6):  # the first frames alone look like fewer bits
        image = np.full((8, 8, 3), most * number // 5, np.uint16)
        (tmp_path / f"{number}{suffix}").write_bytes(cv2.imencode(suffix, image)[1].tobytes())
    clip = only_clip(tmp_path)
    levels = [int(frame[0, 0, 0]) for _, _, frame in read_frames(clip)]
    assert levels == [51, 102, 153, 204, 255]
    part = dataclasses.replace(clip, first=1, last=2)
    assert [int(frame[0, 0, 0]) for _, _, frame in read_frames(part)] == [51, 102]


def test_times_in_names_are_seconds(tmp_path):
    for name in ("t_9.900", "t_10.100", "t_10.200"):
        write_image(tmp_path / f"{name}.png", gradient())
    numbers, seconds, _ = zip(*read_frames(only_clip(tmp_path)), strict=True)
    assert numbers == (0, 1, 2)
    assert seconds == pytest.approx([0, 0.2, 0.3])
    part = dataclasses.replace(only_clip(tmp_path), first=1)
    ((_, _, frame),) = read_frames(part)
    assert str(frame).startswith("the names of its files tell no frame numbers")
