import numpy as np
from helpers import drawn

from micron_jax.video import scenes


def test_cuts():
    a, b = (scenes.scene(drawn.texture(seed, (90, 160), 12.0)) for seed in (0, 1))
    shifted = scenes.scene(np.roll(drawn.texture(0, (90, 160), 12.0), 2, axis=1))
    assert scenes.is_cut(a, b)
    assert not scenes.is_cut(a, shifted)
