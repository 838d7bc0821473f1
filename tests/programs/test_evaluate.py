import json

import pytest
from helpers.evaluated import composite, make_workdir
from helpers.refusals import refusal
from helpers.small_disk import small_disk

from micron_jax.cli import main
from micron_jax.evaluation.prediction import Prediction
from micron_jax.evaluation.predictions import read_predictions, write_csv
from micron_jax.locks import sole_writer

SAMPLE = "clip,subject,label,prediction\na,1,x,x\nb,1,y,x\nc,2,x,x\nd,2,y,y\n"


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text(SAMPLE)
    return path


def test_a_csv_of_a_spreadsheet_is_read(sample, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["evaluate", str(sample), "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result["samples"], result["subjects"]) == (4, 2)
    assert result["confusion"] == [[2, 0], [1, 1]]
    assert result["uf1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert (result["uar"], result["accuracy"]) == (0.75, 0.75)
    assert result["per_set"] == {}
    printed = capsys.readouterr().out
    assert printed.startswith("4 clips of 2 subjects, 2 classes, 1 seed, no protocol\n")
    assert "0.7333" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "theirs.csv"]


@pytest.fixture
def synthetic(tmp_path):
    """Three forms of one run on a synthetic set: as it is now, and of two earlier versions."""
    found = {"casme2": {"samples": {"negative": 4, "positive": 4, "surprise": 4}, "subjects": 4}}
    record = {"name": "synthetic", "classes": ["negative", "positive", "surprise"], "found": found}
    folders = []
    for form, mark, more in (
        ("now", " (synthetic)", {"synthetic": ["casme2"]}),
        ("earlier", "", {"synthetic": ["casme2"]}),
        ("first", "", {}),
    ):
        folder = tmp_path / form
        folder.mkdir()
        (folder / "protocol.json").write_text(json.dumps(record | more))
        rows = [
            Prediction(f"EP{c}", f"{s:02}", label, label, set="casme2" + mark)
            for c, label in enumerate(record["classes"])
            for s in range(1, 5)
        ]
        write_csv(folder / "predictions.csv", rows)
        folders.append(folder)
    return folders


def test_a_synthetic_set_is_called_synthetic_in_all_tables(synthetic, tmp_path, capsys):
    """Runs of earlier versions, too, whose tables have the name of the layout alone."""
    now, earlier, first = synthetic
    text = (now / "predictions.csv").read_text()
    out, table = tmp_path / "out.json", tmp_path / "table.csv"
    for folder, others in ((now, (earlier, first)), (first, (now, earlier))):
        argv = ["evaluate", folder, "--resamples", 100, "--csv", table, "--json", out]
        argv += [word for other in others for word in ("--against", other)]
        assert main([*map(str, argv)]) == 0
        assert capsys.readouterr().out.startswith("SYNTHETIC, no benchmark: 12 clips of 4 subj")
        assert table.read_text() == text
        result = json.loads(out.read_text())
        assert list(result["per_set"]) == list(result["protocol"]["found"])
        assert list(result["per_set"]) == ["casme2 (synthetic)"]
        assert len(result["pairs"]) == 3
    for protocol in ("synthetic", "casme2_3"):
        argv = ["evaluate", str(now / "predictions.csv"), "--protocol", protocol]
        assert main([*argv, "--json", str(out)]) == 0
        assert capsys.readouterr().out.startswith("SYNTHETIC, no benchmark")
        result = json.loads(out.read_text())
        assert (list(result["per_set"]), result["published"]) == (["casme2 (synthetic)"], None)
    log = ["evaluate", str(now), "--megc", str(tmp_path / "log.txt")]
    assert "a MEGC log is of benchmarks, and casme2 (synthetic) is none" in refusal(log, capsys)


def test_a_workdir_with_everything_asked_for(tmp_path, capsys):
    workdir = make_workdir(tmp_path / "run")
    other = tmp_path / "other.csv"
    write_csv(other, composite(9, right=0.2))
    before = sorted(path.name for path in workdir.iterdir())
    out, log, table = (tmp_path / name for name in ("out.json", "log.txt", "table.csv"))
    argv = ["evaluate", str(workdir), "--seed", "1", "--against", str(other), "--json", str(out)]
    argv += ["--report", str(tmp_path / "report"), "--megc", str(log), "--csv", str(table)]
    assert main([*argv, "--resamples", "200"]) == 0
    assert sorted(path.name for path in workdir.iterdir()) == before
    result = json.loads(out.read_text())
    assert result["protocol"]["name"] == "composite"
    assert result["published"] == {"uf1": 0.8903, "uar": 0.8842}
    assert result["intervals"]["resamples"] == 200
    (comparison,) = result["against"]
    assert comparison["uf1"]["p"] < 0.05
    assert comparison["mcnemar"]["only_ours"] > comparison["mcnemar"]["only_theirs"]
    assert read_predictions(table) == [row for row in read_predictions(workdir) if row.seed == 1]
    by_clip = [
        {
            (row.person, row.clip.split("/")[-1]): (row.label, row.prediction)
            for row in read_predictions(file)
        }
        for file in (log, table)
    ]
    assert by_clip[0] == by_clip[1]
    assert log.read_text().splitlines()[0].startswith("casme2 sub")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Hardest clips" in page
    assert "Compared with" in page
    printed = capsys.readouterr().out
    assert "LEAKY, for comparison only" in printed
    assert f"report: {tmp_path / 'report' / 'report.html'}" in printed


def test_several_files_are_seeds_and_logs_are_read(tmp_path, capsys):
    paths = []
    for seed in range(2):
        paths.append(str(tmp_path / f"{seed}.csv"))
        write_csv(tmp_path / f"{seed}.csv", composite(seed))
    assert main(["evaluate", *paths, "--protocol", "composite", "--resamples", "200"]) == 0
    assert "3 classes, 2 seeds, protocol composite" in capsys.readouterr().out
    log = str(tmp_path / "log")
    argv = ["evaluate", paths[0], "--protocol", "composite", "--resamples", "200"]
    assert main([*argv, "--megc", log]) == 0
    first = capsys.readouterr().out
    # The log tells the same clips under the challenge's names.
    assert main(["evaluate", log, "--protocol", "composite", "--resamples", "200"]) == 0
    assert capsys.readouterr().out == first
    assert main([*argv, "--against", log]) == 0
    assert "McNemar, exact: 0 clips right here alone, 0 there alone" in capsys.readouterr().out


def test_differences_from_the_protocol_are_printed(tmp_path, capsys):
    write_csv(tmp_path / "a.csv", [row for row in composite() if row.set == "samm"][1:])
    argv = ["evaluate", str(tmp_path / "a.csv"), "--protocol", "samm_3", "--resamples", "200"]
    assert main(argv) == 0
    assert "Protocol samm_3 DIFFERS from the published counts:\n- samm:" in capsys.readouterr().out


COLUMNS = "clip,subject,label,prediction\n"
ROWS = [("n", "n"), ("n", "p"), ("p", "p"), ("s", "s"), ("s", "n")]
UF1 = (2 / 4 + 2 / 3 + 2 / 3) / 3  # n: TP 1 FP 1 FN 1, p: TP 1 FP 1, s: TP 1 FN 1


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        ("negative positive surprise", "negative positive surprise"),
        ("Negative Positive Surprise", "negative POSITIVE surprise"),
        ("0 1 2", "0.0 1.0 2.0"),
        ("00 01 02", "0 1 2"),
        ("negative positive surprise", "\u00a0negative \uff50ositive surprise\u200b"),
    ],
)
def test_spellings_of_a_class_do_not_change_the_figures(tmp_path, labels, predictions):
    path, out = tmp_path / "a.csv", tmp_path / "out.json"
    left, right = (
        dict(zip("nps", words.split(" "), strict=True)) for words in (labels, predictions)
    )
    lines = [f"{n},{n % 2},{left[a]},{right[b]}" for n, (a, b) in enumerate(ROWS)]
    path.write_text(COLUMNS + "\n".join(lines))
    assert main(["evaluate", str(path), "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["uf1"] == pytest.approx(UF1)
    assert result["classes"] == labels.split(" ")


def test_other_spellings_against_ours(tmp_path):
    ours, theirs, out = (tmp_path / name for name in ("ours.csv", "theirs.csv", "out.json"))
    ours.write_text(COLUMNS + "".join(f"{n},0{n % 2},{a},{b}\n" for n, (a, b) in enumerate(ROWS)))
    theirs.write_text(
        COLUMNS + "".join(f"{n},{n % 2},{a.upper()},{a.upper()}\n" for n, (a, _) in enumerate(ROWS))
    )
    argv = ["evaluate", str(ours), "--against", str(theirs), "--json", str(out)]
    assert main([*argv, "--resamples", "100"]) == 0
    (comparison,) = json.loads(out.read_text())["against"]
    assert comparison["uf1"]["difference"] == pytest.approx(UF1 - 1)
    assert comparison["mcnemar"]["only_theirs"] == 2


def test_synonyms_are_refused_unless_allowed(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text(COLUMNS + "a,1,negative,neg\nb,1,positive,negative\n")
    line = refusal(["evaluate", path], capsys)
    assert "a.csv, row 2: prediction 'neg' (1 rows) is no clip's label; labels are: neg" in line
    assert main(["evaluate", str(path), "--allow-unlabeled"]) == 0
    assert "Predicted, but no clip's label, and not in the means: neg." in capsys.readouterr().out
    path.write_text(COLUMNS + "a,1,x,x\nb,1,x,x\n")
    line = refusal(["evaluate", path], capsys)
    assert "all 2 rows have the label 'x': UF1 and UAR of one class tell nothing" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocol", "megc"], "no protocol 'megc'; choose one of composite, casme2_3"),
        (["--protocol", "composite"], "row 2: protocol composite has 3 sets"),
        (["--protocol", "samm_3"], "row 2: label 'x' is not of protocol samm_3, which has: neg"),
        (["--seed", "4"], "--seed 4: "),
        (["--resamples", "3"], "--resamples: 3: must be at least 100"),
        (["--json", "none/out.json"], "--json: none/out.json: name a file in a folder that exists"),
        (["--csv", "{sample}"], "would overwrite what is read"),
        (["--report", "{sample}"], "is a file: name a folder"),
        (
            ["--megc", "{folder}/log"],
            "is none of negative, positive, surprise: a MEGC log needs the prot",
        ),
        (["--against", "{folder}/none.csv"], "none.csv does not exist"),
        (["{sample}"], "one of the predictions is given twice"),
        (["{folder}"], "predictions.csv does not exist"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(sample, tmp_path, options, message, capsys):
    options = [one.format(sample=sample, folder=tmp_path) for one in options]
    assert message in refusal(["evaluate", sample, *options], capsys)
    assert sample.read_text() == SAMPLE
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.csv"]


def test_several_runs_are_tested_in_pairs(tmp_path, capsys):
    """A run against each other, and these against each other, with p for three pairs."""
    paths, out = [tmp_path / f"{name}.csv" for name in "abc"], tmp_path / "out.json"
    for path, right in zip(paths, (0.8, 0.78, 0.3), strict=True):
        write_csv(path, composite(len(path.name), right=right))
    argv = ["evaluate", *map(str, paths[:1])]
    argv += [word for path in paths[1:] for word in ("--against", str(path))]
    argv += ["--protocol", "composite", "--json", str(out), "--report", str(tmp_path / "report")]
    assert main([*argv, "--resamples", "500"]) == 0
    result = json.loads(out.read_text())
    assert [run["file"] for run in result["runs"]] == [str(path) for path in paths]
    assert result["runs"][0]["uf1"] == result["uf1"]
    assert result["runs"][0]["intervals"]["uf1"] == result["intervals"]["uf1"]
    pairs = {(pair["first"][-5], pair["second"][-5]): pair for pair in result["pairs"]}
    assert set(pairs) == {("a", "b"), ("a", "c"), ("b", "c")}
    p = sorted(pair["uf1"]["p"] for pair in pairs.values())
    corrected = sorted(pair["uf1"]["p_holm"] for pair in pairs.values())
    assert corrected == pytest.approx(sorted([3 * p[0], max(3 * p[0], 2 * p[1]), max(p)]))
    assert [entry["file"][-5] for entry in result["against"]] == ["b", "c"]
    assert result["against"][1]["uf1"] == pairs["a", "c"]["uf1"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Several runs on the same clips" in page
    assert "Compared with" not in page
    printed = capsys.readouterr().out
    assert "p, Holm of 3" in printed
    assert f"{paths[1]} − {paths[2]}" in printed
    write_csv(paths[2], composite()[1:])
    line = refusal([*argv, "--resamples", "100"], capsys)
    assert "a.csv and " in line
    assert "runs can be compared on the same clips only" in line
    assert "given twice" in refusal([*argv, "--against", str(paths[1])], capsys)
    line = refusal(["evaluate", str(paths[0]), "--against", str(paths[0])], capsys)
    assert "its predictions are what it is compared with" in line


def test_a_report_that_another_run_writes_is_refused(sample, tmp_path, capsys):
    report = tmp_path / "report"
    argv = ["evaluate", str(sample), "--report", str(report)]
    with sole_writer(report, busy=""):
        assert "report: another run is writing it; wait for its end (process" in refusal(
            argv, capsys
        )
        assert [path.name for path in report.iterdir()] == [".lock"]
    assert main(argv) == 0
    assert sorted(path.name for path in report.iterdir()) == ["report.html", "report.md"]


@pytest.mark.parametrize("option", ["--json", "--csv", "--megc", "--report"])
def test_a_full_disk_is_told_in_one_line_and_nothing_is_left(option, tmp_path, capsys):
    table = tmp_path / "table.csv"
    write_csv(table, composite(0))
    argv = ["evaluate", str(table), "--protocol", "composite", "--resamples", "200"]
    with small_disk(tmp_path / "disk", "32k") as disk:
        (disk / "fill").write_bytes(bytes(28 << 10))
        message = refusal([*argv, option, disk / "out"], capsys)
        assert "cannot be written (No space left on device)" in message
        assert "see --protocol" not in message
        assert [path.name for path in disk.iterdir()] == ["fill"]
