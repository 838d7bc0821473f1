import numpy as np
from helpers import drawn

from micron_jax.visualization.overlay import overlay


def test_patches_without_motion_show_the_face():
    face = drawn.texture(1, (64, 64))
    values = np.zeros((4, 4))
    values[0, 0] = 5
    picture = overlay(face, values, top=1.0)
    np.testing.assert_array_equal(picture[32:], face[32:])
    assert np.abs(picture[:8, :8].astype(int) - face[:8, :8]).mean() > 30
