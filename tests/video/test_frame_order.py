"""Names of frames and the order that they tell, or the reason why they tell none."""

import random
import re

import pytest

from micron_jax.video.frame_order import UNNUMBERED, order_frames
from micron_jax.video.image_files import Unreadable

# Names in their order, and the numbers in them.
ORDERED = {
    "CASME II": (["img1.jpg", "img2.jpg", "img10.jpg"], [1, 2, 10]),
    "CASME II, cropped": (["reg_img46.jpg", "reg_img47.jpg"], [46, 47]),
    "CASME": (["reg_EP01_5-9.jpg", "reg_EP01_5-12.jpg"], [9, 12]),
    "SAMM": (["006_1_2_5562.jpg", "006_1_2_10000.jpg"], [5562, 10000]),
    "SMIC": (["reg_image999.bmp", "reg_image1234.bmp"], [999, 1234]),
    "CAS(ME)3": (["9.jpg", "123.jpg"], [9, 123]),
    "DFME": (["00009.png", "00020.png"], [9, 20]),
    "OpenFace": (["frame_det_00_000009.bmp", "frame_det_00_000012.bmp"], [9, 12]),
    "size after": (["frame2_224.jpg", "frame12_224.jpg"], [2, 12]),
    "face after": (["frame2_face0.jpg", "frame12_face0.jpg"], [2, 12]),
    "size beside": (["f9_224x224.jpg", "f10_224x224.jpg"], [9, 10]),
    "episode": (["s12_e3_f0001.jpg", "s12_e3_f0002.jpg"], [1, 2]),
    "Windows": (["img (1).jpg", "img (2).jpg", "img (10).jpg"], [1, 2, 10]),
    "Windows, of a number": (["t1 (1).jpg", "t1 (2).jpg", "t1 (10).jpg"], [1, 2, 10]),
    "padded and not": (["1.jpg", "02.jpg", "10.jpg"], [1, 2, 10]),
    "a dash is no sign": (["img-1.jpg", "img-2.jpg"], [1, 2]),
    "letter case": (["IMG1.jpg", "img2.JPG", "Img3.jpg"], [1, 2, 3]),
    "kinds of files": (["1.jpg", "2.png"], [1, 2]),
    "full-width digits": (["img１.jpg", "img２.jpg", "img10.jpg"], [1, 2, 10]),
    "composed letters": (["caf\u00e9_1.jpg", "cafe\u0301_2.jpg"], [1, 2]),
    "a name that is no UTF-8": (["\udcc4_2.jpg", "\udcc4_10.jpg"], [2, 10]),
    "a point before": (["shot01.0009.png", "shot01.0010.png"], [9, 10]),
    "a point, counted": ([f"c1.{n}.jpg" for n in range(1, 12)], [*range(1, 12)]),
    "all but a few": (["001.jpg", "050.jpg", "999.jpg"], [1, 50, 999]),
    "beyond 64 bits": (["99999999999999999998.jpg", "99999999999999999999.jpg"], None),
    "one": (["frame_7.jpg"], [7]),
    "one without a number": (["apex.jpg"], None),
}


def shuffled(names):
    return random.Random(0).sample(names, len(names))


@pytest.mark.parametrize(("names", "numbers"), ORDERED.values(), ids=ORDERED)
def test_one_number_varies(names, numbers):
    order = order_frames(shuffled(names))
    assert (order.names, order.numbers) == (names, numbers)
    assert (order.seconds, order.left_out, order.note) == (None, {}, "")


NOTED = {
    "no numbers": (["apex.jpg", "onset.jpg"], None, "in alphabetic order"),
    "a number and a time": (
        ["frame9_300ms.png", "frame10_333ms.png"],
        [9, 10],
        r"number 1 in the names counts the frames \(frame9_300ms.png\)",
    ),
    "a counter that goes on": (
        ["day1_f1.jpg", "day1_f2.jpg", "day2_f3.jpg", "day3_f10.jpg"],
        [1, 2, 3, 10],
        "number 2 in the names counts the frames",
    ),
}


@pytest.mark.parametrize(("names", "numbers", "note"), NOTED.values(), ids=NOTED)
def test_an_order_to_look_at_is_noted(names, numbers, note):
    order = order_frames(shuffled(names))
    assert (order.names, order.numbers) == (names, numbers)
    assert re.search(note, order.note)


TIMES = {
    "seconds": ["01.966", "02.000", "02.033", "10.000"],
    "seconds with a prefix": ["t_9.966", "t_10.000", "t_10.033", "t_18.000"],
    "a clock": ["12-00-59.966", "12-01-00.000", "12-01-00.033", "12-01-08.000"],
    "midnight": [
        "2021-12-31_23-59-59.966",
        "2022-01-01_00-00-00.000",
        "2022-01-01_00-00-00.033",
        "2022-01-01_00-00-08.000",
    ],
    "dense": [
        "IMG_20210501_120001_966",
        "IMG_20210501_120002_000",
        "IMG_20210501_120002_033",
        "IMG_20210501_120010_000",
    ],
}


