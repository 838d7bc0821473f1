"""Builders of all benchmarks: bad input, questions, strictness, whole or not at all."""

import os
import shutil
import sys

import pytest
from helpers import vendor_trees as trees

from micron_jax.datasets import clips_builder
from micron_jax.datasets.catalog import SETS, clip_set
from micron_jax.datasets.check import check
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.errors import UserError

ROW = trees.casme2_row


@pytest.fixture
def root(tmp_path):
    return tmp_path / "source"


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def build(root, data, name="casme2", **settings):
    return build_clips(clip_set(name), root, data, others=SETS.values(), **settings)


def refusal_of(words, root, data, name="casme2", **settings):
    """Builds, expects one line with these words and nothing written; returns the line."""
    with pytest.raises(UserError) as error:
        build(root, data, name, **settings)
    line = str(error.value)
    for word in [words] if isinstance(words, str) else words:
        assert word in line
    assert "\n" not in line
    assert not data.exists()
    return line


def test_a_build_needs_no_tensorflow_and_writes_the_set_alone(root, data, tmp_path):
    trees.write_casme2(root)
    before = sorted(root.rglob("*"))
    build(root, data)
    assert sorted(root.rglob("*")) == before
    assert {path.name for path in (data / "casme2").iterdir()} == {"clip", ".config"}
    assert {path.name for path in tmp_path.iterdir()} == {"source", "data"}
    assert "tensorflow" not in sys.modules


def test_many_shards_read_as_one(root, data, monkeypatch):
    monkeypatch.setattr(clips_builder, "BYTES_PER_SHARD", 1)
    trees.write_casme2(root)
    build(root, data)
    assert len(list(data.rglob("*array_record*"))) == 3
    source, samples = open_clips(data, "casme2")
    assert [source[i]["clip"].decode() for i in range(3)] == [sample.clip for sample in samples]


def test_a_missing_source(root, data):
    refusal_of(["does not exist", "source must name the folder"], root, data)


def test_a_root_without_sheet_names_the_nearest(root, data):
    trees.write_casme2(root)
    (root / "CASME2-coding-20190701.xlsx").rename(root / "CASME2coding.xlsx")
    words = ["no sheet of casme2", "casme2-coding-*.xls*", "nearest match: CASME2coding.xlsx"]
    refusal_of(words, root, data)
    assert build(root, data, sheet=root / "CASME2coding.xlsx")


def test_a_root_without_frames_names_the_expected_and_the_nearest_folder(root, data):
    trees.write_casme2(root)
    for folder in (root / "CASME2-RAW").iterdir():
        folder.rename(folder.with_name(folder.name.replace("sub", "subject")))
    words = ["expected a folder such as sub01/EP02_01f", "CASME2-RAW/subject01/EP02_01f)"]
    refusal_of(words, root, data)


def test_the_sheet_of_another_set_is_named(root, data):
    trees.write_casme2(root)
    trees.write_samm(root / "samm")
    sheet = root / "samm" / "SAMM_Micro_FACS_Codes_v2.xlsx"
    words = ["reads like the sheet of samm, not of casme2", "no column 'OnsetFrame'"]
    refusal_of(words, root, data, sheet=sheet)


def test_a_missing_column_is_named(root, data):
    trees.write_casme2(root)
    header = [name if name != "ApexFrame" else "Peak" for name in trees.CASME2_HEADER]
    path = root / "CASME2-coding-20190701.xlsx"
    path.unlink()
    trees.write_sheet(path, header, trees.CASME2_ROWS)
    refusal_of(["no column 'ApexFrame'", "its header reads: Subject, Filename", "Peak"], root, data)


def test_a_column_that_occurs_twice_is_named(root, data):
    trees.write_casme2(root)
    path = root / "CASME2-coding-20190701.xlsx"
    path.unlink()
    rows = [[*row, 5] for row in trees.CASME2_ROWS]
    trees.write_sheet(path, [*trees.CASME2_HEADER, "apexframe"], rows)
    refusal_of([path.name, "two columns 'ApexFrame'"], root, data)


