import subprocess
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.films import decode_by_ffmpeg, gradient, set_display_matrix, write_video
from imageio_ffmpeg import get_ffmpeg_exe as ffmpeg

from micron_jax.errors import Notice
from micron_jax.video.film import read_film, read_header
from micron_jax.video.film_pictures import STRETCHING
from micron_jax.video.image_files import Unreadable

FRAMES = [gradient(48, 64, shift) for shift in range(0, 48, 4)]  # 12


def read(path, **part):
    """(frames uint8 [T, H, W, 3], seconds [T], reasons of losses)"""
    found = list(read_film(path, **part))
    losses = [str(frame) for *_, frame in found if isinstance(frame, Unreadable)]
    frames = [(s, frame) for _, s, frame in found if not isinstance(frame, Unreadable)]
    return np.array([f for _, f in frames]), np.array([s for s, _ in frames]), losses


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "more"),
    [
        ("h264.mp4", "libx264", "yuv420p", {}),
        ("h264_444.mkv", "libx264", "yuv444p", {}),
        ("hevc10.mp4", "libx265", "yuv420p10le", {"options": {"x265-params": "log-level=none"}}),
        ("hevc12.mkv", "libx265", "yuv422p12le", {"options": {"x265-params": "log-level=none"}}),
        ("vp9.webm", "libvpx-vp9", "yuv420p", {}),
        ("vp8.webm", "libvpx", "yuv420p", {}),
        ("av1.mp4", "libsvtav1", "yuv420p", {"options": {"preset": "12"}}),
        ("mpeg2.mpg", "mpeg2video", "yuv420p", {}),
        ("mpeg2.ts", "mpeg2video", "yuv422p", {}),
        ("prores.mov", "prores_ks", "yuv422p10le", {}),
        ("mjpeg.avi", "mjpeg", "yuvj420p", {}),
        ("mpeg4.avi", "mpeg4", "yuv420p", {}),
        ("gray.mkv", "ffv1", "gray", {}),
        ("alpha.mov", "prores_ks", "yuva444p10le", {"options": {"profile": "4444"}}),
        ("full601.mp4", "libx264", "yuv420p", {"colors": (5, 2)}),
        ("limited601.mp4", "libx264", "yuv420p", {"colors": (6, 1)}),
        ("full709.mp4", "libx264", "yuv420p", {"colors": (1, 2)}),
        ("limited709.mp4", "libx264", "yuv420p", {"colors": (1, 1)}),
        ("limited2020.mp4", "libx264", "yuv420p", {"colors": (9, 1)}),
        ("rgb.mov", "png", "rgb24", {}),
        ("order.mxf", "libx264", "yuv420p", {"options": {"bf": "3"}}),  # without a time of its own
        ("order.wmv", "libx264", "yuv420p", {"options": {"bf": "3"}}),
    ],
)
def test_frames_and_times_are_those_of_ffmpegs_own_program(tmp_path, name, codec, pixels, more):
    path = tmp_path / name
    write_video(path, FRAMES, codec=codec, pixels=pixels, **more)
    frames, seconds, losses = read(path)
    theirs = decode_by_ffmpeg(path, (48, 64))
    assert len(frames) == len(theirs) == 12
    assert np.abs(frames.astype(int) - theirs).mean() < 1
    np.testing.assert_allclose(
        seconds, np.arange(12) / 25, atol=1e-3 if path.suffix in (".webm", ".wmv") else 1e-6
    )
    assert losses == []
    assert read_header(path).fps == pytest.approx(25, rel=1e-3)
    assert read_header(path).count == 12


def test_dv(tmp_path):
    path = tmp_path / "camcorder.dv"
    write_video(path, [gradient(576, 720, n) for n in range(3)], codec="dvvideo", container="dv")
    with pytest.warns(Notice, match="interlaced"):
        frames, seconds, losses = read(path)
    width = 768  # PAL: pixels of 16:15
    theirs = decode_by_ffmpeg(path, (576, width), f"bwdif=0:-1:1,scale={width}:576")
    assert frames.shape == theirs.shape
    assert np.abs(frames.astype(int) - theirs).mean() < 1
    np.testing.assert_allclose(seconds, [0, 0.04, 0.08], atol=1e-6)
    assert losses == []


