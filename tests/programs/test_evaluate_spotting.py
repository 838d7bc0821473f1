"""`micron-jax evaluate --spotting`, and `micron-jax data` on sets of long videos."""

import json

import pytest
from helpers.refusals import refusal
from helpers.spotting import DETECTIONS, write

from micron_jax.cli import main


def test_detections_with_everything_asked_for(tmp_path, capsys):
    truth, path = write(tmp_path)
    out, table, megc = (tmp_path / name for name in ("out.json", "table.csv", "megc.csv"))
    argv = ["evaluate", "--spotting", str(path), "--truth", str(truth), "--json", str(out)]
    argv += ["--report", str(tmp_path / "report"), "--csv", str(table), "--megc", str(megc)]
    assert main([*argv, "--resamples", "200", "--threshold", "0.55"]) == 0
    result = json.loads(out.read_text())
    assert [result["kinds"]["micro"][key] for key in ("tp", "fp", "fn")] == [2, 2, 1]
    assert result["threshold"] == 0.55
    assert len(table.read_text().splitlines()) == len(megc.read_text().splitlines()) == 5
    printed = capsys.readouterr().out
    assert printed.startswith("4 videos (3.0 minutes) of 2 subjects; ")
    assert "| micro             |           3 |          4 |   2 |   2 |   1 | 0.5714 |" in printed
    assert "Detections of a confidence of 0.55 or more count." in printed
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count('<div class="video">') == 3  # v4 has neither, above the threshold
    assert page.count('class="false micro"') == 2
    assert page.count('class="miss micro"') == page.count('class="miss macro"') == 1
    assert page.count('class="hit micro"') == 4
    assert "micro 50..59: expression, missed" in page
    assert "Precision over recall" in page
    assert (tmp_path / "report" / "report.md").read_text().startswith("# detections.csv, ")


