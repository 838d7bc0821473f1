"""Each benchmark on a tree as its vendor lays it out: counts, labels, subjects, frames, quirks."""

from collections import Counter

import pytest
from helpers import vendor_trees as trees

from micron_jax.datasets.catalog import clip_set
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.errors import UserError


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


@pytest.mark.parametrize("preamble", [True, False])
def test_two_apexes_of_samm_are_typing_mistakes(root, tmp_path, preamble):
    rows = [
        ["028", "028_4_1", 4, 1071, 1143, 1134, 64, "1/2", "4", "Other"],
        ["032", "032_3_1", 3, 4896, 1930, 4970, 75, "1/2", "4", "Anger"],
        ["017", "017_6_1", 6, 1107, 1143, 1178, 72, "1/2", "4", "Other"],  # 1143 is right here
    ]
    trees.write_samm(root, rows)
    if not preamble:
        (path,) = root.glob("*.xlsx")
        path.unlink()
        trees.write_sheet(root / "SAMM.xlsx", trees.SAMM_HEADER, rows, "MICRO_ONLY")
    _, samples, about = build("samm", root, tmp_path, strict=True)
    assert [sample.apex for sample in samples] == [1113, 4930, 1143]
    assert [(m["clip"], m["was"], m["now"]) for m in about["mended"]] == [
        ("028_4_1", "1143", "1113"),
        ("032_3_1", "1930", "4930"),
    ]


def test_smic_hs(root, tmp_path):
    source, samples, about = build("smic_hs", trees.write_smic(root), tmp_path, strict=True)
    assert {s.clip: (s.subject, s.emotion, *times(s)) for s in samples} == {
        "s1_ne_01": ("1", "negative", 100, 102, 105),  # no apex: the middle
        "s3_po_08": ("3", "positive", 7, 8, 10),
        "s18_sur_03": ("18", "surprise", 50, 52, 54),
    }
    assert "the middle of onset and offset is taken" in about["notes"][0]
    assert "the emotion is a folder's name" in about["notes"][1]
    assert (about["mended"], about["skipped"]) == ([], [])
    assert {sample.fps for sample in samples} == {100.0}
    assert source[0]["frames"]["image"][0][:2] == b"BM"  # as on disk


def test_smic_hs_has_clips_that_no_workbook_has(root, tmp_path):
    trees.write_smic(root)
    trees.write_smic_e(root, [(1, "s1_ne_01", [(103, 104)], 90, 120, "positive")])
    rows = [[4, 1, "s1_ne_02", 20, 24, "negative"], [5, 2, "s2_sur_05", 20, 24, "surprise"]]
    trees.write_smic(root, rows=rows)
    _, samples, about = build("smic_hs", root, tmp_path, strict=True)
    assert Counter(s.emotion for s in samples) == dict(negative=2, positive=1, surprise=2)
    (first,) = (s for s in samples if s.clip == "s1_ne_01")
    assert (first.emotion, times(first)) == ("negative", (100, 102, 105))  # not the workbook's
    assert about["sheet"]["file"] == ""
    with pytest.raises(UserError, match="smic_hs takes no sheet"):
        build("smic_hs", root, tmp_path, sheet=root / "SMIC-HS-E_annotation.xlsx")


@pytest.mark.parametrize("name", ["smic_hs", "smic_vis", "smic_nir"])
def test_smic_has_one_surprise_called_negative(root, tmp_path, name):
    modality = name[5:].upper()
    folder = root / "SMIC_all_raw" / modality / "s18" / "micro" / "negative" / "s18_sur_03"
    trees.write_frames(folder, range(4, 9), "image{}.bmp")
    _, (sample,), about = build(name, root, tmp_path, strict=True)
    assert (sample.emotion, sample.dataset) == ("surprise", name)
    (mended,) = about["mended"]
    assert (mended["clip"], mended["field"]) == ("s18_sur_03", "emotion")
    assert (mended["was"], mended["now"]) == ("negative", "surprise")