def test_a_folder_that_cannot_be_opened_is_named(root, data, monkeypatch):
    trees.write_casme2(root)
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("EP02_01f"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    refusal_of("EP02_01f: cannot be opened (Permission denied)", root, data)


def test_linked_folders_are_followed(root, data, tmp_path):
    trees.write_casme2(root)
    (root / "CASME2-RAW").rename(tmp_path / "elsewhere")
    (root / "CASME2-RAW").symlink_to(tmp_path / "elsewhere")
    (root / "CASME2-RAW" / "sub01" / "loop").symlink_to(root)
    assert build(root, data)
    assert len(open_clips(data, "casme2")[1]) == 3


def test_columns_are_found_wherever_they_stand(root, data):
    trees.write_casme2(root)
    path = root / "CASME2-coding-20190701.xlsx"
    path.unlink()
    header = ["more", *reversed([f" {name} ".upper() for name in trees.CASME2_HEADER if name])]
    rows = [
        ["x", *reversed([c for i, c in enumerate(r) if i not in (2, 6)])] for r in trees.CASME2_ROWS
    ]
    trees.write_sheet(path, header, rows, before=[[], ["notes"]])
    build(root, data)
    _, samples = open_clips(data, "casme2")
    assert (samples[0].clip, samples[0].onset, samples[0].offset) == ("sub01/EP02_01f", 46, 52)


def test_old_xls_is_read(root, data):
    pytest.importorskip("xlwt")
    trees.write_samm(root, suffix=".xls")
    assert build(root, data, "samm")
    assert [sample.subject for sample in open_clips(data, "samm")[1]] == ["006", "028", "032"]


def test_a_broken_workbook(root, data):
    trees.write_casme2(root)
    (root / "CASME2-coding-20190701.xlsx").write_bytes(b"<html>")
    refusal_of("cannot be read as a spreadsheet", root, data)


def test_an_empty_sheet(root, data):
    trees.write_casme2(root)
    path = root / "CASME2-coding-20190701.xlsx"
    path.unlink()
    trees.write_sheet(path, trees.CASME2_HEADER, [])
    refusal_of("no line below its header", root, data)


def test_a_workbook_without_the_sheet(root, data):
    trees.write_samm(root)
    path = root / "SAMM_Micro_FACS_Codes_v2.xlsx"
    path.unlink()
    trees.write_sheet(path, trees.SAMM_HEADER, trees.SAMM_ROWS, "ALL")
    refusal_of(["has no sheet MICRO_ONLY; it has: ALL"], root, data, "samm")


def test_two_sheets_need_a_choice(root, data):
    trees.write_casme2(root)
    old = trees.write_sheet(
        root / "CASME2-coding-20140508.xlsx", trees.CASME2_HEADER, trees.CASME2_ROWS[:1]
    )
    refusal_of(["two sheets fit", "20140508.xlsx", "20190701.xlsx", "by sheet"], root, data)
    build(root, data, sheet=old)
    assert describe_clips(data, "casme2")["sheet"]["file"] == old.name
    # A copy of the same file is no question.
    old.unlink()
    shutil.copy(root / "CASME2-coding-20190701.xlsx", root / "CASME2-coding-copy.xlsx")
    assert build(root, data.with_name("more"))


def test_raw_and_cropped_frames_need_a_choice(root, data):
    trees.write_casme2(root)
    trees.write_casme2(root / "x", frames="Cropped")
    (root / "x" / "Cropped").rename(root / "Cropped")
    shutil.rmtree(root / "x")
    refusal_of(
        ["two folders of frames fit", "/CASME2-RAW (3 clips)", "/Cropped", "by frames"], root, data
    )
    refusal_of("Nowhere is no folder below", root, data, frames="Nowhere")
    build(root, data, frames="Cropped")
    source, _ = open_clips(data, "casme2")
    frame = root / "Cropped" / "sub01" / "EP02_01f" / "reg_img46.jpg"
    assert source[0]["frames"]["image"][0] == frame.read_bytes()


def test_impossible_rows_are_skipped_with_their_reason(root, data):
    rows = [
        ROW("02", "EP01_02", 5, 9, 7),
        ROW("02", "EP01_03", 5, 6, 7, "boredom"),
        ROW("02", "EP01_04", 5, "/", 7),
        ROW("02", "EP01_05", 5, 6, 7, None),
        ROW("02", "EP01_01", 5, 6, 7),
        ROW(None, "EP01_06", 5, 6, 7),
    ]
    trees.write_casme2(root, [ROW("02", "EP01_01", 5, 6, 7), *rows[:5]])
    path = root / "CASME2-coding-20190701.xlsx"
    path.unlink()
    trees.write_sheet(path, trees.CASME2_HEADER, [ROW("02", "EP01_01", 5, 6, 7), *rows])
    build(root, data)
    about = describe_clips(data, "casme2")
    assert {note["row"]: note["reason"] for note in about["skipped"]} == {
        3: "apex 9 outside onset 5 .. offset 7",
        4: "unknown emotion 'boredom'",
        5: "apex '/' is no frame number",
        6: "no emotion",
        7: "the same clip as row 2",
        8: "no subject",
    }
    assert about["clips"] == 1
    shutil.rmtree(data)
    refusal_of(["strict: 6 rows", "row 3, sub02/EP01_02: apex 9 outside"], root, data, strict=True)


def test_clips_in_which_nothing_changes_are_told(root, data):
    trees.write_casme2(root)
    build(root, data / "before")
    assert describe_clips(data / "before", "casme2")["identical"] == []
    first, *rest = sorted((root / "CASME2-RAW" / "sub01" / "EP02_01f").iterdir())
    for path in rest:
        shutil.copy(first, path)
    build(root, data)
    (entry,) = describe_clips(data, "casme2")["identical"]
    assert entry["clip"] == "sub01/EP02_01f"
    assert "frames are the same file, byte for byte" in entry["reason"]


def test_missing_frames(root, data):
    rows = [ROW("02", f"EP01_0{i}", 5, 6, 9) for i in (1, 2, 3, 4, 5)]
    trees.write_casme2(root, rows)
    clips = root / "CASME2-RAW" / "sub02"
    (clips / "EP01_02" / "img6.jpg").unlink()  # the apex
    shutil.rmtree(clips / "EP01_03")
    for path in (clips / "EP01_04").iterdir():  # an empty clip
        path.unlink()
    (clips / "EP01_05" / "img7.jpg").unlink()  # one between
    build(root, data)
    about = describe_clips(data, "casme2")
    reasons = {note["row"]: note["reason"] for note in about["skipped"]}
    assert reasons.keys() == {3, 4, 5}
    assert "no frame 6 in" in reasons[3]
    assert "(numbers of its files: 1..13)" in reasons[3]
    assert "no folder sub02/EP01_03 in" in reasons[4]
    assert "holds no image" in reasons[5]
    (gap,) = about["gaps"]
    assert (gap["row"], gap["reason"][:28]) == (6, "1 of its 5 frames are missin")
    source, _ = open_clips(data, "casme2")
    assert source[1]["frames"]["number"] == [5, 6, 8, 9]
    build(root, data, keep="pair")  # does not need the frame between
    assert describe_clips(data, "casme2", "pair")["gaps"] == []
    shutil.rmtree(data)
    refusal_of("strict: 4 rows", root, data, strict=True)


@pytest.mark.parametrize("cut", [0, 100])
def test_truncated_frames(root, data, cut):
    trees.write_casme2(root, [ROW("02", "EP01_01", 5, 6, 7), ROW("02", "EP01_02", 5, 6, 7)])
    path = root / "CASME2-RAW" / "sub02" / "EP01_02" / "img6.jpg"
    path.write_bytes(path.read_bytes()[:cut])
    words = ["strict: row 3, sub02/EP01_02: img6.jpg: not a whole image"]
    refusal_of(words, root, data, strict=True)
    build(root, data)
    (note,) = describe_clips(data, "casme2")["skipped"]
    assert (note["row"], note["reason"]) == (3, "img6.jpg: not a whole image")
    source, samples = open_clips(data, "casme2")
    assert (len(source), len(samples)) == (1, 1)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("img06.jpg", "two files of frame 6, img06.jpg and img6.jpg"),
        ("reg_img6.jpg", "names of 2 kinds, as img1.jpg (11) and reg_img6.jpg (1)"),
        ("img6 (1).jpg", "img6 (1).jpg is a copy of img6.jpg, by its name: remove it"),
    ],
)
def test_a_folder_whose_numbers_are_unclear_is_skipped(root, data, name, reason):
    trees.write_casme2(root, [ROW("02", "EP01_01", 5, 6, 7), ROW("02", "EP01_02", 5, 6, 7)])
    folder = root / "CASME2-RAW" / "sub02" / "EP01_02"
    shutil.copy(folder / "img6.jpg", folder / name)
    build(root, data)
    (note,) = describe_clips(data, "casme2")["skipped"]
    assert f"{folder}: {reason}" in note["reason"]


