"""Each benchmark on a tree as its vendor lays it out: counts, labels, subjects, frames, quirks."""

from collections import Counter

import pytest
import vendor_trees as trees

from micron_jax.datasets.catalogue import builder_class
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.clips_builder import build_clips


def build(name, root, tmp_path, **changed):
    """(records, samples, description)"""
    assert build_clips(builder_class(name), root, tmp_path / "data", **changed)
    source, samples = open_clips(tmp_path / "data", name)
    assert len(source) == len(samples)
    return source, samples, describe_clips(tmp_path / "data", name)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "source"


def times(sample):
    return sample.onset, sample.apex, sample.offset


def test_casme2(root, tmp_path):
    source, samples, about = build("casme2", trees.write_casme2(root), tmp_path)
    assert [sample.clip for sample in samples] == [
        "sub01/EP02_01f",
        "sub01/EP03_02",
        "sub04/EP12_01f",
    ]
    assert [sample.subject for sample in samples] == ["01", "01", "04"]  # the last: a number
    assert times(samples[0]) == (46, 49, 52)
    assert (samples[1].emotion, samples[1].action_units) == ("others", "4+L10")
    assert {sample.fps for sample in samples} == {200.0}
    record = source[0]
    assert record["frames"]["number"] == [*range(46, 53)]
    on_disk = root / "CASME2-RAW" / "sub01" / "EP02_01f" / "img49.jpg"
    assert record["frames"]["image"][3] == on_disk.read_bytes()
    assert record["sheet"] == b"CASME2-coding-20190701.xlsx"
    assert (record["subject"], record["apex"], record["fps"]) == (b"01", 49, 200.0)
    assert (about["clips"], about["subjects"], about["frames"]) == (3, 2, 7 + 5 + 6)
    assert about["emotions"] == {"happiness": 1, "others": 1, "repression": 1}


def test_casme2_has_one_clip_without_an_apex(root, tmp_path):
    _, samples, about = build("casme2", trees.write_casme2(root), tmp_path, strict=True)
    assert times(samples[2]) == (10, 12, 15)
    (mended,) = about["mended"]
    assert (mended["clip"], mended["row"]) == ("sub04/EP12_01f", 4)
    assert (mended["field"], mended["was"], mended["now"]) == ("apex", "/", "12")
    assert "no apex" in mended["reason"]


def test_a_corrected_sheet_is_left_alone(root, tmp_path):
    rows = [trees.casme2_row(4, "EP12_01f", 10, 14, 15)]
    _, samples, about = build("casme2", trees.write_casme2(root, rows), tmp_path)
    assert times(samples[0]) == (10, 14, 15)
    assert about["mended"] == []


def test_casme2_cropped(root, tmp_path):
    source, _, _ = build("casme2", trees.write_casme2(root, frames="Cropped"), tmp_path)
    on_disk = root / "Cropped" / "sub01" / "EP02_01f" / "reg_img46.jpg"
    assert source[0]["frames"]["image"][0] == on_disk.read_bytes()


def test_a_pair_is_onset_and_apex(root, tmp_path):
    source, samples, about = build("casme2", trees.write_casme2(root), tmp_path, keep="pair")
    assert [source[i]["frames"]["number"] for i in range(3)] == [[46, 49], [131, 133], [10, 12]]
    assert times(samples[0]) == (46, 49, 52)
    assert (about["frames"], about["keep"]) == (6, "pair")


def test_samm(root, tmp_path):
    source, samples, about = build("samm", trees.write_samm(root), tmp_path, strict=True)
    assert [sample.subject for sample in samples] == ["006", "028", "032"]
    assert [sample.clip for sample in samples] == ["006_1_2", "028_4_1", "032_3_1"]
    assert [sample.emotion for sample in samples] == ["Happiness", "Other", "Anger"]
    assert times(samples[0]) == (562, 565, 570)
    assert times(samples[1]) == (10, 15, 20)
    assert times(samples[2]) == (9990, 9997, 10004)
    assert [mend["clip"] for mend in about["mended"]] == ["028_4_1", "032_3_1"]
    assert [mend["row"] for mend in about["mended"]] == [16, 17]  # as the spreadsheet counts
    # The number's padding varies, and 9999 is followed by 10000.
    assert source[2]["frames"]["number"] == [*range(9990, 10005)]
    assert source[0]["frames"]["number"] == [*range(562, 571)]


def test_smic_hs(root, tmp_path):
    pytest.importorskip("xlwt")  # an .xls, as SMIC's are
    source, samples, about = build("smic_hs", trees.write_smic(root), tmp_path, strict=True)
    assert [sample.subject for sample in samples] == ["1", "3", "18"]
    assert Counter(sample.emotion for sample in samples) == about["emotions"]
    assert times(samples[0]) == (100, 102, 105)  # no apex: the middle
    assert about["notes"] == [
        "SMIC has no apex: the middle of onset and offset is taken, as the field does"
    ]
    assert {sample.fps for sample in samples} == {100.0}
    assert source[0]["frames"]["image"][0][:2] == b"BM"  # as on disk


def test_smic_names_one_surprise_negative(root, tmp_path):
    trees.write_smic(root, suffix=".xlsx")
    _, samples, about = build("smic_hs", root, tmp_path)
    assert samples[2].emotion == "surprise"
    (mended,) = about["mended"]
    assert (mended["clip"], mended["field"]) == ("s18_sur_03", "emotion")
    assert (mended["was"], mended["now"]) == ("negative", "surprise")


def test_smic_modalities_are_kept_apart(root, tmp_path):
    trees.write_smic(root, suffix=".xlsx")
    rows = [[1, 11, "s11_ne_01", 4, 9, "negative"]]
    trees.write_smic(root, "VIS", rows, suffix=".xlsx")
    _, samples, _ = build("smic_vis", root, tmp_path)
    assert [(s.clip, s.fps, s.dataset) for s in samples] == [("s11_ne_01", 25.0, "smic_vis")]


def test_a_long_smic_clip_holds_several(root, tmp_path):
    header = [*trees.SMIC_HEADER, "Onset2F", "Offset2F", "Onset3F", "Offset3F"]
    row = [1, 2, "s02_ne_01", 10, 14, "negative", 20, 23, None, None]
    trees.write_sheet(root / "SMIC-HS-E_annotation.xlsx", header, [row], "Sheet1")
    trees.write_frames(root / "HS" / "s02" / "s02_ne_01", range(1, 40), "image{:06}.jpg")
    source, samples, _ = build("smic_hs", root, tmp_path)
    assert [sample.clip for sample in samples] == ["s02_ne_01", "s02_ne_01#2"]
    assert [times(sample) for sample in samples] == [(10, 12, 14), (20, 21, 23)]
    assert source[1]["frames"]["number"] == [20, 21, 22, 23]


def test_smic_nir_needs_no_sheet(root, tmp_path):
    trees.write_smic(root, suffix=".xlsx")
    folder = root / "SMIC_all_cropped" / "NIR" / "s11" / "micro" / "positive" / "s11_po_02"
    trees.write_frames(folder, range(5, 12), "reg_image{}.bmp")
    _, samples, about = build("smic_nir", root, tmp_path)
    (sample,) = samples
    assert (sample.clip, sample.subject, sample.emotion) == ("s11_po_02", "11", "positive")
    assert times(sample) == (5, 8, 11)
    assert "the emotion is the folder's name" in about["notes"][1]
