import cv2
import numpy as np

from micron_jax.datasets.survey import images_in, numbers_in, shared


def test_the_images_of_a_record():
    blob = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    assert images_in({"image": blob, "clip": blob}) == [blob]
    assert images_in({"frames": np.array([blob, b"broken"], object)}) == [blob, b"broken"]
    record = {"frames": {"image": [blob, blob], "number": [46, 47]}, "apex": 1}
    assert images_in(record) == [blob, blob]
    assert numbers_in(record, 2) == [46, 47]
    assert numbers_in({"frames": [blob]}, 1) == [0]
    assert images_in({"video": (blob,), "clip": b"sub01", "frame": 7}) == [blob]
    assert images_in({"frames": [], "clip": blob}) == []
    assert images_in({"frames": np.array([4, 5]), "jpegs": [blob]}) == [blob]
    assert images_in({"clip": b"sub01", "onset": 7}) == []


def test_shared_frames():
    digests = np.array([5, 5, 5, 9, 9, 7], np.uint64)
    owners = np.array([2, 0, 2, 1, 1, 3])
    assert shared(digests, owners) == {(0, 2): 2}
    assert shared(digests[:0], owners[:0]) == {}
