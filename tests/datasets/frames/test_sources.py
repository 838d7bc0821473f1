"""Sources of a corpus: lists of clips, trees with depth maps, clips left out."""

import json

import numpy as np
import pytest
from helpers import films, vendor_trees

from micron_jax.cli import main
from micron_jax.data.pairs import Clip
from micron_jax.datasets.frames import describe, open_frames, sources
from micron_jax.datasets.frames.builder import build
from micron_jax.errors import UserError
from micron_jax.video import clip_files, image_files


def write_video(path, count=12, fps=25.0):
    films.write_video(path, [np.full((32, 32, 3), 10 * n, np.uint8) for n in range(count)], fps)


@pytest.fixture
def folder(tmp_path):
    write_video(tmp_path / "talk.mp4")
    vendor_trees.write_frames(tmp_path / "sub01" / "EP02", range(20, 40))
    (tmp_path / "empty").mkdir()
    return tmp_path


def write_list(folder, *lines):
    path = folder / "clips.csv"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_list_as_spreadsheets_export_it(folder, encoding):
    path = folder / "clips.csv"
    path.write_text("path;name;fps\r\ntalk.mp4;Café;29,97\r\n", encoding=encoding)
    (clip,) = sources.read_list(path)
    assert (clip.name, clip.path, clip.fps) == ("Café", folder / "talk.mp4", 29.97)


def build_crops(source, data_dir, **more):
    return build(source, data_dir, size=16, crop="whole", **more)


def test_a_list_of_clips(folder):
    path = write_list(
        folder,
        "name,path,first,last,fps",
        ",talk.mp4,,,",
        "start,talk.mp4,,3,50",
        ",talk.mp4,4,8,",
        f"é,{folder}/sub01/EP02,25,30,200",
        ",sub01/EP02,38,,",
    )
    build_crops(path, folder / "data", fps=60)
    records, clips = open_frames(folder / "data")
    assert clips == [
        Clip("talk.mp4", 0, 12, 60.0),
        Clip("start", 12, 4, 50.0),
        Clip("talk.mp4:4-8", 16, 5, 60.0),
        Clip("é", 21, 6, 200.0),
        Clip("sub01/EP02:38-", 27, 2, 60.0),
    ]
    levels = [image_files.decode_jpeg(records[i]["image"]).mean() for i in (12, 16, 20, 21, 26, 28)]
    np.testing.assert_allclose(levels, [0, 40, 80, 25, 30, 39], atol=6)
    # The place among the clip's files, whatever part of it is meant.
    assert [records[i]["frame"] for i in (12, 16, 21, 28)] == [0, 4, 5, 19]


def test_copies_in_a_listed_folder_are_noted(folder):
    place = folder / "sub01" / "EP02"
    (place / "img21 (1).jpg").write_bytes((place / "img30.jpg").read_bytes())
    (place / "x.heic").write_bytes(b"x")
    path = write_list(folder, "path,first", "talk.mp4,", "sub01/EP02,38", "sub01/EP02,39")
    build_crops(path, folder / "data")
    built = describe(folder / "data")
    assert (built["frames"], [note["files"] for note in built["notes"]]) == (15, [1, 1])
    assert [(note["reason"], note["examples"]) for note in built["notes"]] == [
        (
            ".heic: HEIC pictures are not read: convert to JPEG or PNG",
            [str(place / "x.heic")],
        ),
        ("left out as a copy", [str(place / "img21 (1).jpg")]),
    ]


