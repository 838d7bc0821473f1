import numpy as np
import pytest

from micron_jax.faces.parts import oval, part_of


@pytest.mark.parametrize("grid", [14, 28])
def test_parts_have_their_place_in_the_crop(grid):
    face = oval(grid)
    assert 0.4 < face.mean() < 0.6
    assert not face[0, 0]
    assert not face[-1, 0]
    assert face[grid // 2, grid // 2]
    for part, (x, y) in {
        "eyes": (0.36, 0.36),
        "brows": (0.64, 0.25),
        "mouth": (0.5, 0.68),
        "nose": (0.5, 0.5),
        "forehead": (0.5, 0.05),
        "chin": (0.5, 0.85),
        "cheeks": (0.28, 0.56),
    }.items():
        values = np.zeros((grid, grid))
        values[int(y * grid), int(x * grid)] = 1
        assert part_of(values) == part