@pytest.mark.parametrize(
    ("place", "emotion"),
    [
        ("SMIC-HS/s01/micro/Positive/s1_po_02", "positive"),
        ("SMIC_all_raw/HS/s1/positive/s1_po_02", "positive"),
        ("HS/s1/micro/s1_po_02", "positive"),
        ("HS/s1/micro/positive/cut7", "positive"),
        ("HS/s1/non_micro/s1_po_02", None),
        ("HS/s1/s1_po_02", None),  # a long clip
        ("HS_long/SMIC-HS-E/s01/micro/positive/s1_po_02", None),
        ("SMIC-E/HS/s01/micro/positive/s1_po_02", None),
        ("VIS/s1/micro/positive/s1_po_02", None),
        ("s1/micro/positive/s1_po_02", None),  # HS, VIS or NIR?
    ],
)
def test_layouts_of_smic(root, tmp_path, place, emotion):
    trees.write_frames(root / place, range(5, 10), "image{}.bmp")
    if emotion is None:
        with pytest.raises(UserError, match=r"no folder of clips of smic_hs .* looked for HS/s1/"):
            build("smic_hs", root, tmp_path)
    else:
        _, (sample,), _ = build("smic_hs", root, tmp_path)
        assert (sample.subject, sample.emotion, *times(sample)) == ("1", emotion, 5, 7, 9)


def test_smic_refuses_folders_that_contradict_their_clips(root, tmp_path):
    trees.write_smic(root)
    top = root / "SMIC_all_cropped" / "HS"
    for place in ("s1/micro/negative/s1_po_09", "s1/micro/negative/s2_ne_01"):
        trees.write_frames(top / place, range(5, 10), "reg_image{}.bmp")
    trees.write_frames(top / "s3/micro/surprise/s3_po_08", range(5, 10), "reg_image{}.bmp")
    _, samples, about = build("smic_hs", root, tmp_path)
    assert len(samples) == 3
    assert sorted(note["reason"] for note in about["skipped"]) == [
        "emotion: the folder says negative, the clip's name positive",
        "emotion: the folder says surprise, the clip's name positive",
        "subject: the folder says s1, the clip's name 2",
    ]


def test_raw_and_cropped_clips_of_smic_are_a_choice(root, tmp_path):
    trees.write_smic(root)
    trees.write_smic(root, frames="SMIC_all_raw")
    with pytest.raises(UserError, match="two folders of frames fit smic_hs"):
        build("smic_hs", root, tmp_path)
    source, samples, _ = build("smic_hs", root, tmp_path, frames=root / "SMIC_all_raw")
    assert len(source) == len(samples) == 3


def test_smic_takes_the_frame_nearest_to_a_missing_middle(root, tmp_path):
    trees.write_smic(root)
    folder = root / "SMIC_all_cropped" / "HS" / "s1" / "micro" / "negative" / "s1_ne_01"
    (folder / "reg_image102.bmp").unlink()
    source, samples, about = build("smic_hs", root, tmp_path, keep="pair")
    assert times(samples[0]) == (100, 101, 105)
    assert source[0]["frames"]["number"] == [100, 101]
    assert about["skipped"] == []


def test_smic_modalities_are_separate_sets(root, tmp_path):
    trees.write_smic(root)
    rows = [[1, 11, "s11_ne_01", 4, 9, "negative"]]
    trees.write_smic(root, "VIS", rows)
    _, samples, _ = build("smic_vis", root, tmp_path)
    assert [(s.clip, s.fps, s.dataset) for s in samples] == [("s11_ne_01", 25.0, "smic_vis")]


LONG_ROWS = [
    (2, "s02_ne_01", [(10, 14), (20, 23)], 1, 39, "negative"),
    (20, "s20_ne_06", [(50, 55), (60, 62), (3, 40)], 40, 70, "negative"),  # 3 is junk
    (4, "s4_ne_04", [(5, 8), (10, 12), (14, 17)], 1, 20, "negative"),
    (9, "s9_sur_01", [(6, 8), (10, 12), (10, 12)], 1, 20, "surprise"),  # one interval twice
    (18, "s18_sur_03", [(6, 8), (10, 12)], 1, 20, "negative"),
]


@pytest.mark.parametrize("top", ["HS_long/SMIC-HS-E", "SMIC-HS-E", "HS"])
def test_smic_e_holds_several_in_a_long_clip(root, tmp_path, top):
    trees.write_smic(root)  # short clips beside are another set
    trees.write_smic_e(root, LONG_ROWS, top=top)
    source, samples, about = build("smic_hs_e", root, tmp_path, strict=True)
    assert [(s.clip, s.emotion, *times(s)) for s in samples] == [
        ("s02_ne_01", "negative", 10, 12, 14),
        ("s02_ne_01#2", "negative", 20, 21, 23),
        ("s20_ne_06", "negative", 50, 52, 55),
        ("s20_ne_06#2", "negative", 60, 61, 62),
        ("s4_ne_04", "negative", 5, 6, 8),
        ("s4_ne_04#2", "negative", 10, 11, 12),
        ("s4_ne_04#3", "negative", 14, 15, 17),
        ("s9_sur_01", "surprise", 6, 7, 8),
        ("s9_sur_01#2", "surprise", 10, 11, 12),
        ("s18_sur_03", "surprise", 6, 7, 8),
        ("s18_sur_03#2", "surprise", 10, 11, 12),
    ]
    assert source[1]["frames"]["number"] == [20, 21, 22, 23]
    assert [m["clip"] for m in about["mended"]] == ["s18_sur_03", "s18_sur_03#2"]


