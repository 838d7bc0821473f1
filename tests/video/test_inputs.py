from helpers import drawn

from micron_jax.video.inputs import find_inputs


def test_photographs_in_folders_are_single_clips(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        drawn.write(tmp_path / name, 1)
    assert [clip.count for clip in find_inputs([tmp_path])] == [2, 1]
    stills = find_inputs([tmp_path], stills=True)
    assert [clip.name for clip in stills] == [
        str(tmp_path / name) for name in ("a/1.png", "a/2.png", "b/1.png")
    ]
