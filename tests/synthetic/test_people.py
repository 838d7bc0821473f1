import os

import numpy as np
import pytest
from helpers import drawn

from micron_jax.errors import UserError
from micron_jax.faces import landmarks
from micron_jax.synthetic import people, samples


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)


def test_every_face_is_a_person_and_copies_are_left_out(tmp_path):
    drawn.write(tmp_path / "b.png", 1, 2, 3)
    drawn.write(tmp_path / "a.jpg", 4)
    drawn.write(tmp_path / "copy.png", 4)
    drawn.write(tmp_path / "anna" / "1.png", 5)
    drawn.write(tmp_path / "anna" / "2.png", 6)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("")
    drawn.write(tmp_path / ".hidden.png", 7)
    persons, left_out = people.find_people(tmp_path)
    assert [(person.name, person.group) for person in persons] == [
        ("a.jpg", "a.jpg"),
        ("anna/1.png", "anna"),
        ("anna/2.png", "anna"),
        ("b.png", "b.png"),
        ("b.png#2", "b.png"),
        ("b.png#3", "b.png"),
    ]
    assert left_out == [
        {"face": ".hidden.png", "reason": "hidden files: 1"},
        {"face": "broken.jpg", "reason": "not a whole image"},
        {"face": "copy.png", "reason": "the same picture as a.jpg"},
    ]


def test_faces_are_unfit_for_a_reason():
    points, shape = landmarks.CANONICAL * 320, (320, 320)
    assert people.unfit(points, shape) is None
    assert people.unfit(points * 0.3, shape) == "too small"
    assert people.unfit(points + 150.0, shape) == "cut by the picture's border"
    points[2] += (60, 0)  # the nose beside the mouth
    assert people.unfit(points, shape) == "not a front view"


@pytest.mark.parametrize("seed", range(5))
def test_splits_keep_groups_together(seed):
    groups = list("aaaabbcdefghij")
    splits = people.draw_splits(groups, np.random.default_rng(seed))
    for group in set(groups):
        assert (
            len({split for name, split in zip(groups, splits, strict=True) if name == group}) == 1
        )
    assert splits[0] == "train"  # the largest
    counts = [splits.count(name) for name in people.SPLITS]
    assert sum(counts) == 14
    assert abs(counts[0] - 8.4) < 1.5
    assert min(counts[1:]) >= 2


def test_splits_are_empty_only_without_enough_groups():
    for groups in (list("abc"), list("aaaaaaaabc"), list("abcd")):
        assert set(people.draw_splits(groups, np.random.default_rng(0))) == set(people.SPLITS)
    assert people.draw_splits(["a"] * 9, np.random.default_rng(0)) == ["train"] * 9
    assert len(set(people.draw_splits(list("ab"), np.random.default_rng(0)))) == 2


def test_too_few_people_names_both_counts(tmp_path):
    drawn.write(tmp_path / "a.png", 1, 2)
    persons, _ = people.find_people(tmp_path)
    with pytest.raises(UserError, match=r"subjects=3: .* show 2 usable faces"):
        people.draw_people(persons, 3, np.random.default_rng(0))
    assert len(people.draw_people(persons, None, np.random.default_rng(0))) == 2


def test_useless_folders_are_named(tmp_path):
    with pytest.raises(UserError, match=r"gone does not exist"):
        people.find_people(tmp_path / "gone")
    with pytest.raises(UserError, match="holds no picture"):
        people.find_people(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"no usable face in 1 pictures \(a.jpg: not a whole image\)"
    ):
        people.find_people(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        people.find_people(tmp_path / "a.jpg")


@pytest.mark.slow
def test_the_sample_stills_show_ten_people(tmp_path, monkeypatch):
    monkeypatch.undo()
    samples.fetch(tmp_path, samples.STILLS)
    persons, left_out = people.find_people(tmp_path)
    assert (len(persons), left_out) == (10, [])
    assert [person.picture for person in persons].count("multi_face.jpg") == 5


def test_what_is_no_picture_is_told(tmp_path):
    drawn.write(tmp_path / "a.png", 1)
    for name in ("a.mp4", "b.mp4", "c.heic", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    with open(os.fsencode(tmp_path) + b"/\xc4.png", "wb") as file:
        file.write(b"no picture")
    persons, left_out = people.find_people(tmp_path)
    assert [person.name for person in persons] == ["a.png"]
    assert left_out == [
        {"face": "a.mp4, b.mp4", "reason": "films, of which no picture is taken: 2"},
        {
            "face": "c.heic",
            "reason": ".heic: HEIC pictures are not read: convert to JPEG or PNG: 1",
        },
        {"face": "\\udcc4.png", "reason": "not a whole image"},
    ]


def test_linked_folders_are_searched(tmp_path):
    drawn.write(tmp_path / "far" / "a.png", 1)
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far")
    persons, _ = people.find_people(tmp_path / "near")
    assert [person.name for person in persons] == ["link/a.png"]
