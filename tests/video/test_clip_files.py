import pytest
from helpers.films import gradient, write_image, write_video

from micron_jax.errors import UserError
from micron_jax.video.clip_files import find_clips


def test_find_clips(tmp_path):
    write_image(tmp_path / "a" / "é ü" / "img1.jpg", gradient())
    write_image(tmp_path / "a" / "é ü" / "img2.JPG", gradient())
    write_image(tmp_path / "a" / "b" / "c" / "1.png", gradient())
    write_image(tmp_path / "0.bmp", gradient())
    write_video(tmp_path / "a" / "日本.MP4", [gradient()] * 3)
    write_image(tmp_path / ".hidden" / "1.png", gradient())
    (tmp_path / "a" / "._1.jpg").write_bytes(b"resource fork")
    (tmp_path / "notes.txt").write_text("no clip")
    clips = find_clips(tmp_path)
    assert [clip.name for clip in clips] == [".", "a/b/c", "a/é ü", "a/日本.MP4"]
    assert [clip.files for clip in clips] == [1, 1, 2, 1]
    assert clips[3].bytes == (tmp_path / "a" / "日本.MP4").stat().st_size


def test_find_clips_names_bad_sources(tmp_path):
    with pytest.raises(UserError, match=r"gone does not exist"):
        find_clips(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file is not a folder"):
        find_clips(tmp_path / "file")
    with pytest.raises(UserError, match=r"no video and no image.*\.mp4"):
        find_clips(tmp_path)