def test_workbooks_of_hs_and_vis_side_by_side(root, tmp_path):
    sheets = {"HS": (2, 6), "VIS": (3, 5)}
    for modality, interval in sheets.items():
        row = (2, "s2_ne_01", [interval], 1, 9, "negative")
        trees.write_smic_e(root, [row], modality, top=f"SMIC-{modality}-E")
    for modality in sheets:  # each workbook has both sheets
        (path,) = root.glob(f"SMIC-{modality}-E_*.xlsx")
        other = "VIS" if modality == "HS" else "HS"
        line = [2, "s2_ne_01", None, 7, 8, *[None] * 5, 1, 9, "negative"]
        trees.write_sheet(path, trees.SMIC_E_HEADER, [line], other)
    for modality, (onset, offset) in sheets.items():
        _, (sample,), about = build(f"smic_{modality.lower()}_e", root, tmp_path)
        assert (sample.onset, sample.offset) == (onset, offset)
        assert about["sheet"]["file"] == f"SMIC-{modality}-E_annotation.xlsx"


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


MISTAKES = [
    trees.casme3_row("spNO.149", "d", 112, 83, 358),
    trees.casme3_row("spNO.216", "d", 3647, 2668, 2694),
    trees.casme3_row("spNO.40", "e", 1812, 1824, 0),
    trees.casme3_row("spNO.40", "e", 2327, 2363, 0),
    trees.casme3_row("spNO.216", "e", 0, 0, 25),
    trees.casme3_row("spNO.1", "a", 3, 9, 8),  # no known one
]
MENDED = [(112, 160, 358), (2647, 2668, 2694), (1812, 1824, 1845), (2327, 2363, 2403), (1, 1, 25)]


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("keep", ["clip", "pair"])
def test_known_mistakes_of_casme3(root, tmp_path, cut, keep):
    trees.write_casme3(root, MISTAKES, cut=cut)
    for (subject, recording, onset, *_), (first, _, last) in zip(MISTAKES, MENDED, strict=False):
        folder = root / "part_A" / subject / recording / "color"
        if cut:
            name = f"{subject.replace('NO', 'No')}_{recording}_{onset}"
            folder = root / "Part_A_ME_clip" / "frame" / name
        trees.write_frames(folder, range(first, last + 1), "{}.jpg")
    _, samples, about = build("casme3", root, tmp_path, keep=keep)
    assert [times(sample) for sample in samples] == MENDED
    assert [(m["row"], m["field"], m["was"], m["now"]) for m in about["mended"]] == [
        (2, "apex", "83", "160"),
        (3, "onset", "3647", "2647"),
        (4, "offset", "0", "1845"),
        (5, "offset", "0", "2403"),
        (6, "onset", "0", "1"),
        (6, "apex", "0", "1"),
    ]
    assert "CAS(ME)3_part_A_v2.xls" in about["mended"][0]["reason"]
    (skipped,) = about["skipped"]
    assert (skipped["row"], skipped["reason"]) == (7, "apex 9 outside onset 3 .. offset 8")


def test_the_first_version_of_casme3s_sheet(root, tmp_path):
    trees.write_casme3(root)
    (second,) = root.rglob("*_v2.xlsx")
    first = second.with_name("cas(me)3_part_A_ME_label_JpgIndex_v1.xlsx")
    header = [*trees.CASME3_HEADER, None]
    rows = [[*trees.casme3_row("spNO.01", "a", 3, 4, 8), 6], *trees.CASME3_ROWS[1:]]
    trees.write_sheet(first, header, rows, "Sheet1")
    trees.write_sheet(second, [], [], "Sheet1")
    _, samples, about = build("casme3", root, tmp_path)
    assert (about["sheet"]["file"], samples[0].apex) == (second.name, 5)  # the newer of two
    second.unlink()
    _, samples, about = build("casme3", root, tmp_path / "first")
    assert (about["sheet"]["file"], samples[0].apex) == (first.name, 4)
    assert {sample.subject for sample in samples} == {"spNO.1", "spNO.2"}


