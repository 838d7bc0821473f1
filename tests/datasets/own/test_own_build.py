"""Sets of one's own, built from films and folders, up to their protocol and folds."""

import dataclasses

import numpy as np
import pytest
from helpers.films import gradient, write_image, write_video
from helpers.refusals import refusal

from micron_jax.cli import main
from micron_jax.datasets import protocols
from micron_jax.datasets.check import check, lines
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.face_pairs import open_protocol
from micron_jax.datasets.own.build import build_own
from micron_jax.datasets.own.protocol import find_protocol
from micron_jax.errors import UserError
from micron_jax.finetuning.folds import SplitConfig, leave_one_subject_out, split
from micron_jax.video.image_files import decode_jpeg

HEAD = "subject,clip,path,onset,apex,offset,label,fps,set"


@pytest.fixture
def folder(tmp_path):
    write_video(tmp_path / "films/a.mp4", [gradient(shift=6 * n) for n in range(20)], 25)
    for number in range(10, 20):
        write_image(tmp_path / f"images/img{number}.png", gradient(shift=3 * number))
    return tmp_path


def table(folder, *rows, head=HEAD):
    path = folder / "clips.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def built(folder, *rows, **settings):
    build_own(table(folder, *rows), folder / "data", **settings)
    return open_clips(folder / "data", "own")


def spans(samples):
    return [(sample.onset, sample.apex, sample.offset) for sample in samples]


def shift_of(image):
    """Returns how far a gradient was shifted, gray levels."""
    return float(image[8, 4:20, 0].astype(float).mean() - gradient()[8, 4:20, 0].mean())


def test_films_and_folders_by_frame_number(folder):
    rows = ["1,a,films/a.mp4,2,5,9,happy,,", "2,b,images,11,,18,sad,100,"]
    source, samples = built(folder, *rows)
    assert spans(samples) == [(2, 5, 9), (11, 14, 18)]
    assert [(s.dataset, s.fps, s.emotion) for s in samples] == [
        ("own", 25.0, "happy"),
        ("own", 100.0, "sad"),
    ]
    film, images = (source[number]["frames"] for number in range(2))
    assert list(film["number"]) == list(range(2, 10))
    shifts = [shift_of(decode_jpeg(image)) for image in film["image"]]
    np.testing.assert_allclose(shifts, [6 * n for n in range(2, 10)], atol=3)
    assert list(images["number"]) == list(range(11, 19))
    assert images["image"][0] == (folder / "images/img11.png").read_bytes()


def test_seconds_become_the_nearest_frame(folder):
    rows = ["1,a,films/a.mp4,0.07,0.2,0.37,x,,", "2,b,images,0.011,,0.09,x,100,"]
    _, samples = built(folder, *rows)
    # 0.07, 0.2 and 0.37 s at 25 a second; image 10 is at 0 s, and 0.0505 s is nearest to 0.05
    assert spans(samples) == [(2, 5, 9), (11, 15, 19)]


def test_seconds_follow_the_own_times_of_a_film(folder):
    seconds = [0, 0.04, 0.08, 0.5, 0.54, 0.58, 1.0]
    film = folder / "films/uneven.mp4"
    write_video(film, [gradient(shift=6 * n) for n in range(7)], seconds=seconds)
    _, samples = built(folder, "1,a,films/uneven.mp4,0.09,0.51,0.6,x,,")
    assert spans(samples) == [(2, 3, 5)]


def test_a_rate_stands_in_place_of_a_films(folder):
    _, (sample,) = built(folder, "1,a,films/a.mp4,0.01,0.02,0.05,x,200,")
    assert (sample.onset, sample.apex, sample.offset, sample.fps) == (2, 4, 10, 200.0)


