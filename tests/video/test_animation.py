"""Image files that hold several pictures are clips, with their own times."""

import io

import cv2
import numpy as np
import pytest
from helpers.films import gradient, write_image
from PIL import Image

from micron_jax.errors import UserError
from micron_jax.video.clip_files import find_clips
from micron_jax.video.image_files import Unreadable, decode_jpeg
from micron_jax.video.inputs import find_inputs
from micron_jax.video.reader import rate_and_length, read_frames

DURATIONS = [50, 100, 40, 40, 200, 30]  # of the pictures, milliseconds
SECONDS = [0, 0.05, 0.15, 0.19, 0.23, 0.43]
LEVELS = [20, 50, 80, 110, 140, 170]
KINDS = {
    ".gif": dict(duration=DURATIONS),
    ".webp": dict(duration=DURATIONS, lossless=True),
    ".png": dict(duration=DURATIONS),
    ".apng": dict(duration=DURATIONS, format="PNG"),
    ".avif": dict(duration=DURATIONS),
    ".tif": {},
    ".TIFF": dict(format="TIFF"),
}


def flat(level):
    return Image.fromarray(np.full((20, 30, 3), (level, 255 - level, 99), np.uint8))


def write(path, levels=LEVELS):
    first, *others = map(flat, levels)
    settings = dict(KINDS[path.suffix])
    if not others:
        settings.pop("duration", None)
    first.save(path, save_all=bool(others), append_images=others, **settings)


@pytest.mark.parametrize("suffix", KINDS)
def test_pictures_of_one_file_are_a_clip(tmp_path, suffix):
    write(tmp_path / f"a{suffix}")
    write_image(tmp_path / "frames" / "1.png", gradient())
    clip, folder = find_clips(tmp_path)
    assert (clip.name, folder.name) == (f"a{suffix}", "frames")
    timed = suffix.lower() not in (".tif", ".tiff")
    assert rate_and_length(clip) == (pytest.approx(5 / 0.43) if timed else None, 6)
    numbers, seconds, frames = zip(*read_frames(clip), strict=True)
    assert numbers == (0, 1, 2, 3, 4, 5)
    assert list(seconds) == (pytest.approx(SECONDS) if timed else [None] * 6)
    assert (
        np.abs([frame.mean((0, 1))[0] - n for frame, n in zip(frames, LEVELS, strict=True)]).max()
        < 3
    )
    (direct,) = find_inputs([tmp_path / f"a{suffix}"])
    assert direct.count == 6
    with pytest.raises(Unreadable, match="holds 6 pictures, not one"):
        decode_jpeg((tmp_path / f"a{suffix}").read_bytes())


@pytest.mark.parametrize("suffix", KINDS)
def test_one_picture_is_an_image(tmp_path, suffix):
    for number, level in enumerate(LEVELS, 1):
        write(tmp_path / f"img{number}{suffix}", [level])
    (clip,) = find_clips(tmp_path)
    assert (clip.name, clip.files) == (".", 6)
    levels = [frame.mean((0, 1))[0] for _, _, frame in read_frames(clip)]
    np.testing.assert_allclose(levels, LEVELS, atol=3)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tif"])
def test_a_file_that_breaks_off_keeps_what_comes_before(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    rng = np.random.default_rng(0)
    first, *others = (Image.fromarray(rng.integers(0, 256, (40, 60), np.uint8)) for _ in range(6))
    first.save(path, save_all=True, append_images=others)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    (clip,) = find_clips(tmp_path)
    *frames, (_, _, last) = read_frames(clip)
    assert 2 <= len(frames) <= 4
    assert all(isinstance(frame, np.ndarray) for _, _, frame in frames)
    assert str(last).startswith(f"breaks off after {len(frames)} p")


def test_pages_of_10_bits_have_one_scale(tmp_path):
    pages = [np.full((8, 8, 3), 100 * n, np.uint16) for n in range(11)]
    (tmp_path / "stack.tif").write_bytes(cv2.imencodemulti(".tiff", pages)[1].tobytes())
    (clip,) = find_clips(tmp_path)
    levels = [int(frame[4, 4, 0]) for _, _, frame in read_frames(clip)]
    assert levels == [round(100 * n / 1023 * 255) for n in range(11)]


def test_a_small_copy_beside_a_page_is_no_frame(tmp_path):
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    small = ImageFileDirectory_v2()
    small[254] = 1  # a reduced copy of the page before
    copy = flat(20).resize((15, 10))
    copy.encoderinfo = {"tiffinfo": small}
    flat(20).save(tmp_path / "1.tif", save_all=True, append_images=[copy])
    (clip,) = find_clips(tmp_path)
    assert (clip.name, clip.files) == (".", 1)
    ((_, _, frame),) = read_frames(clip)
    assert frame.shape == (20, 30, 3)


def test_floating_point_pages_are_told(tmp_path):
    pages = [np.full((8, 8), n / 3, np.float32) for n in range(3)]
    (tmp_path / "stack.tif").write_bytes(cv2.imencodemulti(".tiff", pages)[1].tobytes())
    (clip,) = find_clips(tmp_path)
    reasons = [str(frame) for _, _, frame in read_frames(clip)]
    assert reasons[0] == "page that is damaged, or has samples of other than 8 or 16 bits"


def test_a_file_that_is_no_film(tmp_path):
    (tmp_path / "index.ts").write_text("const x = 1")
    with pytest.raises(UserError, match=r"index.ts: .ts: not an MPEG transport stream"):
        find_inputs([tmp_path / "index.ts"])


def test_the_picture_for_programs_that_do_not_animate_is_no_frame(tmp_path):
    first, *others = map(flat, LEVELS)
    first.save(
        tmp_path / "a.png", save_all=True, append_images=others, duration=40, default_image=True
    )
    (clip,) = find_clips(tmp_path)
    assert rate_and_length(clip) == (25.0, 5)
    numbers, seconds, frames = zip(*read_frames(clip), strict=True)
    assert (numbers, seconds) == ((0, 1, 2, 3, 4), (0, 0.04, 0.08, 0.12, 0.16))
    assert [frame[0, 0, 0] for frame in frames] == LEVELS[1:]


def test_a_damaged_page_costs_itself_alone(tmp_path):
    rng = np.random.default_rng(0)
    pages = [rng.integers(0, 8, (64, 64), np.uint8) * 30 for _ in range(5)]
    data = bytearray(cv2.imencodemulti(".tiff", pages, [cv2.IMWRITE_TIFF_COMPRESSION, 8])[1])
    with Image.open(io.BytesIO(data)) as image:
        image.seek(2)
        strip = image.tag_v2[273][0]  # where its pixels begin
    data[strip : strip + 100] = bytes(100)
    (tmp_path / "a.tif").write_bytes(data)
    (clip,) = find_clips(tmp_path)
    frames = [frame for _, _, frame in read_frames(clip)]
    damaged = [isinstance(frame, Unreadable) for frame in frames]
    assert damaged == [False, False, True, False, False]
    np.testing.assert_array_equal(frames[3][..., 0], pages[3])
    assert str(frames[2]).startswith("page that is damaged")