@pytest.mark.parametrize("stems", TIMES.values(), ids=TIMES)
def test_times_as_names(stems):
    names = [f"{stem}.jpg" for stem in stems[:3]]
    order = order_frames(shuffled(names))
    assert (order.names, order.numbers) == (names, None)
    assert order.seconds == pytest.approx([0, 0.034, 0.067], abs=1e-9)
    with pytest.raises(Unreadable, match="several numbers vary"):  # 8 s later
        order_frames([*names, f"{stems[3]}.jpg"])


LEFT_OUT = {
    "img12 (1).jpg": "a copy of img12.jpg, by its name",
    "img12(1).jpg": "a copy of img12.jpg, by its name",
    "IMG12 (1).jpg": "a copy of img12.jpg, by its name",
    "img12 - Copy.jpg": "a copy of img12.jpg, by its name",
    "img12 - Copy (2).jpg": "a copy of img12.jpg, by its name",
    "img12 copy 2.jpg": "a copy of img12.jpg, by its name",
    "img12 - Kopie.jpg": "a copy of img12.jpg, by its name",
    "Copy of img12.jpg": "a copy of img12.jpg, by its name",
    "img12 - 副本.jpg": "a copy of img12.jpg, by its name",
    "thumb.jpg": UNNUMBERED,
}


@pytest.mark.parametrize(("name", "reason"), LEFT_OUT.items(), ids=LEFT_OUT)
def test_copies_and_strangers_are_left_out(name, reason):
    order = order_frames([name, "img13.jpg", "img12.jpg"])
    assert (order.names, order.numbers) == (["img12.jpg", "img13.jpg"], [12, 13])
    assert order.left_out == {name: reason}


REFUSED = {
    "two prefixes": (
        ["color_1.jpg", "color_2.jpg", "ir_1.jpg"],
        r"2 kinds, as color_1.jpg \(2\) and ir_1.jpg \(1\): put each clip into a folder of its own",
    ),
    "raw and cropped": (["img1.jpg", "reg_img1.jpg"], r"img1.jpg \(1\) and reg_img1.jpg \(1\)"),
    "whole and crop": (["0001.jpg", "0001_crop.jpg"], "2 kinds"),
    "photographs": (["anna.jpg", "bob.jpg", "carl2.jpg"], "3 kinds"),
    "many copies": (["t1.jpg", "t1 (1).jpg", "t1 (2).jpg", "t1 (3).jpg"], "2 kinds"),
    "a sign and none": (["frame_-1.jpg", "frame_0.jpg"], "2 kinds"),
    "signs": (["frame_-1.jpg", "frame_-2.jpg"], "frame_-1.jpg: a negative number?"),
    "days": (
        ["day1_f1.jpg", "day1_f14.jpg", "day2_f13.jpg"],
        r"several numbers vary in the names \(day1_f1.jpg to day2_f13.jpg\)",
    ),
    "two faces": (["f1_face0.jpg", "f1_face1.jpg", "f2_face0.jpg"], "several numbers vary"),
    "OpenFace, two faces": (
        ["det_00_000012.bmp", "det_00_000013.bmp", "det_01_000012.bmp"],
        "several numbers vary",
    ),
    "two shots": (["s1.0001.png", "s1.0002.png", "s2.0001.png"], "several numbers vary"),
    "two episodes": (["s12_e3_f1.jpg", "s12_e4_f1.jpg", "s12_e3_f2.jpg"], "several numbers vary"),
    "rollover": (
        ["DSC_9998.JPG", "DSC_9999.JPG", "DSC_0001.JPG", "DSC_0002.JPG"],
        "begins anew after DSC_9999.JPG, with DSC_0001.JPG: .* of which DSC_9998.JPG is the first",
    ),
    "rollover of two": (["DSC_9999.JPG", "DSC_0001.JPG"], "begins anew after DSC_9999.JPG"),
    "rollover with a gap": (
        ["IMG_9993.JPG", "IMG_9997.JPG", "IMG_0003.JPG", "IMG_0004.JPG"],
        "begins anew after IMG_9997.JPG, with IMG_0003.JPG: .* IMG_9993.JPG is the first",
    ),
    "a sign of typographers": (["\u22121.jpg", "\u22122.jpg"], "a negative number"),
    "one number twice": (["img12.jpg", "img012.jpg"], "two files of frame 12, img012.jpg and img1"),
    "two kinds of files": (["1.jpg", "1.png"], "two files of frame 1, 1.jpg and 1.png: remove one"),
    "decimals": (["1.5.jpg", "1.25.jpg"], r"1.5.jpg and 1.25.jpg: decimals, or frames 5 and 25\?"),
    "floats": (["0.033.jpg", "0.067.jpg", "0.1.jpg"], "decimals, or frames 1 and 67"),
    "two lengths of times": (["1.5.jpg", "2.25.jpg", "2.5.jpg"], "several numbers vary"),
}


@pytest.mark.parametrize(("names", "reason"), REFUSED.values(), ids=REFUSED)
def test_an_order_that_names_do_not_tell_is_refused(names, reason):
    with pytest.raises(Unreadable, match=reason) as error:
        order_frames(shuffled(names))
    assert "\n" not in str(error.value)


def test_many_names():
    names = [f"clip7_{number}_224.jpg" for number in range(100_000)]
    order = order_frames(shuffled(names))
    assert order.names == names
    assert order.numbers == list(range(100_000))