def test_a_pair_holds_onset_and_apex(folder):
    source, _ = built(folder, "1,a,films/a.mp4,2,5,9,x,,", keep="pair")
    assert list(source[0]["frames"]["number"]) == [2, 5]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("3,c,films/a.mp4,2,5,20,x,,", "offset: 20, but {}/films/a.mp4 has no such frame: its "),
        ("3,c,images,11,13,25,x,9,", "offset: 25, but {}/images has no such frame: the numbers "),
        ("3,c,images,9,13,15,x,9,", "onset: 9, but {}/images has no such frame: the numbers of "),
        ("3,c,gone,11,13,15,x,9,", "path: {}/gone does not exist; paths begin at the table's"),
        ("3,c,clips.csv,1,3,5,x,9,", "path: {}/clips.csv is neither a film nor a folder"),
        ("3,c,films,1,3,5,x,9,", "path: {}/films holds no image"),
    ],
)
def test_a_row_that_cannot_be_used_is_told(folder, row, words):
    built(folder, "1,a,films/a.mp4,2,5,9,happy,,", row)
    (skipped,) = describe_clips(folder / "data", "own")["skipped"]
    assert (skipped["row"], skipped["clip"]) == (3, "c")
    assert skipped["reason"].startswith(words.format(folder))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("3,c,films/a.mp4,0.2,,60,x,,", "offset: 60 s, but the frames of {}/films/a.mp4 lie at "),
        ("3,c,images,0.01,,0.05,x,,", "fps: {}/images tells no times; fill in fps, or give frame"),
    ],
)
def test_seconds_beyond_a_film_are_told(folder, row, words):
    built(folder, "1,a,films/a.mp4,0.2,,0.4,happy,,", row)
    (skipped,) = describe_clips(folder / "data", "own")["skipped"]
    assert skipped["reason"].startswith(words.format(folder))


def test_images_without_numbers_have_seconds_alone(folder):
    for name in "abcd":
        write_image(folder / f"letters/{name}.png", gradient())
    rows = ["1,a,films/a.mp4,2,5,9,x,,", "2,b,letters,0,1,2,x,10,"]
    built(folder, *rows)
    (skipped,) = describe_clips(folder / "data", "own")["skipped"]
    assert "tell no frame numbers" in skipped["reason"]
    assert skipped["reason"].endswith("or seconds and a value in column fps")


def test_the_protocol_is_that_of_the_table(folder):
    rows = [
        "1,a,films/a.mp4,2,5,9,happy,,A",
        "1,b,films/a.mp4,10,12,19,disgust,,A",
        "1,c,images,11,13,15,Happiness,100,B",
        "2,d,images,12,14,16,disgust,100,B",
        "2,e,gone,12,14,16,disgust,100,B",
        "2,f,images,y,14,16,disgust,100,B",
    ]
    built(folder, *rows)
    protocol = find_protocol("own", folder / "data")
    assert protocol.classes == ("disgust", "happiness")
    assert protocol.expected["B"].samples == {"disgust": 3, "happiness": 1}
    labeled = protocols.apply(protocol, open_protocol(folder / "data", protocol).samples)
    assert [label for _, label in labeled] == [1, 0, 1, 0]
    assert [fold.name for fold in leave_one_subject_out(labeled)] == ["A/1", "B/1", "B/2"]
    report = check("own", folder / "data")
    assert report["subjects"] == 3
    assert report["protocols"][0]["differences"] == ["B: disgust 1, expected 3"]
    assert "protocol own: DIFFERS" in lines(report)


def test_a_label_without_a_sample_is_no_class(folder):
    rows = ["1,a,films/a.mp4,2,,9,x,,", "2,b,gone,2,,9,y,,", "3,c,films/a.mp4,2,,9,none,,"]
    built(folder, *rows)
    described = describe_clips(folder / "data", "own")
    assert "no row has an apex: the middle of onset and offset is taken" in described["notes"]
    assert described["mended"] == []
    protocol = find_protocol("own", folder / "data")
    assert protocol.classes == ("x",)
    report = check("own", folder / "data")["protocols"][0]
    assert report["differences"] == ["own: y 0, expected 1", "own: 1 subjects, expected 2"]


