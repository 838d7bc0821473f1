import cv2
import numpy as np
from helpers import drawn

from micron_jax.faces.crop_registration import register_crops, residual_flow


def test_a_head_is_registered_although_the_wall_stands_still():
    def scene(shift):
        image = cv2.resize(drawn.texture(9, (75, 75), grain=1), (224, 224))  # many corners
        x, y = np.meshgrid(np.arange(224), np.arange(224))
        head = ((x - 112) / 74) ** 2 + ((y - 108) / 103) ** 2 <= 1
        face = cv2.resize(drawn.face(3), (224, 224))
        return np.where(head[..., None], np.roll(face, shift, axis=1), image)

    still, moved = scene(0), scene(3)
    registered, registration = register_crops(moved, still)
    assert not registration.refused
    center = registration.transform @ (112, 108, 1) - (112, 108)
    np.testing.assert_allclose(center, [3, 0], atol=0.5)
    inside = np.s_[60:160, 70:150]
    apart = np.abs(registered[inside].astype(int) - still[inside]).mean()
    assert apart < 0.3 * np.abs(moved[inside].astype(int) - still[inside]).mean()


def test_flow_is_in_px_of_the_network_s_input():
    frame = drawn.texture(1, (128, 128), grain=4)
    flow = residual_flow(frame, np.roll(frame, 2, axis=1), 8, 32)
    np.testing.assert_allclose(np.median(flow), 2 * 32 / 128, rtol=0.1)
