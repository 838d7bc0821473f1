import dataclasses

import pytest

from micron_jax.datasets import protocols
from micron_jax.datasets.protocols import THREE
from micron_jax.errors import UserError
from micron_jax.evaluation.predictions import Prediction, combine_seeds, read_predictions, write_csv

HEAD = "clip,subject,label,prediction\n"


def table_of(seed=0):
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


def test_a_csv_is_written_and_read_back(tmp_path):
    table = [*table_of(), *table_of(seed=3)]
    write_csv(tmp_path / "predictions.csv", table)
    assert read_predictions(tmp_path / "predictions.csv") == table
    assert read_predictions(tmp_path) == table  # a workdir
    first, second = (tmp_path / "predictions.csv").read_text().splitlines()[:2]
    assert first == "clip,subject,set,seed,fold,label,prediction,p_negative,p_positive,p_surprise"
    assert second == "clip0,0,smic_hs,0,smic_hs/0,negative,negative,0.5,0.25,0.25"
    bare = [dataclasses.replace(row, probabilities={}) for row in table_of()]
    write_csv(tmp_path / "bare.csv", bare)
    assert read_predictions(tmp_path / "bare.csv") == bare
    nameless = [dataclasses.replace(row, set="") for row in table_of()]
    write_csv(tmp_path / "nameless.csv", nameless)
    assert read_predictions(tmp_path / "nameless.csv") == nameless
    with pytest.raises(ValueError, match="clip0: probabilities"):
        write_csv(tmp_path / "bare.csv", [*table_of(), *bare])


def test_a_csv_of_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "sheet.csv"
    # As a spreadsheet may save it: a byte order mark, semicolons, other columns, other letters.
    text = 'Subject;note;Clip;Label;Prediction\n18;"a; b\nc";EP01 ;happy; sad\n\n18;;EP02;sad;sad\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_predictions(path) == [
        Prediction("EP01", "18", "happy", "sad"),
        Prediction("EP02", "18", "sad", "sad"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: it needs a header clip, subject, label, prediction"),
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
    path.write_bytes(HEAD.encode() + b"a,1,\x81,x\n")
    with pytest.raises(UserError, match=r"bad\.csv, row 2: not UTF-8: save it as CSV UTF-8"):
        read_predictions(path)
    path.write_bytes(b"PK\x03\x04 of Excel")
    with pytest.raises(
        UserError, match=r"bad\.csv is a workbook, not a text: save it as CSV UTF-8"
    ):
        read_predictions(path)
    with pytest.raises(UserError, match=r"none\.csv does not exist"):
        read_predictions(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"predictions\.csv does not exist"):
        read_predictions(tmp_path)
    with pytest.raises(UserError, match="cannot be written"):
        write_csv(tmp_path / "no" / "folder.csv", table_of())


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_and_separators(tmp_path, encoding, separator):
    path = tmp_path / "a.csv"
    text = 'sep=,\nCLIP, subject,Label,PREDICTION,\n"a\nb",1,Überraschung,Überraschung,\nc,2,é,é\n'
    path.write_bytes(text.replace(",", separator).encode(encoding))
    assert read_predictions(path) == [
        Prediction("a\nb", "1", "Überraschung", "Überraschung"),
        Prediction("c", "2", "é", "é"),
    ]


@pytest.mark.parametrize(
    ("words", "spelled"),
    [
        (("Negative", "negative"), "Negative"),
        (("negative", "NEGATIVE"), "negative"),
        (("negative", "\u00a0negative\u200b "), "negative"),
        (("1", "1.0"), "1"),
        (("01", "1"), "01"),
        (("1.0", "１"), "1.0"),
        (("others  2", "Others 2"), "others  2"),
    ],
)
def test_two_spellings_of_a_class_are_one(tmp_path, words, spelled):
    label, prediction = words
    path = tmp_path / "a.csv"
    path.write_text(HEAD + f"a,1,{label},{prediction}\nb,1,x,{prediction}\nc,1,{label},X\n")
    table = read_predictions(path)
    assert [(row.label, row.prediction) for row in table] == [
        (spelled, spelled),
        ("x", spelled),
        (spelled, "x"),
    ]


def test_the_usual_spelling_of_a_class_is_that_of_most_labels(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "a,1,others,Others\nb,1,Others,OTHERS\nc,1,others,x\nd,1,x,OTHERS\n")
    assert {row.label for row in read_predictions(path)} == {"others", "x"}
    assert {row.prediction for row in read_predictions(path)} == {"others", "x"}


def test_a_prediction_without_a_label_is_refused_unless_allowed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "a,1,negative,negative\nb,1,negative,Neg\nc,1,positive,Neg\n")
    words = r"row 3: prediction 'Neg' \(2 rows\) is no clip's label; labels are: negative, positive"
    with pytest.raises(UserError, match=words):
        read_predictions(path)
    assert len(read_predictions(path, allow_unlabeled=True)) == 3
    # The columns p_CLASS name the classes that there are.
    text = "clip,subject,label,prediction,p_a,p_b\nx,1,A,b,0,1\ny,1,a,a,1,0\n"
    path.write_text(text)
    assert [row.prediction for row in read_predictions(path)] == ["b", "a"]
    assert [row.label for row in read_predictions(path)] == ["a", "a"]