@pytest.mark.parametrize("name", ["interlaced.mp4", "interlaced.mpg"])
def test_interlaced_films_are_deinterlaced_and_it_is_said_once(tmp_path, name):
    path = tmp_path / name
    moving = [np.roll(gradient(64, 96), 6 * n, 1) for n in range(12)]
    settings = {"x264-params": "tff=1"} if name.endswith("mp4") else {"flags": "+ildct+ilme"}
    codec = "libx264" if name.endswith("mp4") else "mpeg2video"
    write_video(path, moving, codec=codec, options=settings)
    with warnings.catch_warnings(record=True) as lines:
        warnings.simplefilter("default")
        frames, _, losses = read(path)
        read(path)
    assert [str(line.message).split(";")[0] for line in lines] == [f"{name}: interlaced"]
    theirs = decode_by_ffmpeg(path, (64, 96), "bwdif=mode=send_frame:deint=interlaced")
    assert np.abs(frames.astype(int) - theirs).mean() < 1
    assert len(frames) == 12
    assert losses == []
    for first, last in ((5, 7), (9, 11)):
        part, *_ = read(path, first=first, last=last)
        np.testing.assert_array_equal(part, frames[first : last + 1])


TURNS = [(1, 0), (0, 1), (-1, 0), (0, -1)]


@pytest.mark.parametrize("matrix", [(a, b, -b * m, a * m) for a, b in TURNS for m in (1, -1)])
def test_films_are_turned_and_mirrored_as_their_header_says(tmp_path, matrix):
    path = tmp_path / "phone.mp4"
    write_video(path, FRAMES[:3])
    set_display_matrix(path, *matrix)
    frames, *_ = read(path)
    theirs = decode_by_ffmpeg(path, (48, 64) if matrix[0] else (64, 48))
    assert frames.shape == theirs.shape
    assert np.abs(frames.astype(int) - theirs).mean() < 1


@pytest.mark.parametrize(("aspect", "size"), [("4/3", (48, 85)), ("3/4", (64, 64))])
def test_pixels_become_square(tmp_path, aspect, size):
    path = tmp_path / "wide.mp4"
    write_video(path, FRAMES[:3], aspect=Fraction(aspect))
    frames, *_ = read(path)
    theirs = decode_by_ffmpeg(path, size, f"scale={size[1]}:{size[0]}:{STRETCHING}")
    assert frames.shape[1:3] == size
    assert np.abs(frames.astype(int) - theirs).mean() < 1
    header = read_header(path)
    assert (header.height, header.width) == size


def test_colors_are_those_of_the_matrix_that_the_film_names(tmp_path):
    red = {5: (81, 90, 240), 1: (63, 102, 240), 9: (74, 97, 240)}  # ITU-R BT.601, 709, 2020
    for matrix, (y, u, v) in red.items():
        planes = np.concatenate([np.full(64 * 48, y), np.full(64 * 12, u), np.full(64 * 12, v)])
        frame = av.VideoFrame.from_ndarray(planes.astype(np.uint8).reshape(72, 64), "yuv420p")
        path = tmp_path / f"{matrix}.mp4"
        write_video(path, [frame] * 2, colors=(matrix, 1))
        frames, *_ = read(path)
        np.testing.assert_allclose(frames.mean((0, 1, 2)), (255, 0, 0), atol=3)


@pytest.mark.parametrize("name", ["phone.mp4", "recorder.webm", "phone.mkv"])
def test_frames_have_their_own_times(tmp_path, name):
    seconds = np.concatenate([np.arange(6) / 30, 0.2 + np.arange(6) / 10])
    path = tmp_path / name
    codec = "libvpx" if name.endswith("webm") else "libx264"
    write_video(path, FRAMES, fps=30, seconds=seconds, codec=codec)
    _, times, losses = read(path)
    atol = 1e-6 if name.endswith("mp4") else 5.1e-4  # Matroska rounds to milliseconds
    np.testing.assert_allclose(times, seconds, atol=atol)
    assert losses == []
    _, times, _ = read(path, fps=200)
    np.testing.assert_allclose(times, np.arange(12) / 200, atol=1e-9)


