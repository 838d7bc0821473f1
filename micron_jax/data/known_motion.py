"""Pairs of windows of one face with known motion between them, made on the device.

They are the pretext task of `pretrain_ours`, which is not the paper's. A random field warps an
unlabeled face locally, under head motion, turns, light, noise and JPEG that differ between the two
frames; the network tells the motion of each patch by itself. The shapes of motion are those of
`warps.SEEN` alone, so that a benchmark can use others.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.data import camera, warps
from micron_jax.faces.landmarks import CANONICAL

FACE = 224  # px along a whole face crop: the unit of every length here
_STEP = 4  # px between the places where fields are computed
_SITES, _SPOTS = 2, 2  # places that move, and kernels in each
_EYES = np.float32(CANONICAL[:2] * FACE)  # in a crop: points (x, y), px
_NOSE = np.float32(CANONICAL[2] * FACE)
_PUPILS = float(_EYES[1, 0] - _EYES[0, 0])

AMPLITUDE = (0.3, 4.0)  # px
RADII = (9.0, 42.0)  # px to half of it
ZOOM = (0.8, 1.15)  # of the face
HEAD = (1.0, 1.0, math.radians(0.6), 0.004)  # at most, between the frames: px, px, angle, scale
ASIDE = (1.0, 1.0, math.radians(1.0), 0.01)  # of both, so that no frame lies on the pixels
TURN, TURNED = (0.2, 3.0), 0.35  # px, of a head that turns; share of pairs
BLINK, BLINKED = (0.1, 4.5), 0.35  # px, of an upper lid; share of pairs
BLUR, READ, SHOT, LIGHT, QUALITY = (0.3, 0.75), (0.5, 2.0), 0.02, 0.04, (85, 95)


def windows(key, face, *, count: int, size: int, patch_size: int, still: float):
    """Pairs of windows of a face with motion between them.

    Args:
      face: a whole face crop, uint8 [S, S, 3], of more than 224 px along a side, so that its own
        noise is no texture that moves along.
      count: of pairs, C.
      size, patch_size: sides in px of the windows, a multiple of 16, and of a patch, of 4; a whole
        face is 224.
      still: share of the pairs in which nothing moves by itself.

    Returns:
      (before, after, displacement): levels 0..255, float32 [C, size, size, 3] twice; the motion of
      each patch of `before` by itself until `after`, (x, y) in px, float32 [C, N, 2].
    """
    face = jnp.asarray(face, jnp.float32)
    make = functools.partial(_pair, face=face, size=size, patch=patch_size, still=still)
    return jax.vmap(make)(jax.random.split(key, count))


def _pair(key, *, face, size: int, patch: int, still: float):
    place_key, motion_key, head_key, camera_key, first_key, last_key = jax.random.split(key, 6)
    places, in_window = _place(place_key, size)
    motion, disturbance, expressed_first = _fields(motion_key, size, in_window, still)
    start, change = _poses(head_key)
    shoot = _camera(camera_key)
    none = jnp.zeros_like(motion)
    frames = [
        shoot(shot_key, camera.look_up(face, places(pose, field) * (face.shape[0] / FACE) - 0.5))
        for shot_key, pose, field in (
            (first_key, start, jnp.where(expressed_first, motion, none)),
            (last_key, start + change, disturbance + jnp.where(expressed_first, none, motion)),
        )
    ]
    per_patch = patch // _STEP
    side = size // patch
    cells = motion.reshape(side, per_patch, side, per_patch, 2).mean((1, 3))
    displacement = jnp.where(expressed_first, -cells, cells).reshape(side * side, 2)
    return *frames, displacement


def _uniform(key, low, high, shape=()):
    return jax.random.uniform(key, shape, minval=low, maxval=high)


def _log_uniform(key, bounds, shape=()):
    return jnp.exp(_uniform(key, *(math.log(bound) for bound in bounds), shape))


def _rotated(points, angle):
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return jnp.stack([x * cos - y * sin, x * sin + y * cos], -1)


def _toward(angle):
    """Unit vectors (x, y) in the direction of angles."""
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)


def _place(key, size: int):
    """Functions of (pose, field) to the face's places, px, that a window's pixels show, and back.

    The second takes points of the face and lengths to those in the window, from its middle.
    """
    keys = jax.random.split(key, 4)
    zoom = _log_uniform(keys[0], ZOOM)
    least = jnp.minimum(size / 2 * zoom, FACE / 2)
    middle = least + jax.random.uniform(keys[1], (2,)) * (FACE - 2 * least)
    tilt = 0.1 * jax.random.normal(keys[2])
    mirror = jnp.stack([jnp.where(jax.random.bernoulli(keys[3]), -1.0, 1.0), 1.0])
    along = jnp.arange(size) - (size - 1) / 2
    pixels = jnp.stack(jnp.meshgrid(along, along), -1)

    def places(pose, field):
        points = _rotated(pixels - pose[:2], -pose[2]) * jnp.exp(-pose[3])
        points = points - jax.image.resize(field, (size, size, 2), "linear")
        return middle + _rotated(points * mirror * zoom, tilt)

    def in_window(points, lengths):
        return _rotated(points - middle, -tilt) * mirror / zoom, lengths / zoom

    return places, in_window


def _fields(key, size: int, in_window, still: float):
    """(Motion by itself, turns and blinks, both [size/4, size/4, 2] px; the former comes first)."""
    keys = jax.random.split(key, 6)
    along = jnp.arange(size // _STEP) * _STEP + (_STEP - 1) / 2
    points = jnp.stack(jnp.meshgrid(along, along), -1)
    shape, narrowest = _local_field(keys[0], points, size)
    amplitude = jnp.minimum(_log_uniform(keys[1], AMPLITUDE), 0.3 * narrowest)  # nothing folds
    amplitude = jnp.where(jax.random.bernoulli(keys[2], still), 0.0, amplitude)
    points = points - (size - 1) / 2
    disturbance = _turn_field(keys[3], points, in_window) + _blink_field(keys[5], points, in_window)
    return amplitude * shape, disturbance, jax.random.bernoulli(keys[4])


def _local_field(key, points, size: int):
    """A field of largest length 1 and its narrowest radius: ovals and drops at one or two sites."""
    keys = jax.random.split(key, 10)
    sites = _uniform(keys[0], -10, size + 10, (_SITES, 1, 2))
    radii = _log_uniform(keys[1], RADII, (_SITES, 1, 2))
    tilt = _uniform(keys[2], 0, math.pi, (_SITES, 1))
    way = _uniform(keys[3], 0, 2 * math.pi, (_SITES, 1))
    family = jax.random.randint(keys[4], (), 0, len(warps.SEEN))
    second_spot = jax.random.bernoulli(keys[5], 0.5, (_SITES,))
    second_site = jax.random.bernoulli(keys[6], 0.35)
    present = jnp.stack([jnp.ones(_SITES, bool), second_spot], 1)
    present &= jnp.stack([True, second_site])[:, None]
    strength = present * _uniform(keys[7], 0.4, 1.0, (_SITES, _SPOTS))
    aside = 0.7 * jax.random.normal(keys[8], (_SITES, 1, 2)) * radii.min(-1, keepdims=True)
    spots = sites + jnp.concatenate([jnp.zeros_like(aside), aside], 1)
    way = way + 0.2 * jax.random.normal(keys[9], (_SITES, _SPOTS))
    from_spot = points[..., None, None, :] - spots  # [h, w, sites, spots, 2]
    scaled = _rotated(from_spot, -tilt) / radii
    distance = jnp.sqrt(jnp.square(scaled).sum(-1) + 1e-9)
    weight = strength * jnp.select(
        [family == i for i in range(len(warps.SEEN))],
        [kernel(distance, jnp) for kernel in warps.SEEN.values()],
    )
    field = jnp.einsum("hwst,std->hwd", weight, _toward(way))
    longest = jnp.sqrt(jnp.square(field).sum(-1)).max()
    return field / jnp.maximum(longest, 1e-3), radii[0].min()


def _turn_field(key, points, in_window):
    """The field of a head that turns: nearer parts, as the nose, move more; often it is zero."""
    keys = jax.random.split(key, 6)
    nose = jnp.asarray(_NOSE) + 0.15 * _PUPILS * jax.random.normal(keys[0], (2,))
    middle, pupils = in_window(nose, _PUPILS)
    from_nose = (points - middle) / pupils
    reach = jnp.asarray((1.7, 2.1)) * jnp.exp(0.2 * jax.random.normal(keys[1], (2,)))
    depth = jnp.clip(1 - jnp.square(from_nose / reach).sum(-1), 0) ** 2
    tip = jnp.asarray((0.3, 0.45)) * jnp.exp(0.2 * jax.random.normal(keys[2], (2,)))
    depth += _uniform(keys[3], 0, 0.7) * jnp.exp(-jnp.square(from_nose / tip).sum(-1))
    way = _uniform(keys[4], 0, 2 * math.pi)
    amplitude_key, present_key = jax.random.split(keys[5])
    amplitude = _uniform(amplitude_key, *TURN) * jax.random.bernoulli(present_key, TURNED)
    return amplitude / 1.5 * depth[..., None] * _toward(way)


def _blink_field(key, points, in_window):
    """The field of both upper lids going down or up, at the crop's eyes; often it is zero."""
    keys = jax.random.split(key, 6)
    sites = jnp.asarray(_EYES) + _PUPILS * (
        jnp.asarray((0.0, warps.LID.site[1])) + 0.05 * jax.random.normal(keys[0], (2, 2))
    )
    sites, pupils = in_window(sites, _PUPILS)
    down, _ = in_window(jnp.asarray(_EYES) + jnp.asarray((0.0, 1.0)), 1.0)
    down = down - in_window(jnp.asarray(_EYES), 1.0)[0]
    down = down / jnp.linalg.norm(down, axis=-1, keepdims=True)
    down = _rotated(down, _uniform(keys[1], -0.3, 0.3))
    reach = pupils * jnp.asarray(warps.LID.reach)
    radii = reach * jnp.exp(0.2 * jax.random.normal(keys[2], (2, 2)))
    distance = jnp.sqrt(jnp.square((points[..., None, :] - sites) / radii).sum(-1) + 1e-9)
    sizes = _uniform(keys[3], *BLINK) * _uniform(keys[4], 0.7, 1.0, (2,))
    way_key, present_key = jax.random.split(keys[5])
    sizes *= jnp.where(jax.random.bernoulli(way_key), 1.0, -1.0)
    sizes *= jax.random.bernoulli(present_key, BLINKED)
    return jnp.einsum("hwe,e,ed->hwd", warps.SEEN["gaussian"](distance, jnp), sizes, down)


def _poses(key):
    """(x, y, angle, log of the scale) of the first frame, and the change until the second."""
    keys = jax.random.split(key, 3)
    aside = _uniform(keys[0], -1, 1, (4,)) * jnp.asarray(ASIDE)
    reach = jax.random.uniform(keys[1]) ** 2  # frames that were registered before move little
    return aside, reach * _uniform(keys[2], -1, 1, (4,)) * jnp.asarray(HEAD)


def _camera(key):
    """One camera for both frames: a function of a key and an image to the frame it takes."""
    keys = jax.random.split(key, 5)
    deviation = _uniform(keys[0], *BLUR)
    read, shot = _uniform(keys[1], *READ), _uniform(keys[2], 0, SHOT)
    light = _uniform(keys[3], 0, LIGHT, (3,))
    quality = jax.random.randint(keys[4], (), QUALITY[0], QUALITY[1] + 1)

    def shoot(key, image):
        light_key, noise_key = jax.random.split(key)
        image = camera.blur(image, deviation)
        image = camera.relight(image, light * _uniform(light_key, -1, 1, (3,)))
        image = camera.add_noise(noise_key, image, read, shot)
        return camera.jpeg(jnp.clip(jnp.round(image), 0, 255), quality)

    return shoot
