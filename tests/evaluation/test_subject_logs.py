import json

import pytest
from helpers.refusals import refusal

from micron_jax.cli import main
from micron_jax.datasets import protocols
from micron_jax.errors import Notice, UserError
from micron_jax.evaluation.predictions import read_predictions
from micron_jax.evaluation.significance import Bootstrap, compare

# Subject -> (predictions, labels); figures by hand: negative TP 4 FP 1 FN 2, positive TP 1 FP 1
# FN 1, surprise TP 1 FP 1 FN 0.
LISTS = {
    "006": ([0, 0, 1, 2], [0, 0, 0, 2]),
    "s01": ([1, 0], [1, 1]),
    "sub02": ([0, 0, 2], [0, 0, 0]),
}
UF1 = (8 / 11 + 2 / 4 + 2 / 3) / 3
UAR = (4 / 6 + 1 / 2 + 1) / 3


def printed(lists=LISTS, *, before="", colon=": ", word="Predicted   ", between=()):
    """The lines of STSTNet's code; `between` stands below each subject's name."""
    lines = []
    for name, (predictions, labels) in lists.items():
        lines += [f"Subject{colon}{name} ", *between]
        lines += [f"{word}{colon}{predictions} ", f"Ground Truth{colon}{labels} "]
        lines += ["Evaluation until this subject: ", "UF1: 0.5185 | UAR: nan "]
    lines += ["Final Evaluation: ", "UF1: 0.7 | UAR: 0.7 "]
    return "\n".join(before + line for line in lines) + "\n"


AS_DICTIONARY = {name: {"pred": p, "truth": t} for name, (p, t) in LISTS.items()}
FORMS = {
    "file": printed(),
    "screen": "lr=0.000050, epochs=800, device=cpu\n\n" + printed(word="Predicted    "),
    "logger": printed(before="INFO:root:", colon=":"),
    "dated": printed(before="2024-01-02 10:11:12,345 - INFO - "),
    "Windows": printed().replace("\n", "\r\n"),
    "arrays": printed().replace(",", "").replace("[", "tensor([").replace("]", "])"),
    "several lines": printed().replace("0, 1", "0,\n        1"),
    "floats": printed().replace("0,", "0.,").replace("2]", "2.0]"),
    "dictionary": f"import os\nx = {AS_DICTIONARY}\n",
    "JSON": json.dumps(AS_DICTIONARY, indent=1),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_log_has_the_same_figures(tmp_path, form):
    path, out = tmp_path / "log", tmp_path / "out.json"
    path.write_bytes(FORMS[form].encode())
    assert main(["evaluate", str(path), "--resamples", "100", "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result["samples"], result["subjects"]) == (9, 3)
    assert result["classes"] == ["negative", "positive", "surprise"]
    assert (result["uf1"], result["uar"]) == (pytest.approx(UF1), pytest.approx(UAR))
    assert set(result["per_set"]) == {"samm", "smic_hs", "casme2"}
    people = {(row["set"], row["subject"]) for row in result["per_subject"]}
    assert people == {("samm", "006"), ("smic_hs", "1"), ("casme2", "02")}


def test_clips_are_called_by_label_and_place(tmp_path):
    path = tmp_path / "log"
    path.write_text(printed({"006": ([0, 1, 2], [0, 2, 0])}))
    rows = read_predictions(path)
    assert [(row.clip, row.prediction) for row in rows] == [
        ("#negative-1", "negative"),
        ("#surprise-1", "positive"),
        ("#negative-2", "surprise"),
    ]
    assert {(row.set, row.subject, row.fold) for row in rows} == {("", "006", "006")}


def test_classes_and_sets_of_a_protocol(tmp_path):
    path = tmp_path / "log"
    path.write_text(printed({"spNO.1": ([0, 6], [4, 6])}))
    with pytest.raises(UserError, match="row 1: class '4' is not known; there are: 0 negative"):
        read_predictions(path)
    rows = read_predictions(path, protocols.find("casme3_7"))
    assert {row.set for row in rows} == {"casme3"}
    classes = protocols.find("casme3_7").classes
    assert [row.label for row in rows] == [classes[4], classes[6]]
    path.write_text(printed({"sub05": ([0], [0])}))
    assert read_predictions(path, protocols.find("composite"))[0].person == ("casme2", "05")
    assert read_predictions(path, protocols.find("casme2_5"))[0].set == "casme2"


def test_the_best_epoch_on_the_test_subject_is_told_to_leak(tmp_path):
    path = tmp_path / "log"
    path.write_text(printed(word="Best Predicted    ", between=["train"]) + FORMS["dictionary"])
    with pytest.warns(Notice, match="best on each test subject; its figures are no result"):
        assert len(read_predictions(path)) == 9
    both = printed().replace("Ground", "Best Predicted: [9]\nGround")
    path.write_text(both)
    assert len(read_predictions(path)) == 9


def test_a_log_is_compared_with_named_clips(tmp_path):
    """Which clip of a subject is which does not change UF1; McNemar's test would need it."""
    path, table, out = tmp_path / "log", tmp_path / "ours.csv", tmp_path / "out.json"
    path.write_text(printed())
    lines = ["clip,set,subject,label,prediction"]
    places = {"006": ("samm", "6"), "s01": ("smic", "1"), "sub02": ("casme2", "sub2")}
    words = ("negative", "positive", "surprise")
    for name, (_, labels) in LISTS.items():
        for n, label in enumerate(reversed(labels)):
            dataset, subject = places[name]
            dataset = "smic_hs" if dataset == "smic" else dataset
            lines.append(f"clip{n},{dataset},{subject},{words[label]},{words[label]}")
    table.write_text("\n".join(lines))
    argv = ["evaluate", str(table), "--against", str(path), "--json", str(out)]
    assert main([*argv, "--resamples", "100"]) == 0
    (comparison,) = json.loads(out.read_text())["against"]
    assert comparison["uf1"]["difference"] == pytest.approx(1 - UF1)
    assert comparison["mcnemar"] is None
    rows = read_predictions(path)
    assert compare(rows, rows, bootstrap=Bootstrap(100))["uar"]["difference"] == 0
    with pytest.raises(UserError, match=r"samm/6 has 3 clips of 'negative' in the first, 2 in"):
        compare(rows, rows[1:])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (printed() + "Subject: sub03\n", r"row 18: subject sub03 has no list `Predicted: \[...\]`"),
        (printed().replace("[1, 1]", "[1]"), "row 6: subject s01 has 1 labels, but 2 predictions"),
        (printed() + printed(), "row 18: subject 006 stood in row 1 already"),
        (printed().replace("Subject: s01", ""), "row 7: a second list of subject 006"),
        (printed().replace("Subject: 006", ""), "row 2: a list without a line `Subject: NAME`"),
        (printed().replace("[1, 1]", "[1, 3]"), "row 6: class .3. is not known"),
    ],
)
def test_broken_logs_are_refused(tmp_path, capsys, text, words):
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_predictions(path)
    assert "log, row" in refusal(["evaluate", path], capsys)