def test_sheets_mean_the_number_that_varies(root, data):
    trees.write_casme2(root, [ROW("02", "EP01_01", 5, 6, 7)])
    folder = root / "CASME2-RAW" / "sub02" / "EP01_01"
    for path in sorted(folder.iterdir()):
        path.rename(path.with_name(f"{path.stem}_224.jpg"))
    (folder / "cover.jpg").write_bytes((folder / "img1_224.jpg").read_bytes())
    build(root, data)
    source, _ = open_clips(data, "casme2")
    assert list(source[0]["frames"]["number"]) == [5, 6, 7]


def test_nothing_usable_leaves_nothing(root, data):
    trees.write_casme2(root, [ROW("02", "EP01_01", 5, 9, 7)])
    refusal_of(["none of the 1 samples of casme2", "row 2, sub02/EP01_01: apex 9"], root, data)


def test_only_broken_frames_leave_nothing(root, data):
    trees.write_casme2(root, [ROW("02", "EP01_01", 5, 6, 7)])
    (root / "CASME2-RAW" / "sub02" / "EP01_01" / "img5.jpg").write_bytes(b"")
    refusal_of("no clip can be used (row 2: img5.jpg: not a whole image)", root, data)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "no space left on its disk"),
        (RuntimeError("write() failed: No space left on device"), "no space left on its disk"),
        (OSError(30, "Read-only file system"), "cannot be written (Read-only file system"),
    ],
)
def test_a_full_or_read_only_disk(root, data, monkeypatch, error, words):
    def fail(*_):
        raise error

    trees.write_casme2(root)
    monkeypatch.setattr(clips_builder.ClipBuilder, "_shard", fail)
    refusal_of([f"{data}: ", words], root, data)