def test_a_clock_that_stands_at_hours_begins_at_zero(tmp_path):
    path = tmp_path / "broadcast.ts"
    write_video(path, FRAMES, seconds=20 * 3600 + np.arange(12) / 25)
    _, seconds, losses = read(path)
    np.testing.assert_allclose(seconds, np.arange(12) / 25, atol=1e-6)
    assert losses == []


def test_recordings_that_are_joined_go_on(tmp_path):
    write_video(tmp_path / "one.ts", FRAMES, seconds=50 + np.arange(12) / 25)
    write_video(tmp_path / "two.ts", FRAMES, seconds=np.arange(12) / 25)
    path = tmp_path / "joined.ts"
    path.write_bytes((tmp_path / "one.ts").read_bytes() + (tmp_path / "two.ts").read_bytes())
    frames, seconds, losses = read(path)
    assert len(frames) == 24
    assert losses == []
    np.testing.assert_allclose(np.diff(seconds), 0.04, atol=1e-3)


def test_the_rate_of_a_browsers_recording_is_that_of_its_frames(tmp_path):
    path = tmp_path / "recorder.webm"
    live = tmp_path / "live.webm"  # without a duration or a default duration
    write_video(path, FRAMES, fps=1000, seconds=np.arange(12) / 30, codec="libvpx")
    command = [ffmpeg(), "-v", "error", "-i", path, "-c", "copy", "-live", "1", "-f", "webm", live]
    subprocess.run(command, check=True)
    header = read_header(live)
    assert header.fps == pytest.approx(30, rel=0.03)
    assert header.count == 12


@pytest.mark.parametrize("seconds", [[0, 0.04, 2], [0, 1, 1.04], [0, 0.04, 1, 1.04, 9]])
def test_a_few_frames_at_odd_times(tmp_path, seconds):
    write_video(tmp_path / "odd.webm", FRAMES[: len(seconds)], seconds=seconds, codec="libvpx")
    _, times, losses = read(tmp_path / "odd.webm")
    np.testing.assert_allclose(times, seconds, atol=1e-3)
    assert losses == []


