"""Damage that a decoder shows as a sound frame: it is shown, and told."""

import re
import warnings

import av
import numpy as np
import pytest
from helpers.films import gradient, write_video

from micron_jax.errors import Notice
from micron_jax.video import film, film_notes
from micron_jax.video.film import read_film
from micron_jax.video.film_damage import damage_check
from micron_jax.video.image_files import Unreadable

NOISE = np.random.default_rng(0).integers(0, 60, (96, 152, 3))
# A pattern that moves over grain, so that packets are large.
FRAMES = [
    np.clip(gradient(96, 128, 4 * n) * 0.7 + NOISE[:, n : n + 128], 0, 255).astype(np.uint8)
    for n in range(24)
]
KINDS = {
    "a.avi": ("mjpeg", "yuvj420p", {"huffman": "default"}),
    "b.mov": ("mjpeg", "yuvj420p", {}),
    "c.mkv": ("ffv1", "yuv420p", {"level": "3", "slicecrc": "1", "g": "12"}),
    "d.mp4": ("libx265", "yuv420p", {"x265-params": "keyint=12:crf=16:log-level=none"}),
    "e.ts": ("libx265", "yuv420p", {"x265-params": "keyint=12:crf=16:log-level=none"}),
    "f.mp4": ("libx264", "yuv420p", {"g": "12"}),
    "g.webm": ("libvpx", "yuv420p", {"g": "12", "crf": "4", "b": "0"}),
    "h.webm": ("libvpx-vp9", "yuv420p", {"g": "12", "crf": "4", "b": "0", "cpu-used": "8"}),
}


def read(path):
    """(frames and losses by number, numbers of frames that are told to be damaged)."""
    film_notes.Notes._said.clear()
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always", Notice)
        frames = {number: frame for number, _, frame in read_film(path)}
    told = set()
    for notice in notices:
        first, last = re.search(r"damaged: frames (\d+) to (\d+)", str(notice.message)).groups()
        told |= {*range(int(first), int(last) + 1)}
    return frames, told