def test_a_data_dir_that_cannot_be_made(root, tmp_path):
    trees.write_casme2(root)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r".*file"):
        build(root, tmp_path / "file")


def test_an_interrupted_build_leaves_nothing(root, data, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    trees.write_casme2(root)
    monkeypatch.setattr(clips_builder, "_read", stop)
    with pytest.raises(KeyboardInterrupt):
        build(root, data)
    assert not data.exists()


def test_an_equal_build_is_left_alone_and_another_is_refused(root, data):
    trees.write_casme2(root)
    assert build(root, data) is True
    root.rename(root.with_name("moved"))
    assert build(root.with_name("moved"), data) is False
    trees.write_casme2(root, trees.CASME2_ROWS[:2])
    with pytest.raises(UserError, match=r"was built from .* as it was then; remove .*1\.0\.0"):
        build(root, data)


def test_pair_and_clip_can_stand_side_by_side(root, data):
    trees.write_casme2(root)
    build(root, data, keep="pair")
    assert len(open_clips(data, "casme2")[0][0]["frames"]["number"]) == 2
    build(root, data, keep="clip")
    assert len(open_clips(data, "casme2")[0][0]["frames"]["number"]) == 7
    assert len(open_clips(data, "casme2", "pair")[0][0]["frames"]["number"]) == 2


def test_labels_need_the_sheet_alone(root, data, tmp_path):
    sheet = next(trees.write_casme2(root).glob("*.xlsx"))
    alone = tmp_path / "alone" / sheet.name
    alone.parent.mkdir()
    shutil.copy(sheet, alone)
    build(root, data, keep="clip")
    expected = open_clips(data, "casme2")[1]
    for number, source in enumerate((alone, alone.parent)):
        other = data.with_name(f"labels{number}")
        assert build(source, other, keep="labels")
        records, samples = open_clips(other, "casme2", frames=False)
        assert samples == expected
        assert [len(record["frames"]["number"]) for record in records] == [0] * len(samples)
        described = describe_clips(other, "casme2")
        assert (described["keep"], described["frames"]) == ("labels", 0)
        assert described["mended"] == describe_clips(data, "casme2")["mended"]
        report = check("casme2", other)
        assert (report["clips"], report["unreadable"]) == (len(samples), [])
        with pytest.raises(
            UserError, match=r"holds the labels alone .* build it with frames: micr"
        ):
            open_clips(other, "casme2")


def test_labels_without_frames_are_refused_where_these_say_them(root, data):
    trees.write_smic(root)
    refusal_of("smic_hs has no sheet: the folders of", root, data, "smic_hs", keep="labels")
    trees.write_casme2(root)
    refusal_of("frames=x: a build of the labels alone takes none", root, data, keep="labels",
               frames="x")  # fmt: skip


def test_a_missing_set_names_the_command(data):
    with pytest.raises(UserError) as error:
        open_clips(data, "samm")
    command = f"micron-jax data build samm --source FOLDER_AS_UNPACKED --data-dir {data}"
    assert str(error.value).endswith(command)
    with pytest.raises(UserError, match="no benchmark 'casme9'; did you mean casme"):
        open_clips(data, "casme9")


@pytest.mark.parametrize("name", SETS)
def test_each_set_has_instructions_and_a_citation(name):
    spec = clip_set(name)
    builder = clips_builder.builder_class(spec)
    assert builder.name == name == spec.name
    for word in ("Ask: http", "Ask for:", "--source"):
        assert word in builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    assert spec.citation.startswith("@")
    assert "doi=" in spec.citation
    assert [config.name for config in builder.BUILDER_CONFIGS] == ["clip", "pair", "labels"]
