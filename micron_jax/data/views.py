"""Views of a pair of frames for the network, made on the device: swapped patches and crops."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from micron_jax.checks import at_least, choose, require, within
from micron_jax.data.alignment import align

# Mean and standard deviation: the release's micron_bert.py, line 9.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

KNOWN = ("reference", "moved", "displacement", "motion")


@dataclasses.dataclass(frozen=True)
class ViewsConfig:
    """Views of a pair of frames. The paper does not print the fields that are marked as ours.

    Attributes:
      swap: which patches of frame t are replaced by those of t+δ at the same place: `blocks`
        (paper: blockwise, as BEiT masks), `uniform` (the release's `random_replace`) or `none`.
      swap_with: `ref`, those of t+δ; or `gray`, nothing, as masked autoencoders do (for ablation).
      swap_ratio: share of the patches to replace; blocks stay as little below it as they can.
      swap_min_patches, swap_aspect: smallest block, in patches, and its height over its width or
        the inverse, at least (ours, as BEiT).
      global_crops, global_scale: crops of frame t+δ at the network's size (release: 2; paper: 0);
        smallest and largest area of one over the frame's (ours).
      local_crops, local_size, local_scale: smaller crops (release: 8; paper: one random crop);
        their side in pixels; their areas (ours).
      flip: mirror crops half of the time (ours).
      registered: first move frame t+δ onto frame t and match its light (ours, see `alignment`).
      pair_every: only every so many pairs of a batch become these views (ours); all
        serve for known motion, where the model has a displacement branch.
    """

    swap: str = "blocks"
    swap_with: str = "ref"
    swap_ratio: float = 0.5
    swap_min_patches: int = 16
    swap_aspect: float = 0.3
    global_crops: int = 0
    global_scale: tuple[float, float] = (0.4, 1.0)
    local_crops: int = 0
    local_size: int = 96
    local_scale: tuple[float, float] = (0.05, 0.4)
    flip: bool = True
    registered: bool = False
    pair_every: int = 1

    def __post_init__(self):
        section = "config.views"
        choose(section, self, swap=("blocks", "uniform", "none"), swap_with=("ref", "gray"))
        within(section, self, swap_ratio=(0, 1))
        at_least(section, self, pair_every=1)
        for field in ("global_scale", "local_scale"):
            low, high = getattr(self, field)
            mend = "must be 0 < smallest <= largest <= 1"
            require(0 < low <= high <= 1, section, self, field, mend)


def normalize(frames):
    """uint8 RGB [..., 3] -> float32, less ImageNet's mean and over its deviation."""
    mean, std = (jnp.asarray(x, jnp.float32) for x in IMAGENET)
    return (frames.astype(jnp.float32) / 255 - mean) / std


def denormalize(images):
    """The inverse of `normalize`, rounded and clipped: float [..., 3] -> uint8."""
    mean, std = (jnp.asarray(x, jnp.float32) for x in IMAGENET)
    return jnp.clip(jnp.round((images * std + mean) * 255), 0, 255).astype(jnp.uint8)


def uniform_mask(key, grid: int, ratio: float):
    """A boolean [grid, grid] with grid² - ⌊grid² (1 - ratio)⌋ patches set, all equally likely.

    The count is the release's (models/mae.py, line 513).
    """
    count = grid * grid
    order = jax.random.permutation(key, count)
    return (order >= int(count * (1 - ratio))).reshape(grid, grid)


def blocks_mask(key, grid: int, ratio: float, min_patches: int, aspect: float):
    """A boolean [grid, grid]: rectangles, until no more than ⌊ratio · grid²⌋ patches are set.

    Drawn as BEiT's masks: an area between `min_patches` and the remainder, uniformly; height over
    width between `aspect` and 1/`aspect`, uniformly in its logarithm; any place; overlaps count
    once. A block that would overshoot is dropped.
    """
    target = int(ratio * grid * grid)
    if not target:
        return jnp.zeros((grid, grid), bool)
    index = jnp.arange(grid)

    def attempt(_, carry):
        key, mask = carry
        key, area_key, aspect_key, row_key, column_key = jax.random.split(key, 5)
        left = target - mask.sum()
        smallest = min(min_patches, target)
        area = jax.random.uniform(area_key, maxval=jnp.maximum(left - smallest, 0)) + smallest
        log = jnp.log(aspect)
        ratio_ = jnp.exp(jax.random.uniform(aspect_key, minval=log, maxval=-log))
        height = jnp.clip(jnp.round(jnp.sqrt(area * ratio_)).astype(int), 1, grid)
        width = jnp.clip(jnp.round(jnp.sqrt(area / ratio_)).astype(int), 1, grid)
        top = jax.random.randint(row_key, (), 0, grid - height + 1)
        start = jax.random.randint(column_key, (), 0, grid - width + 1)
        rows = (index >= top) & (index < top + height)
        columns = (index >= start) & (index < start + width)
        grown = mask | (rows[:, None] & columns[None])
        return key, jnp.where(grown.sum() <= target, grown, mask)

    # Each attempt halves the remainder or better: 24 leave less than a smallest block.
    return jax.lax.fori_loop(0, 24, attempt, (key, jnp.zeros((grid, grid), bool)))[1]


def random_crop(key, image, *, size: int, scale: tuple[float, float], flip: bool):
    """A random part of an image, resized: float [H, W, 3] -> [size, size, 3].

    The area's share is uniform in `scale`, width over height between 3/4 and 4/3 uniformly in its
    logarithm; bilinear, antialiased.
    """
    area_key, aspect_key, row_key, column_key, flip_key = jax.random.split(key, 5)
    height, width = image.shape[:2]
    area = jax.random.uniform(area_key, minval=scale[0], maxval=scale[1])
    log = jnp.log(4 / 3)
    aspect = jnp.exp(jax.random.uniform(aspect_key, minval=-log, maxval=log))
    crop_height = jnp.minimum(jnp.sqrt(area / aspect), 1.0) * height
    crop_width = jnp.minimum(jnp.sqrt(area * aspect), 1.0) * width
    top = jax.random.uniform(row_key) * (height - crop_height)
    left = jax.random.uniform(column_key) * (width - crop_width)
    zoom = size / jnp.stack([crop_height, crop_width])
    crop = jax.image.scale_and_translate(
        image, (size, size, 3), (0, 1), zoom, -zoom * jnp.stack([top, left]), "linear"
    )
    return jnp.where(flip & jax.random.bernoulli(flip_key), crop[:, ::-1], crop)


def make_views(key, cur, ref, *, config: ViewsConfig, img_size: int, patch_size: int) -> dict:
    """The views that `training.steps` learns from.

    Args:
      key: of this step; the same key gives the same views on any number of devices.
      cur, ref: frames t and t+δ, uint8 [B, S, S, 3].
      config: kinds and sizes of the views.
      img_size: side of the network's frames, pixels; frames of another size are resized.

    Returns:
      float32 images with S = `img_size`: `cur`, `ref`, and `rep` (t with patches of t+δ),
      [B, S, S, 3]; as the config asks, `global` [B, G, S, S, 3] and `local` [B, L, s, s, 3] of
      frame t+δ.
    """
    cur, ref = cur[:: config.pair_every], ref[:: config.pair_every]
    if config.registered:
        ref = jax.vmap(align)(*(x.astype(jnp.float32) for x in (ref, cur)))
    shape = len(cur), img_size, img_size, 3
    cur, ref = (jax.image.resize(normalize(x), shape, "linear") for x in (cur, ref))
    swap_key, global_key, local_key = jax.random.split(key, 3)
    views = {"cur": cur, "ref": ref, "rep": cur}
    if config.swap != "none":
        views["rep"] = _swap(swap_key, cur, ref, config, patch_size)

    def crops(key, count: int, size: int, scale: tuple[float, float]):
        crop = functools.partial(random_crop, size=size, scale=scale, flip=config.flip)
        keys = jax.random.split(key, (len(ref), count))
        return jax.vmap(jax.vmap(crop, (0, None)))(keys, ref)

    if config.global_crops:
        views["global"] = crops(global_key, config.global_crops, img_size, config.global_scale)
    if config.local_crops:
        views["local"] = crops(local_key, config.local_crops, config.local_size, config.local_scale)
    return views


def known_pairs(batch: dict) -> dict:
    """The pairs with known motion of a batch, if it has them, their frames normalized.

    See `synthetic.known_pairs`, whose arrays have one more axis in front here.
    """
    if "displacement" not in batch:
        return {}
    frames = {name: normalize(batch[name]) for name in ("reference", "moved")}
    return {f"known_{name}": frames.get(name, batch[name]) for name in KNOWN}


def _swap(key, cur, ref, config: ViewsConfig, patch_size: int):
    """Frames t with some patches replaced, a mask of its own for each."""
    arguments = cur.shape[1] // patch_size, config.swap_ratio
    draw = uniform_mask
    if config.swap == "blocks":
        draw, arguments = blocks_mask, (*arguments, config.swap_min_patches, config.swap_aspect)
    mask = jax.vmap(lambda key: draw(key, *arguments))(jax.random.split(key, len(cur)))
    pixels = jnp.repeat(jnp.repeat(mask, patch_size, 1), patch_size, 2)
    return jnp.where(pixels[..., None], ref if config.swap_with == "ref" else 0.0, cur)