def test_the_page_escapes_what_files_say(tmp_path):
    text = DETECTIONS.replace("v1", "<b>v1")
    truth, path = write(tmp_path, detections=text)
    truth.write_text(truth.read_text().replace("v1", "<b>v1"))
    argv = ["evaluate", "--spotting", str(path), "--truth", str(truth), "--resamples", "100"]
    assert main([*argv, "--report", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<b>v1" not in page
    assert "&lt;b&gt;v1" in page


def test_logs_of_lgsnet(tmp_path, capsys):
    truth, _ = write(tmp_path)
    for subject, video in (("s1", "v1"), ("s2", "v3")):
        place = tmp_path / "out" / f"subject_{subject}" / "test_detection"
        place.mkdir(parents=True)
        for epoch, start in enumerate((40, 10)):
            line = f"{video}\t{start}.0\t{start + 9}.0\t0.9\n"
            (place / f"test_{epoch:02}.txt").write_text(line)
    out = tmp_path / "out.json"
    argv = ["evaluate", "--spotting", str(tmp_path / "out"), "--truth", str(truth)]
    assert main([*argv, "--resamples", "100", "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["kinds"]["micro"]["tp"] == 2
    choices = result["choices"]
    assert [row["leaky"] for row in choices] == [False, False, True, True, True]
    assert choices[0]["micro"] == result["kinds"]["micro"]["f1"] == 0.8
    printed = capsys.readouterr().out
    assert "Detections after epoch 1 of 0 to 1." in printed
    assert "LEAKY, no result" in printed
    assert main([*argv, "--resamples", "100", "--epoch", "0", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["kinds"]["micro"]["tp"] == 0
    capsys.readouterr()
    assert "--epoch 7" in refusal([*argv, "--epoch", "7"], capsys)


def test_the_truth_of_inserted_expressions(tmp_path, capsys):
    one = {"onset": 10, "apex": 14, "offset": 20}
    film = {"film": "films/1.mp4", "control": "films/1_control.mp4", "group": "a", "split": "test"}
    films = [film | {"fps": 25.0, "frames": 1500, "expressions": [one]}]
    (tmp_path / "truth.json").write_text(json.dumps({"films": films}))
    path = tmp_path / "detections.csv"
    path.write_text("video,onset,offset,kind\n1.mp4,10,20,micro\n1_control.mp4,10,20,micro\n")
    out = tmp_path / "out.json"
    argv = ["evaluate", "--spotting", str(path), "--truth", str(tmp_path), "--json", str(out)]
    assert main(argv) == 0
    micro = json.loads(out.read_text())["kinds"]["micro"]
    assert (micro["tp"], micro["fp"], micro["false_alarms_per_minute"]) == (1, 1, 0.5)
    assert "inserted (synthetic)" in capsys.readouterr().out


def test_what_does_not_go_together(tmp_path, capsys):
    truth, path = write(tmp_path)
    spotting = ["evaluate", "--spotting", path]
    assert "--spotting needs --truth" in refusal(spotting, capsys)
    argv = [*spotting, "--truth", truth]
    assert "--protocol does not go with --spotting" in refusal(
        [*argv, "--protocol", "casme2_5"], capsys
    )
    assert "takes no PREDICTIONS" in refusal([*argv[:1], "x.csv", *argv[1:]], capsys)
    assert "--epoch goes with LGSNet's logs" in refusal([*argv, "--epoch", "3"], capsys)
    assert "'high': give a number, or others" in refusal([*argv, "--threshold", "high"], capsys)
    assert "would overwrite what is read" in refusal([*argv, "--csv", path], capsys)
    assert "name the folder by --data-dir" in refusal([*spotting, "--truth", "samm_lv"], capsys)
    assert "is no file, and none of the sets" in refusal([*spotting, "--truth", "samm"], capsys)
    assert "--threshold goes with --spotting" in refusal(
        ["evaluate", path, "--threshold", "1"], capsys
    )
    assert "name the PREDICTIONS" in refusal(["evaluate"], capsys)


@pytest.fixture
def sheet(tmp_path):
    text = "Subject,Filename,Onset,Apex,Offset,AU,Expression type,Objective class\n"
    text += "spNO.1,a,3,6,8,4,Macro-expression,VII\nspNO.2,b,12,13,14,5,Micro-expression,II\n"
    path = tmp_path / "CAS(ME)3_part_A_v2.csv"
    path.write_text(text)
    return path


def test_a_set_of_long_videos(sheet, tmp_path, capsys):
    data = tmp_path / "data"
    build = ["data", "build", "casme3_lv", "--source", str(sheet), "--data-dir", str(data)]
    assert main(build) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == [
        f"built: {data}/casme3_lv/truth.csv",
        "casme3_lv: videos: 2 (length unknown), subjects: 2, micro: 1, macro: 1",
    ]
    assert main(build) == 0
    assert capsys.readouterr().out.startswith("already built: ")
    assert main(["data", "list", "--data-dir", str(data)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("casme3_lv   videos: 2, subjects: 2, micro: 1, macro: 1, ")
    out = tmp_path / "check.json"
    check = ["data", "check", "casme3_lv", "--data-dir", str(data), "--json", str(out)]
    assert main(check) == 0
    report = json.loads(out.read_text())
    assert report["without_files"] == ["spNO.1/a", "spNO.2/b"]
    assert main(["data", "list", "casme3_lv"]) == 0
    assert "Ask: http" in capsys.readouterr().out

    path = tmp_path / "detections.csv"
    path.write_text("vid,onset,offset,type\n1_a,3,8,mae\n002/b,12,14,mae\n")
    for truth in (["casme3_lv", "--data-dir", str(data)], [str(sheet)]):
        argv = ["evaluate", "--spotting", str(path), "--truth", *truth, "--resamples", "100"]
        assert main([*argv, "--json", str(out)]) == 0
        kinds = json.loads(out.read_text())["kinds"]
        assert [kinds[k]["tp"] for k in ("micro", "macro", "both", "any")] == [0, 1, 1, 2]


def test_a_set_that_is_not_built(tmp_path, capsys):
    message = refusal(["data", "check", "samm_lv", "--data-dir", tmp_path], capsys)
    assert f"no truth of `samm_lv` in {tmp_path}; build it" in message
