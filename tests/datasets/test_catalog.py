"""Each benchmark on a tree as its vendor lays it out: counts, labels, subjects, frames, quirks."""

from collections import Counter

import pytest
from helpers import vendor_trees as trees

from micron_jax.datasets.catalog import clip_set
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.clips_builder import build_clips


def build(name, root, tmp_path, **settings):
    """(records, samples, description)"""
    assert build_clips(clip_set(name), root, tmp_path / "data", **settings)
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


def test_smic_has_one_surprise_labeled_negative(root, tmp_path):
    trees.write_smic(root, suffix=".xlsx")
    _, samples, about = build("smic_hs", root, tmp_path)
    assert samples[2].emotion == "surprise"
    (mended,) = about["mended"]
    assert (mended["clip"], mended["field"]) == ("s18_sur_03", "emotion")
    assert (mended["was"], mended["now"]) == ("negative", "surprise")


def test_smic_takes_the_frame_nearest_to_a_missing_middle(root, tmp_path):
    trees.write_smic(root, suffix=".xlsx")
    folder = root / "SMIC_all_cropped" / "HS" / "s1" / "micro" / "negative" / "s1_ne_01"
    (folder / "reg_image102.bmp").unlink()
    source, samples, about = build("smic_hs", root, tmp_path, keep="pair")
    assert times(samples[0]) == (100, 101, 105)
    assert source[0]["frames"]["number"] == [100, 101]
    assert about["skipped"] == []


def test_smic_modalities_are_separate_sets(root, tmp_path):
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


def test_casme3_part_a(root, tmp_path):
    source, samples, about = build("casme3", trees.write_casme3(root), tmp_path, strict=True)
    # Subject and Filename are no key: the onset belongs to it.
    assert [s.clip for s in samples] == ["spNO.1/a/3", "spNO.1/a/12", "spNO.2/b/2"]
    assert [s.subject for s in samples] == ["spNO.1", "spNO.1", "spNO.2"]
    assert [times(s) for s in samples] == [(3, 5, 8), (12, 13, 14), (2, 4, 6)]  # from text
    assert [s.emotion for s in samples] == ["disgust", "others", "Others"]  # both are known
    assert {s.fps for s in samples} == {30.0}
    assert source[1]["frames"]["number"] == [12, 13, 14]
    color = root / "part_A" / "spNO.1" / "a" / "color" / "12.jpg"
    assert source[1]["frames"]["image"][0] == color.read_bytes()  # not the depth map
    assert about["mended"] == []


def test_casme3_cut_clips(root, tmp_path):
    source, samples, _ = build("casme3", trees.write_casme3(root, cut=True), tmp_path)
    assert len(samples) == 3  # though the folders are spNo.1_a_3
    assert source[0]["frames"]["number"] == [3, 4, 5, 6, 7, 8]


def test_casme3_has_five_rows_out_of_order(root, tmp_path):
    rows = [
        trees.casme3_row("spNO.1", "a", 3, 9, 8),  # apex after offset
        trees.casme3_row("spNO.1", "b", 0, 0, 6),  # files count from 1
        trees.casme3_row("spNO.2", "c", 7, 9, 4),  # offset before onset
        trees.casme3_row("spNO.2", "d", 9, 8, 5),  # nothing plausible is left
    ]
    _, samples, about = build("casme3", trees.write_casme3(root, rows), tmp_path)
    assert [times(s) for s in samples] == [(3, 5, 8), (1, 1, 6), (7, 9, 9)]
    changes = [(m["row"], m["field"], m["was"], m["now"]) for m in about["mended"]]
    assert changes == [
        (2, "apex", "9", "5"),
        (3, "onset", "0", "1"),
        (3, "apex", "0", "1"),
        (4, "offset", "4", "9"),
    ]
    (skipped,) = about["skipped"]
    assert (skipped["row"], skipped["reason"]) == (5, "offset 5 before onset 9")


def test_more_rows_out_of_order_than_known_are_not_mended(root, tmp_path):
    rows = [trees.casme3_row("spNO.1", "abcdef"[i], 3, 9, 8) for i in range(6)]
    rows.append(trees.casme3_row("spNO.1", "g", 3, 5, 8))
    _, samples, about = build("casme3", trees.write_casme3(root, rows), tmp_path)
    assert (len(samples), len(about["skipped"]), about["mended"]) == (1, 6, [])


def test_casme3_part_c(root, tmp_path):
    rows = [(1, 1, 3, 8, "4，7", "negative"), (1, 2, 12, 14, None, "others")]
    rows.append((12, 1, 2, 5, "1", "positive"))
    source, samples, about = build("casme3_c", trees.write_casme3_c(root, rows), tmp_path)
    assert [s.clip for s in samples] == ["01/1/3", "01/2/12", "12/1/2"]
    assert [s.subject for s in samples] == ["01", "01", "12"]
    assert [times(s) for s in samples] == [(3, 5, 8), (12, 13, 14), (2, 3, 5)]
    assert [s.action_units for s in samples] == ["4，7", "", "1"]
    assert "no apex" in about["notes"][0]
    assert source[1]["frames"]["number"] == [12, 13, 14]


def test_mmew(root, tmp_path):
    source, samples, _ = build("mmew", trees.write_mmew(root), tmp_path, strict=True)
    assert [s.clip for s in samples] == ["S13-07-001", "S05-03-002"]
    assert [s.subject for s in samples] == ["S13", "S05"]
    assert [s.emotion for s in samples] == ["anger", "others"]  # the latter lies in repression
    assert {s.fps for s in samples} == {90.0}
    place = root / "MMEW_Final" / "Micro_Expression" / "repression" / "S05-03-002" / "1.jpg"
    assert source[1]["frames"]["image"][0] == place.read_bytes()


@pytest.mark.parametrize("keep", ["clip", "pair"])
def test_mmew_has_rows_with_a_bad_apex_or_offset(root, tmp_path, keep):
    rows = [
        [*trees.casme2_row("S13", "S13-07-001", 1, "/", 8, "anger"), None],
        [*trees.casme2_row("S13", "S13-07-002", 1, 40, 75, "anger"), None],
        [*trees.casme2_row("S13", "S13-07-003", 30, 40, 75, "anger"), None],
        [*trees.casme2_row("S14", "S14-07-001", 1, 4, 9, "anger"), None],
    ]
    _, samples, about = build("mmew", trees.write_mmew(root, rows), tmp_path, keep=keep)
    assert [times(s) for s in samples] == [(1, 4, 8), (1, 5, 9), (1, 4, 9)]
    changes = [(m["row"], m["field"], m["was"], m["now"]) for m in about["mended"]]
    assert changes == [(2, "apex", "/", "4"), (3, "offset", "75", "9"), (3, "apex", "40", "5")]
    assert [skip["row"] for skip in about["skipped"]] == [4]


def test_fourdme(root, tmp_path):
    rows = [
        ("01", "s01_f1", 11, 13, 15, "AU4", "Negative"),
        (2, "s02_f1", 5, 6, 8, "AU1+AU2(k)", "Negative+Surprise"),
    ]
    source, samples, _ = build("fourdme", trees.write_fourdme(root, rows), tmp_path, strict=True)
    assert [s.clip for s in samples] == ["01/s01_f1", "2/s02_f1"]
    assert [s.emotion for s in samples] == ["Negative", "Negative+Surprise"]
    assert [times(s) for s in samples] == [(11, 13, 15), (5, 6, 8)]
    assert {s.fps for s in samples} == {60.0}
    assert source[1]["frames"]["number"] == [5, 6, 7, 8]
