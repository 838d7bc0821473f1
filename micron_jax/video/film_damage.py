"""Signs of damage in the packets of films, where decoders show a picture and say nothing.

FFV1 has checksums. The other codecs have none, but there is what no encoder writes: three zeros in
a slice of H.264 or H.265, long runs of zeros out of an arithmetic coder, markers in the wrong place
of a JPEG. Zeros are what a bad sector and an unfinished download leave. Damage that is valid by
chance stays unseen.
"""

import re
import zlib
from collections.abc import Callable, Iterator

# ITU-T H.264, 7.4.1: neither follows two zero bytes but as a start code, 00 00 01.
_ILLEGAL = re.compile(rb"\x00\x00(?:\x02|\x00+[^\x00\x01])")
_PADDING = 8  # zero bytes at the end of a NAL unit that some encoders may leave
# Zeros out of an arithmetic coder: flat pictures, whose probabilities fit badly, have dozens.
_ZEROS = bytes(256)
_ZEROS_OF_JPEG = bytes(32)  # whole pictures have a dozen, where zeros are no code of flat blocks
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FOOTERS = {8: (5, True), 3: (0, False)}  # of a slice of FFV1: bytes -> (after its size, has a CRC)
# The CRC before and after a slice, reversed: of version 3; of what FFmpeg writes as version 4.
_CRCS = 0, 0x5E31029E
_SLICES = 1024  # that FFmpeg takes
_SCANS = 100  # of a progressive JPEG
_FLAT = 0x00, 0xF0  # symbols of JPEG: no more coefficients in the block; 16 that are 0
_MARKER = re.compile(rb"\xff[^\x00\xff]")  # of a JPEG
_NO_RESTART = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# After a scan comes the end, another scan, or what one needs.
_AFTER_SCAN = 0xD9, 0xDA, 0xC4, 0xDB, 0xDC, 0xDD, 0xFE


def damage_check(codec: str, extradata: bytes | None) -> Callable[[bytes], bool] | None:
    """Returns the test that tells from a packet's bytes that it is damaged; None: there is none.

    Args:
      codec: FFmpeg's name of the decoder.
      extradata: the codec's own header.
    """
    header = extradata or b""
    if codec in ("h264", "hevc"):
        place, shortest = (4, 7) if codec == "h264" else (21, 23)
        prefixed = len(header) >= shortest and header[0] == 1
        size = (header[place] & 3) + 1 if prefixed else 0
        return lambda data: _nal_units_are_damaged(data, size, codec)
    if codec == "ffv1":
        return _ffv1_is_damaged
    if codec == "mjpeg":
        return _jpeg_is_damaged
    if codec.startswith(("vp8", "vp9", "libvpx", "av1", "libdav1d")):
        return lambda data: _ZEROS in data
    return None


def _nal_units_are_damaged(data: bytes, size: int, codec: str) -> bool:
    """Looks at the slices of a packet; `size` is that of the lengths before, 0: start codes."""
    for unit in _nal_units(data, size):
        if not unit:
            continue
        slices = 1 <= unit[0] & 31 <= 5 if codec == "h264" else unit[0] >> 1 & 63 < 32
        if not slices:  # programs write what they like into the others
            continue
        if b"\0\0\0" not in unit and b"\0\0\2" not in unit:
            continue
        body = unit.rstrip(b"\0")
        if (size and len(unit) - len(body) > _PADDING) or _ILLEGAL.search(body):
            return True
    return False


def _nal_units(data: bytes, size: int) -> Iterator[bytes]:
    if not size:
        yield from data.split(b"\0\0\1")[1:]
        return
    place = 0
    while place + size <= len(data):
        length = int.from_bytes(data[place : place + size], "big")
        place += size
        if length == 0:  # which decoders refuse
            return
        yield data[place : place + length]
        place += length


def _ffv1_is_damaged(data: bytes) -> bool:
    """Compares the CRC of each slice (RFC 9043, 4.9), where the slices have any."""
    for footer, (after, checked) in _FOOTERS.items():
        slices, end = [], len(data)
        while end >= footer and len(slices) < _SLICES:
            size = footer + int.from_bytes(data[end - after - 3 : end - after], "big")
            if size > end:
                break
            slices.append(data[end - size : end])
            end -= size
        if end == 0 and slices:
            return checked and not any(
                all(_crc(one, crc) == crc for one in slices) for crc in _CRCS
            )
    return False


def _crc(data: bytes, begin: int) -> int:
    """The CRC of FFV1, whose bits are in the other order than those of `zlib`; reversed."""
    return zlib.crc32(data.translate(_REVERSED), begin ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def _jpeg_is_damaged(data: bytes) -> bool:
    """Looks at the markers and scans of a JPEG, or of two, the fields of one frame."""
    place, flat, restarts, scans = 0, False, 0, 0
    while data[place : place + 1] == b"\xff" and place + 2 <= len(data):
        marker, place = data[place + 1], place + 2
        if marker in (0xFF, 0xD8, 0xD9):
            place -= marker == 0xFF
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        segment, place = data[place + 2 : place + length], place + length
        if marker == 0xC4:
            flat |= _has_flat_codes(segment)
        elif marker == 0xDD:
            restarts = int.from_bytes(segment[:2], "big")
        elif marker == 0xDA:
            scans += 1
            end = (_NO_RESTART if restarts else _MARKER).search(data, place)
            if scans > _SCANS or (end and end[0][1] not in _AFTER_SCAN):
                return True
            last = end.start() if end else len(data)
            numbers = enumerate(_MARKER.finditer(data, place, last)) if restarts else ()
            if any(found[0][1] & 7 != number % 8 for number, found in numbers):
                return True
            if not flat and data.find(_ZEROS_OF_JPEG, place, last) >= 0:
                return True
            place = last
    return False


def _has_flat_codes(segment: bytes) -> bool:
    """Tells of Huffman tables whether one of AC has zeros alone as its code of a flat block."""
    while len(segment) > 17:
        count = sum(segment[1:17])
        if segment[0] >> 4 and segment[17] in _FLAT:  # the first symbol has the lowest code
            return True
        segment = segment[17 + count :]
    return False