def test_two_spellings_of_a_subject_are_one_person(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "clip,subject,set,label,prediction\na,sub01,CASME2,x,x\nb,1,casme2,x,x\nc,01,casme2,x,x\n"
        "a,1,smic-hs,x,x\na,006,mine,x,x\nb,6.0,Mine,x,x\nc,００6,mine,x,x\nd,6a,mine,x,x\n"
    )
    people = [row.person for row in read_predictions(path)]
    casme2, smic, mine = ("casme2", "01"), ("smic_hs", "1"), ("mine", "006")
    assert people == [casme2, casme2, casme2, smic, mine, mine, mine, ("mine", "6a")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "a,sub01,x,x\nb,2,x,x\nc,1,x,x\n",
            "row 4: subject '1', and 'sub01' in row 2: one pe",
        ),
        (HEAD + "a,01,x,x\na,1,x,x\n", "row 3: clip a of subject 01 stood in row 2 already"),
        (HEAD + "a,1,x,x\n" + HEAD + "b,1,x,x\n", "row 3: the header stands here again: give two"),
        (HEAD + "a,nan,x,x\n", "row 2: subject is 'nan'"),
        (HEAD + "a,1,#N/A,x\n", "row 2: label is '#N/A'"),
        (HEAD + "a,1,x,x,y\n", "row 2: 5 cells, the header has 4"),
    ],
)
def test_what_is_one_or_two_is_asked(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_predictions(path)
    assert message in str(caught.value)


def test_numbers_as_a_spreadsheet_may_write_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("clip;subject;label;prediction;seed;p_0;p_1\na;1,0;1,0;1;0.0;0,25;0,75\n")
    assert read_predictions(path) == [
        Prediction("a", "1,0", "1", "1", seed=0, probabilities={"0": 0.25, "1": 0.75})
    ]


def test_seeds_in_two_spellings(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text(HEAD + "a,01,Happy,happy\nb,2,sad,happy\n")
    b.write_text(HEAD + "a,1,happy,Sad\nb,2,SAD,Sad\n")
    table = combine_seeds([(path, read_predictions(path)) for path in (a, b)])
    assert [(row.seed, row.subject, row.label) for row in table] == [
        (0, "01", "Happy"),
        (0, "2", "sad"),
        (1, "01", "Happy"),
        (1, "2", "sad"),
    ]


def test_a_protocol_spells_the_classes_and_names_the_set(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "a,1,Happiness,SURPRISE\n")
    (row,) = read_predictions(path, protocols.find("casme2_5"))
    assert row == Prediction("a", "1", "happiness", "surprise", set="casme2")


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
def test_rows_that_a_protocol_refuses(tmp_path, text, message):
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
    assert len({row.person for row in read_predictions(path)}) == 2


def test_files_are_seeds_of_one_experiment(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    table = combine_seeds([(a, table_of()), (b, table_of())])
    assert table == [*table_of(), *table_of(seed=1)]
    assert combine_seeds([(a, table_of(seed=7)), (b, table_of(seed=2))]) == [
        *table_of(seed=7),
        *table_of(seed=2),
    ]
    with pytest.raises(UserError, match=r"seed 4 stands in .*a\.csv and in .*b\.csv"):
        combine_seeds([(a, table_of(seed=4)), (b, table_of(seed=4))])
    with pytest.raises(UserError, match="differ: clip clip5 of subject smic_hs/2 is in the first"):
        combine_seeds([(a, table_of()), (b, table_of()[:-1])])
    other = [dataclasses.replace(table_of()[0], label="surprise"), *table_of()[1:]]
    with pytest.raises(UserError, match=r"clip0 of .* is labeled 'negative' in the first, 'surpr"):
        combine_seeds([(a, table_of()), (b, other)])
