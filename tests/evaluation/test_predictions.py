import dataclasses

import pytest

from micron_jax.datasets import protocols
from micron_jax.datasets.protocols import THREE
from micron_jax.errors import UserError
from micron_jax.evaluation.megc import write_log
from micron_jax.evaluation.predictions import Prediction, combine_seeds, read_predictions, write_csv

HEAD = "clip,subject,label,prediction\n"

# The challenge's own example, with its Windows line ends and empty lines.
LOG = (
    "casme2\tsub01\r\nEP02_01f 1 1\r\nEP19_05f 0 1\r\n\r\n"
    "smic s01\r\ns01_ne_01 0 0\r\ns01_ne_02 0 1\r\n\r\n"
    "samm 006\r\n006_1_2\t0\t2\r\n006_1_3 0 0\r\n"
)


def ours(seed=0):
    return [
        Prediction(
            f"clip{n}",
            str(n // 2),
            THREE[n % 3],
            THREE[n % 2],
            set="smic_hs",
            seed=seed,
            fold=f"smic_hs/{n // 2}",
            probabilities=dict(zip(THREE, (0.5, 0.25, 0.25), strict=True)),
        )
        for n in range(6)
    ]


def test_our_csv_goes_round(tmp_path):
    table = [*ours(), *ours(seed=3)]
    write_csv(tmp_path / "predictions.csv", table)
    assert read_predictions(tmp_path / "predictions.csv") == table
    assert read_predictions(tmp_path) == table  # a workdir
    first, second = (tmp_path / "predictions.csv").read_text().splitlines()[:2]
    assert first == "clip,subject,set,seed,fold,label,prediction,p_negative,p_positive,p_surprise"
    assert second == "clip0,0,smic_hs,0,smic_hs/0,negative,negative,0.5,0.25,0.25"
    bare = [dataclasses.replace(one, probabilities={}) for one in ours()]
    write_csv(tmp_path / "bare.csv", bare)
    assert read_predictions(tmp_path / "bare.csv") == bare
    nameless = [dataclasses.replace(one, set="") for one in ours()]
    write_csv(tmp_path / "nameless.csv", nameless)
    assert read_predictions(tmp_path / "nameless.csv") == nameless
    with pytest.raises(ValueError, match="clip0: probabilities"):
        write_csv(tmp_path / "bare.csv", [*ours(), *bare])


def test_anyones_csv(tmp_path):
    path = tmp_path / "theirs.csv"
    # As a spreadsheet may save it: a byte order mark, semicolons, other columns, other letters.
    text = 'Subject;note;Clip;Label;Prediction\n18;"a; b\nc";EP01 ;happy; sad\n\n18;;EP02;sad;sad\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_predictions(path) == [
        Prediction("EP01", "18", "happy", "sad"),
        Prediction("EP02", "18", "sad", "sad"),
    ]