def packets(path):
    """The bytes of the packets, and the check of the codec."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        check = damage_check(context.name, context.extradata)
        return [bytes(packet) for packet in container.demux(video=0) if packet.size], check


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / request.param
    codec, pixels, options = KINDS[request.param]
    write_video(path, FRAMES, codec=codec, pixels=pixels, options=options)
    return path


@pytest.mark.parametrize("threads", [1, 3])
def test_a_hole_of_zeros_within_a_frame_is_told(whole, tmp_path, monkeypatch, threads):
    monkeypatch.setattr(film, "THREADS", threads)  # one, where films are read side by side
    sound, told = read(whole)
    assert (len(sound), told) == (24, set())
    number = 5
    packet, data = packets(whole)[0][number], bytearray(whole.read_bytes())
    at = range(len(packet) // 4, len(packet), 50)  # a transport stream has it in pieces
    begin = next(b for b in (data.find(packet[n : n + 100]) for n in at) if b > 0)
    length = 100 if whole.suffix == ".ts" else min(1000, len(packet) // 2)
    data[begin : begin + length] = bytes(length)
    path = tmp_path / whole.name
    path.write_bytes(data)
    frames, told = read(path)
    assert frames.keys() == sound.keys()
    lost = {n for n, frame in frames.items() if isinstance(frame, Unreadable)}
    changed = {n for n in frames.keys() - lost if np.any(frames[n] != sound[n])}
    assert changed
    assert changed <= told
    assert told <= {*range(number - 4, 12)}  # the next key frame is sound
    if whole.suffix in (".avi", ".mov"):
        assert (changed | lost, told | lost) == ({number}, {number})


@pytest.mark.parametrize(
    "version", [{"level": "3", "slicecrc": "1"}, {"level": "4", "strict": "experimental"}]
)
def test_checksums_of_ffv1_tell_a_single_bit(tmp_path, version):
    path = tmp_path / "a.mkv"
    options = version | {"slices": "4"}
    write_video(path, FRAMES, codec="ffv1", options=options)
    whole, check = packets(path)
    packet, size = whole[3], len(whole[3])
    assert not any(map(check, whole))
    for at in (0, size // 3, size - 1):
        assert check(packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1 :])
    write_video(path, FRAMES, codec="ffv1", options=options | {"slicecrc": "0"})
    assert not any(map(check, packets(path)[0]))  # which have none


@pytest.mark.parametrize("picture", ["black", "gray", "stripes", "ramp", "dots"])
def test_flat_pictures_and_patterns_are_sound(whole, tmp_path, picture):
    """Encoders write few bytes for them, and the strangest."""
    y, x = np.mgrid[:240, :320]
    values = {
        "black": 0 * x, "gray": 0 * x + 128, "stripes": x // 8 % 2 * 255, "ramp": x * 255 // 320,
        "dots": (x + y) % 2 * 255,
    }  # fmt: skip
    codec, pixels, options = KINDS[whole.name]
    path = tmp_path / whole.name
    image = np.repeat(values[picture][..., None], 3, axis=2).astype(np.uint8)
    write_video(path, [image] * 4, codec=codec, pixels=pixels, options=options)
    written, check = packets(path)
    assert len(written) == 4
    assert not any(map(check, written))


SCAN = bytes(range(1, 200)).replace(b"\xff", b"")
TABLE = b"\xff\xc4" + (2 + 17 + 1).to_bytes(2, "big") + b"\x10\x01" + bytes(15)  # one code: 0
HEAD = b"\xff\xd8\xff\xdb\x00\x03\x00"
START, END = b"\xff\xda\x00\x04\x01\x00", b"\xff\xd9"


@pytest.mark.parametrize(
    ("packet", "damaged"),
    [
        (HEAD + START + SCAN + END, False),
        (HEAD + START + SCAN + b"\xff\x00" + SCAN + END, False),
        (HEAD + START + SCAN, False),  # some cameras write no end
        (HEAD + START + SCAN + END + bytes(600), False),  # or fill it up
        (HEAD + START + SCAN + b"\xff\xff" + END, False),
        (2 * (HEAD + START + SCAN + END), False),  # two fields
        (HEAD + START + SCAN + TABLE + b"\x01" + START + SCAN + END, False),  # progressive
        (HEAD + START + SCAN + b"\xff\x21" + SCAN + END, True),
        (HEAD + 1000 * START, True),  # scans without an end
        (HEAD + START + SCAN + b"\xff\xd0" + SCAN + END, True),  # no restarts are announced
        (HEAD + b"\xff\xdd\x00\x04\x00\x02" + START + b"a\xff\xd0b\xff\xd1c" + END, False),
        (HEAD + b"\xff\xdd\x00\x04\x00\x02" + START + b"a\xff\xd0b\xff\xd2c" + END, True),
        (HEAD + TABLE + b"\x01" + START + SCAN + bytes(64) + SCAN + END, True),
        (HEAD + TABLE + b"\x00" + START + SCAN + bytes(64) + SCAN + END, False),  # flat blocks
    ],
)
def test_what_no_jpeg_holds(packet, damaged):
    assert damage_check("mjpeg", None)(packet) == damaged


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(
    ("body", "damaged"),
    [
        (b"\x80abc\x00\x00\x03\x00def", False),
        (b"\x80abc\x00\x00\x03", False),
        (b"\x80abc\x00\x00\x00def", True),
        (b"\x80abc\x00\x00\x02def", True),
        (b"\x80abc" + bytes(500) + b"def", True),
        (b"\x80abc\x00\x00\x00\x01\x0a", False),  # a unit more, as some programs add
    ],
)
def test_what_no_slice_holds(codec, body, damaged):
    first, other = (b"\x41", b"\x06") if codec == "h264" else (b"\x02\x01", b"\x4e\x01")
    four = b"\x01" + bytes(3) + b"\x03" if codec == "h264" else b"\x01" + bytes(20) + b"\x03\x00"
    prefixed, plain = damage_check(codec, four + bytes(4)), damage_check(codec, None)
    for unit, expected in ((first + body, damaged), (other + body, False)):
        assert prefixed(len(unit).to_bytes(4, "big") + unit) == expected
        assert plain(b"\x00\x00\x00\x01" + unit) == expected
    tail = first + b"\x80abc" + bytes(400)
    assert prefixed(len(tail).to_bytes(4, "big") + tail)
    assert not plain(b"\x00\x00\x01" + tail)  # zeros may stand before the next start code


def test_codecs_without_a_check():
    assert damage_check("rawvideo", None) is None


@pytest.mark.parametrize("threads", [1, 3])
def test_bytes_missing_within_a_jpeg_are_told(tmp_path, monkeypatch, threads):
    """A decoder that shows what it can says nothing of it; a strict one does."""
    monkeypatch.setattr(film, "THREADS", threads)
    path = tmp_path / "a.avi"
    small = [gradient(48, 64, shift) for shift in range(0, 48, 4)]
    write_video(path, small, codec="mjpeg", pixels="yuvj420p")
    whole, _ = read(path)
    data = path.read_bytes()
    for number in (2, 7):
        packet = packets(path)[0][number]
        at = len(packet) * 9 // 10
        data = data.replace(packet, packet[:at] + packet[at + 8 :] + packet[-8:])
    path.write_bytes(data)
    frames, told = read(path)
    assert frames.keys() == whole.keys()
    assert told == {2, 7} == {n for n in whole if np.any(frames[n] != whole[n])}
