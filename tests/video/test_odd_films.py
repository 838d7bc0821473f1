"""Films that are no films, or hostile, or of several streams; files that name other files."""

import gc
import os
import resource
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.films import gradient, write_image, write_video
from imageio_ffmpeg import get_ffmpeg_exe as ffmpeg

from micron_jax.video.film import Header, read_film, read_header
from micron_jax.video.image_files import Unreadable

FRAMES = [gradient(48, 64, shift) for shift in range(0, 48, 4)]  # 12
RED, BLUE = (np.full((48, 64, 3), color, np.uint8) for color in ((200, 30, 30), (30, 30, 200)))


def only_reason(path):
    ((number, seconds, reason),) = read_film(path)
    assert (number, seconds) == (0, None)
    return str(reason)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        "file '{}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "[playlist]\nFile1={}\n",
        "<MPD><Period><AdaptationSet mimeType='video/mp4'><Representation><BaseURL>{}</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>",
        "@FRM={}\n",
        "import('{}')\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.avi", "list.ts"])
def test_a_playlist_opens_nothing(tmp_path, monkeypatch, text, name):
    secret, path = tmp_path / "secret.mp4", tmp_path / name
    write_video(secret, FRAMES)
    path.write_text(text.format(secret))
    monkeypatch.chdir(tmp_path)
    assert only_reason(path) == "no frame can be decoded"
    path.write_text(text.format("secret.mp4"))
    assert only_reason(path) == "no frame can be decoded"


@pytest.mark.parametrize("name", ["film%03d.mp4", "film*.mp4", "http:host.mp4", "-.mp4", "a:b.avi"])
def test_a_name_is_only_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "film001.png", RED)
    write_video(tmp_path / name, FRAMES)
    assert len(list(read_film(Path(name)))) == 12


def test_names_that_are_no_utf8(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xc4\xd0.mp4"))
    write_video(tmp_path / "plain.mp4", FRAMES)
    (tmp_path / "plain.mp4").rename(path)
    assert len(list(read_film(path))) == read_header(path).count == 12


def test_tags_that_are_no_utf8(tmp_path):
    path = tmp_path / "tagged.mp4"
    write_video(path, FRAMES, metadata={"title": "TITLEHERE"})
    path.write_bytes(path.read_bytes().replace(b"TITLEHERE", b"\xc4\xd0\xff\xfe\x00\xe4\xf6\xfc!"))
    assert len(list(read_film(path))) == 12


def test_sound_alone_is_no_film(tmp_path):
    path = tmp_path / "voice.mp4"
    sound = ["-f", "lavfi", "-i", "sine=duration=0.2"]
    subprocess.run([ffmpeg(), "-v", "error", *sound, "-c:a", "aac", path], check=True)
    assert only_reason(path) == "there is only sound in it"


def test_a_cover_is_not_the_film(tmp_path):
    write_video(tmp_path / "film.mp4", FRAMES)
    write_image(tmp_path / "cover.png", np.zeros((200, 200, 3), np.uint8))
    path = tmp_path / "with_cover.mp4"
    streams = ["-i", tmp_path / "cover.png", "-i", tmp_path / "film.mp4", "-map", "0", "-map", "1"]
    command = [ffmpeg(), "-v", "error", *streams, "-c", "copy", "-disposition:v:0", "attached_pic"]
    subprocess.run([*command, path], check=True)
    frames = [frame for *_, frame in read_film(path)]
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 12


def test_sizes_that_no_memory_holds_are_refused(tmp_path):
    path = tmp_path / "huge.avi"
    write_video(path, FRAMES, codec="rawvideo", pixels="yuv420p")
    small, huge = struct.pack("<ii", 64, 48), struct.pack("<ii", 100_000, 100_000)
    path.write_bytes(path.read_bytes().replace(small, huge))
    assert only_reason(path) == "no frame can be decoded: damaged, or above 100 megapixels"
    path = tmp_path / "huge.mp4"
    write_video(path, FRAMES, codec="mpeg4")
    small, huge = struct.pack(">hh", 64, 48), struct.pack(">hh", 32_000, 32_000)
    path.write_bytes(path.read_bytes().replace(small, huge))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    list(read_film(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_size_that_changes_is_that_of_the_frame(tmp_path):
    write_video(tmp_path / "one.ts", FRAMES)
    write_video(tmp_path / "two.ts", [gradient(32, 32)] * 4)
    path = tmp_path / "joined.ts"
    path.write_bytes((tmp_path / "one.ts").read_bytes() + (tmp_path / "two.ts").read_bytes())
    shapes = [frame.shape[:2] for *_, frame in read_film(path)]
    assert shapes == [(48, 64)] * 12 + [(32, 32)] * 4


def test_a_reader_that_is_left_closes_its_file(tmp_path):
    path = tmp_path / "film.mp4"
    write_video(path, FRAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        frames = read_film(path)
        next(frames)
        assert str(path) in open_files()
        frames.close()
        gc.collect()
    assert str(path) not in open_files()


def open_files():
    return [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]


def test_ffmpeg_says_nothing_in_the_terminal(tmp_path):
    path = tmp_path / "half.mp4"
    write_video(path, [np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)] * 8)
    data = bytearray(path.read_bytes())
    data[2000:4000] = bytes(2000)
    path.write_bytes(data)
    script = "import pathlib, sys; from micron_jax.video.film import read_film;"
    script += "print(len(list(read_film(pathlib.Path(sys.argv[1])))))"
    done = subprocess.run([sys.executable, "-Wignore", "-c", script, path], capture_output=True)
    assert (done.stdout, done.stderr) == (b"8\n", b"")


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("b.ts", "mpeg2video", "yuv420p"),
        ("c.avi", "mpeg4", "yuv420p"),
        ("d.avi", "mjpeg", "yuvj420p"),
        ("e.webm", "libvpx", "yuv420p"),
        ("f.mkv", "ffv1", "yuv420p"),
        ("g.mov", "prores_ks", "yuv422p10le"),
    ],
)
def test_random_damage_shows_no_other_film_and_reads_the_same_twice(tmp_path, name, codec, pixels):
    whole, path = tmp_path / name, tmp_path / f"damaged{name}"
    write_video(whole, FRAMES, codec=codec, pixels=pixels)
    others = [tmp_path / f"{n}{name}" for n in "rb"]
    for other, color in zip(others, (RED, BLUE), strict=True):
        write_video(other, [color] * 12, codec=codec, pixels=pixels)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        data = bytearray(whole.read_bytes())
        begin, size = rng.integers(len(data)), rng.integers(1, 800)
        data[begin : begin + size] = rng.bytes(size) if seed % 2 else bytes(size)
        path.write_bytes(data)
        reads = []
        for other in others:
            list(read_film(other))  # in the memory that the next film may be given
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reads.append(list(read_film(path)))
        for (number, seconds, frame), again in zip(*reads, strict=True):
            assert (number, seconds) == again[:2]
            if isinstance(frame, Unreadable):
                assert str(frame) == str(again[2])
            else:
                np.testing.assert_array_equal(frame, again[2])


def test_a_file_that_cannot_be_opened(tmp_path):
    assert only_reason(tmp_path / "gone.mp4") == "cannot be opened: No such file or directory"
    assert only_reason(tmp_path) == "cannot be opened: Is a directory"
    assert read_header(tmp_path / "gone.mp4") == Header(None, 0, 0, 0)