def test_a_video_shorter_than_its_line_is_cut(folder):
    path = write_list(folder, "path,last", "talk.mp4,99")
    build_crops(path, folder / "data")
    assert describe(folder / "data")["dropped"] == [
        {"clip": "talk.mp4:0-99", "reason": "breaks off after 12 of 100 frames", "frames": 1}
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gone.mp4,,,,", r"row 2, path: .*gone.mp4 does not exist$"),
        ("clips.csv,,,,", r"row 2, path: .*clips.csv is neither a video nor a folder of images"),
        ("empty,,,,", r"row 2, path: .*empty holds no image"),
        (",1,2,,", r"row 2, path: it is empty"),
        ("talk.mp4,x,,,", r"row 2, first: 'x' is no frame's number"),
        ("talk.mp4,,-1,,", r"row 2, last: '-1' is no frame's number"),
        ("talk.mp4,5,4,,", r"row 2, last: 4 comes before first, 5"),
        ("talk.mp4,12,,,", r"row 2, first: 12, but the last frame of .*talk.mp4 is 11"),
        ("sub01/EP02,30,40,,", r"row 2, last: 40, but the last frame of .*EP02 is 39"),
        ("talk.mp4,,,fast,", r"row 2, fps: 'fast' is no rate; give 1 to 2000"),
        ("talk.mp4,,,0,", r"row 2, fps: '0' is no rate"),
        ("talk.mp4,,,,,more", r"row 2, path: the row has more fields than the first line"),
        ("talk.mp4,,,,\ntalk.mp4,,,,", r"row 3, name: 'talk.mp4' is row 2's, too"),
        ("a.mp4,,,,\n\nb.mp4,,,,", r"row 2, path: .*a.mp4 .* \(and 1 more rows like it\)"),
    ],
)
def test_a_bad_line_is_named(folder, line, words):
    path = write_list(folder, "path,first,last,fps,name", line)
    with pytest.raises(UserError, match=words) as error:
        sources.find(path)
    assert str(error.value).startswith(f"{path}: row ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            b"",
            "no column `path` in its first line; the columns are `path` and, as wanted,",
        ),
        (b"file,first\na,1\n", "no column `path`"),
        (b"path,frist\na,1\n", "column `frist` is not known"),
        (b"path\n", "lists no clip"),
        (b"path\n\x81\xff\n", "row 2: not UTF-8: save it as CSV UTF-8"),
        (b'path,name\ntalk.mp4,"a"b\n', "row 2: not readable as CSV"),
    ],
)
def test_an_invalid_list_is_refused(tmp_path, text, words):
    (tmp_path / "clips.csv").write_bytes(text)
    with pytest.raises(UserError, match=words):
        sources.find(tmp_path / "clips.csv")


def test_a_file_of_another_kind_is_refused(folder):
    with pytest.raises(UserError, match=r"talk.mp4 is neither a folder nor a list of clips \(.csv"):
        sources.find(folder / "talk.mp4")


def test_casme3_without_its_depth_maps(tmp_path, capsys):
    tree = vendor_trees.write_casme3(tmp_path / "casme3")
    (tmp_path / "without.txt").write_text("# depth is no picture of a face\n*/depth\nnobody/*\n")
    arguments = ["--source", str(tree), "--data-dir", str(tmp_path / "data"), "--crop", "whole"]
    arguments += ["--size", "16", "--exclude", str(tmp_path / "without.txt"), "--workers", "1"]
    report = tmp_path / "report.json"
    assert main(["data", "build", "frames", *arguments, "--json", str(report)]) == 0
    out, err = capsys.readouterr()
    assert "clips: 2, frames: 40, " in out
    assert "left out (--exclude): 2 clips" in out
    assert f"{tmp_path}/without.txt: no clip is called nobody/*" in err
    names = [clip.name for clip in open_frames(tmp_path / "data")[1]]
    assert names == ["part_A/spNO.1/a/color", "part_A/spNO.2/b/color"]
    facts = json.loads(report.read_text())
    assert facts["excluded"] == ["part_A/spNO.1/a/depth", "part_A/spNO.2/b/depth"]
    assert (facts["clips"], facts["frames"], facts["skipped"]) == (2, 40, [])


def test_subjects_of_a_benchmark_are_left_out(folder):
    report = {"set": "casme2", "corpus": {"leave_out": ["sub01/EP02"]}}
    (folder / "leak.json").write_text(json.dumps(report))
    build_crops(folder, folder / "data", exclude=folder / "leak.json")
    assert [clip.name for clip in open_frames(folder / "data")[1]] == ["talk.mp4"]
    assert describe(folder / "data")["excluded"] == ["sub01/EP02"]
    with pytest.raises(UserError, match="was built with other clips left out"):
        build_crops(folder, folder / "data")


def test_names_and_patterns():
    clips = [clip_files.ClipFiles(name, None, 1, 1) for name in ("a/1", "a/2", "b[1]", "b1")]
    rest, excluded, idle = sources.leave_out(clips, ["b[1]", "a/?", "a/?", "A/1", "b"])
    assert [clip.name for clip in rest] == ["b1"]
    assert excluded == ["a/1", "a/2", "b[1]"]
    assert idle == ["A/1", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"set": "casme2"}', "has no `corpus.leave_out`; give the file that data check NAME"),
        ('{"corpus": ', "no `corpus.leave_out`"),
        ("*\n", "leaves none of the 2 clips"),
        (None, "does not exist"),
    ],
)
def test_a_bad_list_of_excluded_clips_is_refused(folder, text, words):
    path = folder / "without.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=words) as error:
        build_crops(folder, folder / "data", exclude=path)
    assert str(error.value).startswith(str(path))
    assert not (folder / "data").exists()