def test_frames_that_a_film_says_to_repeat_are_no_loss(tmp_path):
    """Theora has an empty packet where nothing changes."""
    path, numbers = tmp_path / "a.ogv", [0, 1, 2, 3, 4, 5, 6, 6, 6, 7, 8, 9, 10, 11]
    command = [ffmpeg(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48"]
    command += ["-r", "25", "-i", "-", "-c:v", "libtheora", "-q:v", "10", path]
    subprocess.run(command, check=True, input=b"".join(FRAMES[n].tobytes() for n in numbers))
    frames, seconds, losses = read(path)
    assert losses == []
    assert len(frames) == len(decode_by_ffmpeg(path, (48, 64))) < len(numbers)
    assert seconds[-1] == pytest.approx((len(numbers) - 1) / 25)


def test_two_frames_in_one_packet(tmp_path):
    """MPEG-4 in AVI, as XviD packs it: a placeholder follows where the second is shown."""
    path = tmp_path / "packed.avi"
    command = [ffmpeg(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48"]
    command += ["-r", "25", "-i", "-", "-c:v", "libxvid", "-bf", "2", "-q:v", "2", path]
    pictures = b"".join((gradient(48, 64) // 4 + n).tobytes() for n in range(40))
    subprocess.run(command, check=True, input=pictures)
    with av.open(str(path)) as container:
        assert min(packet.size for packet in container.demux(video=0) if packet.size) < 10
    frames, seconds, losses = read(path)
    assert losses == []
    assert len(frames) == len(decode_by_ffmpeg(path, (48, 64)))
    np.testing.assert_allclose(np.diff(seconds)[1:], 0.04, atol=1e-6)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_frames_that_a_film_leaves_out_are_no_loss(tmp_path, name):
    left = [n for n in range(90) if n % 17 != 5]
    pictures = [gradient(48, 64, 2 * n) for n in left]
    write_video(tmp_path / name, pictures, seconds=np.array(left) / 25)
    frames, seconds, losses = read(tmp_path / name)
    assert losses == []
    assert len(frames) == len(left)
    np.testing.assert_allclose(seconds, np.array(left) / 25, atol=1e-3)


def test_slow_motion_has_the_times_of_the_recording(tmp_path):
    path = tmp_path / "slow.mp4"
    write_video(path, FRAMES, fps=30, metadata={"com.android.capture.fps": "240.000000"})
    with pytest.warns(Notice, match="slow.mp4: the phone notes 240 frames/s .* stored at 30"):
        _, seconds, _ = read(path)
    np.testing.assert_allclose(seconds, np.arange(12) / 240, atol=1e-6)
    assert read_header(path).fps == 240
    write_video(path, FRAMES, fps=30, metadata={"com.android.capture.fps": "30.000000"})
    _, seconds, _ = read(path)
    np.testing.assert_allclose(seconds, np.arange(12) / 30, atol=1e-6)


def damaged(path, number, change):
    """Changes the bytes of a packet in place; `change` maps bytes to bytes."""
    with av.open(path.open("rb")) as film:
        packets = [packet for packet in film.demux(video=0) if packet.size]
        place, size = packets[number].pos, packets[number].size
        pts = sorted(packet.pts for packet in packets).index(packets[number].pts)
    data = bytearray(path.read_bytes())
    data[place : place + size] = change(bytes(data[place : place + size]))
    path.write_bytes(data)
    return pts


def test_a_hole_costs_the_frames_it_holds(tmp_path):
    path = tmp_path / "hole.mp4"
    write_video(path, FRAMES, options={"g": "4"})
    whole, *_ = read(path)
    lost = damaged(path, 5, lambda data: bytes(len(data)))
    with pytest.warns(Notice, match="damaged: frames 5 to 7 may show it"):
        frames, seconds, losses = read(path)
    assert losses == [f"frame {lost} cannot be decoded"]
    rest = [n for n in range(12) if n != lost]
    np.testing.assert_allclose(seconds, np.array(rest) / 25, atol=1e-6)
    np.testing.assert_array_equal(
        frames[[0, 1, 2, 3, 4, 7, 8, 9, 10]], whole[[*rest[:5], *rest[7:]]]
    )


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.avi", "mjpeg", "yuvj420p"),
        ("b.mov", "prores_ks", "yuv422p10le"),
        ("c.mov", "png", "rgb24"),
    ],
)
def test_damage_of_frames_that_stand_alone_costs_one(tmp_path, name, codec, pixels):
    path = tmp_path / name
    write_video(path, FRAMES, codec=codec, pixels=pixels)
    whole, *_ = read(path)
    damaged(path, 5, lambda data: data[: len(data) // 3] + bytes(len(data) - len(data) // 3))
    frames, _, losses = read(path)
    assert len(losses) == 1
    np.testing.assert_array_equal(frames, np.delete(whole, 5, 0))


def test_a_film_that_breaks_off_tells_each_frame_that_is_missing(tmp_path):
    path = tmp_path / "half.mp4"
    rng = np.random.default_rng(0)
    write_video(path, list(rng.integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    numbers, _, frames = zip(*read_film(path), strict=True)
    assert numbers == (*range(20),)
    lost = [str(frame) for frame in frames if isinstance(frame, Unreadable)]
    assert 8 <= len(lost) <= 12
    assert lost[-1] == f"breaks off after {lost[-1].split()[3]} of 20 frames"


def test_a_trimmed_film_lacks_nothing(tmp_path):
    whole, path = tmp_path / "whole.mp4", tmp_path / "trimmed.mp4"
    write_video(whole, FRAMES, options={"g": "12"})
    command = [ffmpeg(), "-v", "error", "-ss", "0.2", "-i", whole, "-c", "copy", path]
    subprocess.run(command, check=True)
    frames, seconds, losses = read(path)
    theirs = decode_by_ffmpeg(path, (48, 64))
    assert len(frames) == len(theirs) == 7
    assert np.abs(frames.astype(int) - theirs).mean() < 1
    np.testing.assert_allclose(seconds, np.arange(7) / 25, atol=1e-6)
    assert losses == []
    assert read_header(path).count == 7


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("closed.mp4", {"g": "8", "bf": "3"}),
        ("open.mp4", {"g": "8", "x264-params": "open-gop=1:bframes=3"}),
        ("refresh.mp4", {"g": "8", "x264-params": "intra-refresh=1"}),
        ("late.ts", {"g": "8"}),
        ("stills.avi", None),
        ("stills.mov", None),
    ],
)
def test_a_part_is_the_same_as_in_the_whole(tmp_path, name, options):
    path = tmp_path / name
    kind = {"options": options} if options else {"codec": "mjpeg", "pixels": "yuvj420p"}
    write_video(path, [np.roll(gradient(48, 64), n, 1) for n in range(60)], **kind)
    whole = list(read_film(path))
    for first, last in ((0, 2), (30, 30), (41, 47), (57, 59)):
        part = list(read_film(path, first=first, last=last))
        assert [item[:2] for item in part] == [item[:2] for item in whole[first : last + 1]]
        for (*_, frame), (*_, expected) in zip(part, whole[first : last + 1], strict=True):
            np.testing.assert_array_equal(frame, expected)
    ((number, _, reason),) = read_film(path, first=70, last=80)
    assert (number, str(reason)) == (0, "breaks off after 0 of 11 frames")


@pytest.mark.parametrize("name", ["cut.mkv", "cut.avi", "cut.webm"])
def test_what_a_cut_film_lacks_is_told_and_nothing_else(tmp_path, name):
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    pictures = [np.roll(noise, n, 1) for n in range(90)]
    codec = {"webm": "libvpx", "avi": "mpeg4", "mkv": "libx264"}[name[-4:].strip(".")]
    write_video(path, pictures, codec=codec, options={"g": "10"})
    assert read(path)[2] == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    frames, _, losses = read(path)
    assert 0 < len(frames) < 60
    assert len(frames) + len(losses) == pytest.approx(90, abs=2)
    assert losses[-1].startswith("breaks off after")


def test_a_slow_end_is_no_loss(tmp_path):
    path = tmp_path / "slow.mkv"
    seconds = np.r_[np.arange(520) / 30, 520 / 30 + np.arange(20) / 2]
    write_video(path, [gradient(16, 16)] * 540, fps=30, seconds=seconds)
    frames, _, losses = read(path)
    assert len(frames) == 540
    assert losses == []


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_tells_the_order_of_decoding_only(tmp_path, codec):
    path = tmp_path / "b_frames.avi"
    options = {"preset": "medium"} if codec == "libx264" else {"bf": "2"}
    write_video(
        path, [np.roll(gradient(48, 64), 2 * n, 1) for n in range(40)], codec=codec, options=options
    )
    frames, seconds, losses = read(path)
    theirs = decode_by_ffmpeg(path, (48, 64))
    assert np.abs(frames.astype(int) - theirs).mean() < 1
    np.testing.assert_allclose(seconds, np.arange(40) / 25, atol=1e-6)
    assert losses == []
    damaged(path, 20, lambda data: bytes(len(data)))
    frames, _, losses = read(path)
    assert (len(frames), len(losses)) == (39, 1)


@pytest.mark.parametrize(
    "name", ["hole.ts", "hole.mpg", "hole.flv", "hole.mkv", "hole.avi", "hole.wmv"]
)
def test_frames_that_a_hole_takes_away_are_told_in_any_container(tmp_path, name):
    path = tmp_path / name
    codec = {"ts": "libx264", "mpg": "mpeg2video", "flv": "flv", "wmv": "wmv2"}.get(
        name[5:], "mjpeg"
    )
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    write_video(path, [np.roll(noise, n, 1) for n in range(60)], codec=codec, pixels=pixels)
    assert read(path)[2] == []
    data = bytearray(path.read_bytes())
    begin, size = len(data) // 2, len(data) // 12
    data[begin : begin + size] = bytes(size)
    path.write_bytes(data)
    numbers, seconds, frames = zip(*read_film(path), strict=True)
    assert numbers == (*range(60),)
    assert any(isinstance(frame, Unreadable) for frame in frames)
    times = [second for second in seconds if second is not None]
    np.testing.assert_allclose(times, np.arange(len(times)) / 25, atol=2e-3)