def test_images_keep_their_bytes_and_deep_ones_their_scale(folder):
    for number in range(3):
        deep = gradient(shift=3 * number).astype(np.uint16) * 8  # 11 bits, told by the clip alone
        write_image(folder / f"deep/{number}.png", deep)
        write_image(folder / f"jpg/img_{number:03}.jpg", gradient(shift=3 * number))
    source, _ = built(folder, "1,a,deep,0,1,2,x,9,", "2,b,jpg,0,1,2,y,9,")
    deep, jpg = ([*source[number]["frames"]["image"]] for number in range(2))
    assert jpg == [(folder / f"jpg/img_00{number}.jpg").read_bytes() for number in range(3)]
    scale = 255 / 4095  # as 12 bits, the fewest of cameras that hold them
    expected = np.round(gradient()[..., ::-1].astype(float) * 8 * scale)
    np.testing.assert_allclose(decode_jpeg(deep[0]), expected, atol=1)


def test_a_whole_table_is_as_it_has_it(folder):
    built(folder, "a1,a,films/a.mp4,2,5,9,x,,", "b1,b,films/a.mp4,2,5,9,y,,")
    assert "protocol own: as its table has it" in lines(check("own", folder / "data"))


def test_the_command(folder, capsys):
    source = table(
        folder, "1,a,films/a.mp4,2,5,9,x,,", "2,b,films/a.mp4,2,,9,y,,", "3,c,n,1,2,3,y,,"
    )
    command = ["data", "build", "own", "--source", str(source), "--data-dir", f"{folder}/data"]
    assert "strict: 1 rows have faults, the first is row 4" in refusal(
        [*command, "--strict"], capsys, begun=True
    )
    assert not (folder / "data").exists()
    assert main(command) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"built: {folder}/data/own/clip/1.0.0"
    assert out[2] == "subjects: 2, emotions: x 1, y 1"
    assert "  row 3, b: apex (empty) -> 5 (the table has none: the middle is taken)" in out
    assert any(line.startswith("  row 4, c: path: ") for line in out)
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("already built: ")
    source.write_text(source.read_text().replace("2,5,9", "2,6,9"))
    assert "was built from" in refusal(command, capsys, begun=True)


def test_a_table_without_a_usable_row_is_one_line(folder):
    with pytest.raises(UserError, match=r"row 2, path: .*; .* \(and 1 more rows have faults\)"):
        built(folder, "1,a,gone,2,5,9,x,,", "1,b,gone,2,5,9,x,,")
    with pytest.raises(UserError, match="is a folder; name the table"):
        build_own(folder, folder / "data")
    with pytest.raises(UserError, match="data build own --source clips"):
        find_protocol("own", folder / "data")
    with pytest.raises(UserError, match="only `data check own`"):
        protocols.find("own")


def test_a_column_of_splits_makes_fixed_folds(folder):
    head = HEAD.removesuffix("set") + "split"
    rows = [
        "1,a,films/a.mp4,2,5,9,x,,Train",
        "1,b,films/a.mp4,2,5,9,y,,training",
        "2,c,films/a.mp4,2,5,9,x,,test_A",
        "3,d,films/a.mp4,2,5,9,y,,Test B",
        "4,e,films/a.mp4,2,5,9,y,,dev",
    ]
    build_own(table(folder, *rows, head=head), folder / "data")
    (skipped,) = describe_clips(folder / "data", "own")["skipped"]
    assert skipped["reason"].startswith("split: 'dev' is neither train nor test")
    protocol = find_protocol("own", folder / "data")
    samples = open_protocol(folder / "data", protocol).samples
    labeled = protocols.apply(protocol, samples)
    fixed = SplitConfig(kind="fixed")
    folds = [(fold.name, fold.train, fold.test) for fold in split(labeled, protocol, fixed, seed=0)]
    assert folds == [("train->test a", (0, 1), (2,)), ("train->test b", (0, 1), (3,))]
    leaky = [(dataclasses.replace(s, subject="1"), label) for s, label in labeled]
    with pytest.raises(UserError, match="subject own/1 has samples in train and in test a"):
        split(leaky, protocol, fixed, seed=0)
    bare = [(dataclasses.replace(s, split=""), label) for s, label in labeled]
    with pytest.raises(UserError, match="4 of 4 samples of protocol own have no split"):
        split(bare, protocol, fixed, seed=0)
