"""Decoded frames of films as a screen shows them: progressive, RGB, square pixels, upright."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import cv2
import numpy as np

from micron_jax.video.film_frames import Loss, Picture

HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273
SQUARE = 0.01  # pixels are square to this part: resampling would only blur
# Of Mitchell and Netravali (1988): FFmpeg's own cubic makes edges that are not there.
STRETCHING = "flags=bicubic:param0=0.3333:param1=0.3333"
WIDEST = 10  # times as wide as high, or the other way: a header that says more is wrong


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Returns (width, height) of a picture in square pixels.

    The shorter side of a pixel is stretched, so that no detail is lost.

    Args:
      width, height: of the stored picture.
      aspect: width of a pixel divided by its height; None or 0: unknown, as of square ones.
    """
    if not aspect or not 1 / WIDEST <= aspect <= WIDEST or abs(aspect - 1) < SQUARE:
        return width, height
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


class Screen:
    """Shows decoded frames as RGB uint8 [H, W, 3]: progressive, square pixels, upright.

    FFmpeg's filters do it: bwdif from the first interlaced frame on, one frame of one, where others
    stay as they are; the conversion of colors by the matrix and the range that the frame names.
    """

    def __init__(self, stream: av.VideoStream):
        self._unit, self._aspect = stream.time_base, stream.sample_aspect_ratio
        self._graph, self._kind, self._interlaced = None, None, False
        self._waiting = deque()  # (picture, its display matrix), of which the filters have not all
        self._matrices = {}  # display matrices, by the angle that they turn by

    def show(
        self, pictures: Iterable[Picture], first: int = 0
    ) -> Iterator[tuple[Picture, np.ndarray | None]]:
        """Yields each picture with what is seen of it; None where it is lost, or before `first`."""
        for picture in pictures:
            frame, matrix = picture.frame, None
            if picture.number < first - 1:  # bwdif looks at the frame before
                yield picture, None
                continue
            if not isinstance(frame, Loss):
                self._interlaced |= frame.interlaced_frame
                yield from self._fit(frame)
                # Once only: frames whose side data were read stay until the garbage collection.
                if frame.rotation not in self._matrices:
                    self._matrices[frame.rotation] = _display_matrix(frame)
                matrix = self._matrices[frame.rotation]
                self._graph.vpush(frame)
            self._waiting.append((picture, matrix))
            yield from self._ready()
        yield from self._flush()

    def _fit(self, frame: av.VideoFrame) -> Iterator[tuple[Picture, np.ndarray | None]]:
        """Sets up the filters for a frame of another kind than the one before."""
        size, colors = (frame.width, frame.height), (frame.colorspace, frame.color_range)
        kind = size, frame.format.name, colors, self._interlaced
        if kind == self._kind:
            return
        yield from self._flush()
        graph = av.filter.Graph()
        graph.threads = 1  # to hand parts of a frame over takes longer than they do
        source = graph.add(
            "buffer",
            video_size=f"{frame.width}x{frame.height}",
            pix_fmt=frame.format.name,
            time_base=str(self._unit),
            pixel_aspect="1/1",
            colorspace=str(frame.colorspace),
            range=str(frame.color_range),
        )
        width, height = square_size(*size, self._aspect)
        nodes = [source, graph.add("scale", f"{width}:{height}:{STRETCHING}")]
        if self._interlaced:
            nodes.insert(1, graph.add("bwdif", "mode=send_frame:deint=interlaced"))
        nodes += [graph.add("format", "pix_fmts=rgb24"), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        self._graph, self._kind = graph, kind

    def _flush(self) -> Iterator[tuple[Picture, np.ndarray | None]]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()

    def _ready(self) -> Iterator[tuple[Picture, np.ndarray | None]]:
        while self._waiting:
            picture, matrix = self._waiting[0]
            image = None
            if not isinstance(picture.frame, Loss):
                try:
                    image = _upright(self._graph.vpull().to_ndarray(), matrix)
                except (av.BlockingIOError, av.EOFError):  # it wants the next frame
                    return
            self._waiting.popleft()
            yield picture, image


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """Returns the matrix that takes (x, y) of a stored picture, as a row, to the screen's."""
    try:
        data = frame.side_data["DISPLAYMATRIX"]
    except (KeyError, ValueError):  # ValueError: side data that PyAV does not know
        return None
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2]


def _upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turns and mirrors by the quarter turn that is nearest to a display matrix."""
    if matrix is None:
        return image
    across = np.abs(matrix[0, 1]) + np.abs(matrix[1, 0])  # of x on y, and of y on x
    if across > np.abs(matrix[0, 0]) + np.abs(matrix[1, 1]):
        image, matrix = cv2.transpose(image), matrix[::-1]
    if matrix[0, 0] < 0:
        image = cv2.flip(image, 1)
    if matrix[1, 1] < 0:
        image = cv2.flip(image, 0)
    return image
