"""A pair of frames as a checkpoint sees it: arrays."""

import dataclasses

import jax
import numpy as np
from matplotlib.figure import Figure

from micron_jax.faces.flow import residual_flow
from micron_jax.faces.parts import oval
from micron_jax.faces.registration import Registration, register_crops, shrink
from micron_jax.models.motion import Motion
from micron_jax.pretrained import MicronBert
from micron_jax.visualization import notebook

# Gray levels between two frames that could not be registered: of 15 pairs of people, 9 to 17; of
# one person before she moves far, up to 6.
APART = 7.0


@dataclasses.dataclass(frozen=True, repr=False)
class PairView:
    """The maps of a pair of frames, on the grid of the first one.

    Attributes:
      frame: uint8 [V, V, 3].
      reference: the other frame as it was, uint8 [V, V, 3].
      registered: the other frame moved onto the first, in its light, uint8 [V, V, 3].
      registration: how it was moved.
      kind: of the map; see `MicronBert.motion_map`.
      motion_map: how much each patch differs, float32 [h, w]; of the kind `motion` 0 below the
        noise floor and, of faces, beside them.
      motion: from the reference to the frame, of a checkpoint that knows it, see `models.motion`;
        without the axis of a batch.
      flow: length of the optical flow that is left between the two, px of the network's input,
        mean of each patch, float32 [h, w]; computed without any network, to compare.
      interest: Patch of Interest scores of the first frame, float32 [h, w].
      cls_attention: of its CLS token, float32 [heads, h, w].
      reconstruction: the decoder's, uint8 [S, S, 3]; None: the checkpoint has no decoder.
    """

    frame: np.ndarray
    reference: np.ndarray
    registered: np.ndarray
    registration: Registration
    kind: str
    motion_map: np.ndarray
    motion: Motion | None
    flow: np.ndarray
    interest: np.ndarray
    cls_attention: np.ndarray
    reconstruction: np.ndarray | None

    @property
    def apart(self) -> bool:
        """True if the two do not cover each other, as of two people: their map means nothing."""
        if self.motion is not None:
            return bool(self.motion.unsure)
        return bool(self.registration.refused) and self.registration.after > APART

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns what `pair.npz` holds, where the map is called `heat`."""
        arrays = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("registration", "motion", "motion_map", "reconstruction")
        }
        arrays |= {"heat": self.motion_map, "transform": self.registration.transform}
        if self.motion is not None:
            arrays |= self.motion._asdict() | {"floor": self.motion.floor}
        if self.reconstruction is not None:
            arrays["reconstruction"] = self.reconstruction
        return arrays

    def plot(self, *, details: bool = False) -> Figure:
        """Draws the frames and the maps; see `pair_figure.draw_pair`."""
        from micron_jax.visualization.pair_figure import draw_pair

        return draw_pair(self, details=details)

    def __repr__(self) -> str:
        values, kind = self.motion_map, self.kind
        row, column = divmod(int(values.argmax()), values.shape[1])
        text = f"{kind} map: at most {values.max():.2f}{' px' * (kind == 'motion')}"
        text += f" at row {row}, column {column} of {len(values)}"
        if kind == "motion":
            text += f"; {int((values > 0).sum())} of {values.size} patches above the noise floor"
            text += "; the head moves too much to say what moved" * bool(self.motion.unsure)
        if self.registration.refused:
            text += f"; not registered: {self.registration.refused}"
        return text

    def _repr_html_(self) -> str:
        return notebook.page(repr(self), self.plot())


def view_size(model: MicronBert) -> int:
    """Side of the crops to be shown, px: a multiple of the network's input, at least 224.

    Registration and optical flow need more detail than a small network is given.
    """
    size = model.config.img_size
    return size * -(-224 // size)


def compare_pair(
    model: MicronBert,
    frame: np.ndarray,
    reference: np.ndarray,
    *,
    kind: str | None = None,
    faces: bool = True,
) -> PairView:
    """Registers the reference onto the frame and computes all maps of the two.

    Args:
      model: from `micron_jax.load`.
      frame, reference: crops of one face, uint8 [V, V, 3], V a multiple of the network's input.
      kind: one of `model.map_kinds`; None: the first of them.
      faces: the crops are aligned faces, and registered by the box around the face.

    Returns:
      Arrays; `plot()` makes a figure of them, and `arrays()` what can be stored.

    Raises:
      ValueError: frames of another dtype or shape, no such kind.
    """
    size, kind = model.config.img_size, kind or model.map_kinds[0]
    if kind not in model.map_kinds:
        raise ValueError(f"kind={kind!r}: choose one of {', '.join(model.map_kinds)}")
    if frame.shape != reference.shape or len(frame) % size or frame.shape[0] != frame.shape[1]:
        raise ValueError(
            f"frames are {frame.shape} and {reference.shape}; expected uint8 [V, V, 3] twice, V a "
            f"multiple of {size}"
        )
    registered, registration = register_crops(reference, frame, faces=faces)
    small, small_reference = shrink(np.stack([frame, registered]), size)[:, None]
    reconstruction = model.reconstruct(small, small_reference)
    motion = None
    if model.config.displacement_width:
        motion = jax.tree.map(lambda x: np.asarray(x)[0], model.motion(small, small_reference))
    if kind == "motion":
        motion_map = np.asarray(motion.above_floor)
        motion_map = motion_map * oval(len(motion_map)) if faces else motion_map
    else:
        motion_map = np.asarray(model.motion_map(small, small_reference, kind=kind))[0]
    return PairView(
        frame=frame,
        reference=reference,
        registered=registered,
        registration=registration,
        kind=kind,
        motion_map=motion_map,
        motion=motion,
        flow=residual_flow(frame, registered, model.config.grid, size),
        interest=np.asarray(model.interest(small))[0],
        cls_attention=np.asarray(model.cls_attention(small))[0],
        reconstruction=None if reconstruction is None else np.asarray(reconstruction)[0],
    )