def test_part_a_in_several_folders(root, tmp_path):
    trees.write_casme3(root)
    (root / "part_A_2").mkdir()
    (root / "part_A" / "spNO.2").rename(root / "part_A_2" / "spno.02")
    _, samples, _ = build("casme3", root, tmp_path, strict=True)
    assert [s.clip for s in samples] == ["spNO.1/a/3", "spNO.1/a/12", "spNO.2/b/2"]
    trees.write_frames(root / "part_A" / "spNO.2" / "b" / "color", range(1, 21), "{}.jpg")
    with pytest.raises(UserError, match="two folders of frames fit casme3"):
        build("casme3", root, tmp_path / "double")


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
def test_mmew_has_lines_with_a_bad_apex_or_offset(root, tmp_path, keep):
    rows = [
        [*trees.casme2_row("S01", f"S01-07-{n:03}", 1, 4, 9, "anger"), None] for n in range(2, 45)
    ]
    for line, apex, offset in ((35, "/", 300), (37, 60, 54), (36, 40, 75), (39, "/", 300)):
        rows[line - 2][4:6] = apex, offset
    trees.write_mmew(root, rows)
    folders = root / "MMEW_Final" / "Micro_Expression" / "anger"
    for line in (35, 37):
        trees.write_frames(folders / f"S01-07-{line:03}", range(1, 81), "{}.jpg")
    _, samples, about = build("mmew", root, tmp_path, keep=keep)
    by_clip = {s.clip: times(s) for s in samples}
    assert by_clip["S01-07-035"] == (1, 40, 75)
    assert by_clip["S01-07-037"] == (1, 15, 54)
    assert by_clip["S01-07-038"] == (1, 4, 9)  # possible: a corrected sheet is left alone
    changes = [(m["row"], m["field"], m["was"], m["now"]) for m in about["mended"]]
    assert changes == [
        (35, "apex", "/", "40"),
        (35, "offset", "300", "75"),
        (37, "apex", "60", "15"),
    ]
    # The line between is no known one; the folder of line 39 has no frame 98.
    assert [skip["row"] for skip in about["skipped"]] == [36, 39]
    build_clips(clip_set("mmew"), root, tmp_path / "data", keep="labels")
    about = describe_clips(tmp_path / "data", "mmew", "labels")  # which looks into no folder
    assert about["skipped"] == []
    assert {m["row"]: m["now"] for m in about["mended"]} == {35: "75", 37: "15", 39: "98"}


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


DFME_PARTS = {
    "training": [
        ("sub0003_01", 9, 12, 15, "anger", 500),
        ("sub0004_01", 0, 3, 6, "contempt", 300),
    ],
    "testA": [("sub0008_01", 2, 4, 6, "happiness", 200)],
    "testB": [("sub0001_02", 20, 21, 24, "sadness", "fast")],
}


def test_dfme(root, tmp_path):
    source, samples, about = build("dfme", trees.write_dfme(root, DFME_PARTS), tmp_path)
    assert [(s.clip, s.subject, s.split, s.fps, *times(s)) for s in samples] == [
        ("sub0003_01", "sub0003", "train", 500.0, 9, 12, 15),
        ("sub0004_01", "sub0004", "train", 300.0, 0, 3, 6),
        ("sub0008_01", "sub0008", "test a", 200.0, 2, 4, 6),
    ]
    assert source[1]["frames"]["number"] == [0, 1, 2, 3, 4, 5, 6]
    assert source[1]["fps"] == 300.0
    assert samples[0].action_units == "L12"
    (skipped,) = about["skipped"]
    assert (skipped["clip"], skipped["reason"]) == ("sub0001_02", "fps 'fast' is no frame rate")
    assert "train: 2 rows of training_full_with_AU.xlsx" in about["notes"]
    names = [f"{part}_full_with_AU.xlsx" for part in DFME_PARTS]
    assert about["sheet"]["file"] == ", ".join(names)


def test_dfme_without_the_tests(root, tmp_path):
    trees.write_dfme(root, {"training": DFME_PARTS["training"]})
    _, samples, _ = build("dfme", root, tmp_path, strict=True)
    assert {sample.split for sample in samples} == {"train"}
    for path in root.glob("*.xlsx"):
        path.unlink()
    with pytest.raises(UserError, match=r"no sheet of dfme .* training_full\*\.xls\*"):
        build("dfme", root, tmp_path / "none")
