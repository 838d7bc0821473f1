import pytest
from helpers import drawn

from micron_jax.errors import UserError
from micron_jax.faces import landmarks
from micron_jax.synthetic.stills import make_stills


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)


def test_a_face_becomes_a_clip_of_equal_frames(tmp_path):
    drawn.write(tmp_path / "pictures" / "two.png", 1, 2)
    count, left_out = make_stills(tmp_path / "pictures", tmp_path / "out", size=64, frames=5)
    assert count == 2
    assert not left_out
    for number in (1, 2):
        frames = sorted((tmp_path / "out" / f"face_{number:04d}").iterdir())
        assert [path.name for path in frames] == [f"img{n}.jpg" for n in range(1, 6)]
        assert len({path.read_bytes() for path in frames}) == 1


def test_a_clip_of_one_frame_is_refused(tmp_path):
    drawn.write(tmp_path / "pictures" / "one.png", 1)
    with pytest.raises(UserError, match="frames"):
        make_stills(tmp_path / "pictures", tmp_path / "out", frames=1)
    assert not (tmp_path / "out").exists()