def test_a_megc_log_is_read_by_our_names_and_goes_round(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(LOG.encode())
    table = read_predictions(path)
    assert [(one.set, one.subject, one.clip, one.label, one.prediction) for one in table] == [
        ("casme2", "01", "sub01/EP02_01f", "positive", "positive"),
        ("casme2", "01", "sub01/EP19_05f", "negative", "positive"),
        ("smic_hs", "1", "s01_ne_01", "negative", "negative"),
        ("smic_hs", "1", "s01_ne_02", "negative", "positive"),
        ("samm", "006", "006_1_2", "negative", "surprise"),
        ("samm", "006", "006_1_3", "negative", "negative"),
    ]
    write_log(tmp_path / "again.txt", table, THREE)
    same = [line.split() for line in LOG.splitlines() if line]
    assert [line.split() for line in (tmp_path / "again.txt").read_text().splitlines()] == same
    assert read_predictions(tmp_path / "again.txt") == table
    write_csv(tmp_path / "log.csv", table)
    assert read_predictions(tmp_path / "log.csv") == table


def test_a_log_of_another_protocol(tmp_path):
    protocol = protocols.find("casme3_7")
    table = [Prediction("spNO.1/a", "1", "sad", "fear", set="casme3", fold="casme3/1")]
    write_log(tmp_path / "log", table, protocol.classes)
    assert (tmp_path / "log").read_text() == "casme3 1\nspNO.1/a 4 3\n"
    assert read_predictions(tmp_path / "log", protocol) == table
    with pytest.raises(UserError, match="row 2: class '4' is not known; there are: 0 negative, 1"):
        read_predictions(tmp_path / "log")


def test_what_a_log_cannot_hold(tmp_path):
    for table, message in (
        ([*ours(), *ours(seed=1)], "here are 2: choose one"),
        (
            [dataclasses.replace(ours()[0], label="fear")],
            "'fear' is none of negative, .* needs the protocol",
        ),
        ([dataclasses.replace(ours()[0], set="")], "add a column `set`"),
        ([dataclasses.replace(ours()[0], set="mine", clip="a b")], "'a b': .* with spaces"),
    ):
        with pytest.raises(UserError, match=message):
            write_log(tmp_path / "log", table, THREE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: needed is a header clip, subject, label, prediction"),
        (" \n\n", "is empty"),
        (HEAD, "there is a header, but no row below it"),
        ("clip,subject,label\na,1,x\n", "row 1: no column prediction; the header needs clip,"),
        ("a,1,x,y\nb,1,x,y\n", "row 1: no column clip, subject, label, prediction"),
        ("clip,clip,subject,label,prediction\n", "row 1: column 'clip' stands there 2 times"),
        (HEAD + "a,1,x,x\nb,1,nan,x\n", "row 3: label is 'nan'"),
        (HEAD + "a,1,x,x\nb,1,x,\n", "row 3: prediction is empty"),
        (HEAD + "a,1,x\n", "row 2: 3 cells, the header has 4"),
        (HEAD + 'a,1,x,"x\n', "row 2: cannot be read as CSV"),
        (HEAD + 'a,1,"x\nx",x\nb,1,x,NaN\n', "row 4: prediction is 'NaN'"),
        (HEAD + "a,1,x,y\n\na,1,x,y\n", "row 4: clip a of subject 1 stood in row 2 already"),
        ("clip,subject,set,label,prediction\na,1,,x,x\n", "row 2: set is empty"),
        ("clip,subject,seed,label,prediction\na,1,1.5,x,x\n", "row 2: seed is '1.5'"),
        ("clip,subject,label,prediction,p_x\na,1,x,x,2\n", "row 2: p_x is '2', not a number"),
        (
            HEAD + "casme2/sub18/EP01,18,x,x\nsmic_hs/s18/ne_01,18,x,x\n",
            "row 3: subject 18 is of smic_hs, in row 2 of casme2: two people under one id",
        ),
        ("casme2 sub01\nEP01 0 3\n", "row 2: class '3' is not known; there are: 0 negative"),
        ("casme2 sub01\nEP01 0 0 0\n", "row 2: 'EP01 0 0 0' is neither `DATABASE SUBJECT` nor"),
        ("casme2 sub01\nEP01 0 0\nEP01 0 1\n", "row 3: clip sub01/EP01 of subject casme2/01 stood"),
    ],
)
def test_bad_files_are_one_line_with_the_row(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_predictions(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_bytes(HEAD.encode() + "a,1,Überraschung,x\n".encode("latin-1"))
    with pytest.raises(UserError, match="row 2: not UTF-8: save it as CSV UTF-8"):
        read_predictions(path)
    path.write_bytes(HEAD.encode("utf-16"))
    with pytest.raises(UserError, match="row 1: not UTF-8"):
        read_predictions(path)
    with pytest.raises(UserError, match=r"none\.csv does not exist"):
        read_predictions(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"predictions\.csv does not exist"):
        read_predictions(tmp_path)
    with pytest.raises(UserError, match="cannot be written"):
        write_csv(tmp_path / "no" / "folder.csv", ours())


def test_a_protocol_spells_the_classes_and_names_the_set(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "a,1,Happiness,SURPRISE\n")
    (one,) = read_predictions(path, protocols.find("casme2_5"))
    assert one == Prediction("a", "1", "happiness", "surprise", set="casme2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "a,1,negative,positive\n", "row 2: protocol composite has 3 sets, whose subjects"),
        ("clip,subject,set,label,prediction\na,1,mmew,negative,positive\n", "row 2: set 'mmew' is"),
        (
            "clip,subject,set,label,prediction\na,1,samm,anger,positive\n",
            "row 2: label 'anger' is not of protocol composite, which has: negative, positive, sur",
        ),
        (
            "clip,subject,set,label,prediction\na,1,samm,negative,1\n",
            "row 2: prediction '1' is not of protocol composite",
        ),
        (
            "clip,subject,set,label,prediction,p_negative\na,1,samm,negative,negative,1\n",
            "row 2: protocol composite has the columns p_negative, p_positive, p_surprise",
        ),
    ],
)
def test_what_a_protocol_refuses(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_predictions(path, protocols.COMPOSITE)
    assert message in str(caught.value)


def test_columns_of_probabilities_name_the_classes(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("clip,subject,label,prediction,p_x,p_y\na,1,x,y,0,1\nb,1,z,x,1,0\n")
    with pytest.raises(UserError, match="row 3: label 'z' is not of the columns p_CLASS, which"):
        read_predictions(path)


def test_the_same_number_in_two_sets_is_two_people(tmp_path):
    path = tmp_path / "both.csv"
    path.write_text("clip,subject,set,label,prediction\na,18,casme2,x,x\na,18,smic_hs,x,x\n")
    assert len({one.person for one in read_predictions(path)}) == 2


def test_files_are_seeds_of_one_experiment(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    table = combine_seeds([(a, ours()), (b, ours())])
    assert table == [*ours(), *ours(seed=1)]
    assert combine_seeds([(a, ours(seed=7)), (b, ours(seed=2))]) == [*ours(seed=7), *ours(seed=2)]
    with pytest.raises(UserError, match=r"seed 4 stands in .*a\.csv and in .*b\.csv"):
        combine_seeds([(a, ours(seed=4)), (b, ours(seed=4))])
    with pytest.raises(UserError, match="differ: clip clip5 of subject smic_hs/2 is in the first"):
        combine_seeds([(a, ours()), (b, ours()[:-1])])
    other = [dataclasses.replace(ours()[0], label="surprise"), *ours()[1:]]
    with pytest.raises(UserError, match=r"clip0 of .* is labeled 'negative' in the first, 'surpr"):
        combine_seeds([(a, ours()), (b, other)])
