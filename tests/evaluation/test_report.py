import html
import json
import re
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from helpers.evaluated import NASTY, composite, make_workdir

from micron_jax.errors import UserError
from micron_jax.evaluation.report import TEMPLATES, markdown_table, write_pages, write_report
from micron_jax.evaluation.report_content import Table
from micron_jax.evaluation.run_files import Run
from micron_jax.evaluation.significance import Bootstrap, compare
from micron_jax.evaluation.summary import summarize

# A probe that the page itself does not have tells what a browser made of it.
PROBE = """<script>addEventListener("load", () => {
  const root = document.documentElement, images = [...document.images];
  const loaded = performance.getEntriesByType("resource");
  parent.postMessage({
    width: root.clientWidth, over: root.scrollWidth - root.clientWidth, images: images.length,
    shown: images.filter(i => i.complete && i.naturalWidth > 0).length,
    curves: [...document.querySelectorAll("svg")].filter(s => s.getBBox().width > 100).length,
    columns: getComputedStyle(document.querySelector(".cards")).gridTemplateColumns.split(" ")
      .length,
    loaded: loaded.filter(e => !e.name.startsWith("data:")).length,
    scripts: document.scripts.length,
  }, "*");
});</script>"""
# Two widths at once; headless windows are no narrower than 500 px, frames are.
FRAMES = """<!doctype html><script>const pages = [];
addEventListener("message", e => { pages.push(e.data); document.title = JSON.stringify(pages); });
</script><title></title>
<iframe src="probed.html" style="width: 1280px; height: 2000px; border: 0"></iframe>
<iframe src="probed.html" style="width: 400px; height: 2000px; border: 0"></iframe>"""


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    path = make_workdir(tmp_path_factory.mktemp("reports") / "run <b>")
    assert write_report(path) == path / "report.html"
    return path


class Tags(HTMLParser):
    """Counts tags and sees to it that they close in order."""

    VOID = ("meta", "img", "br", "line", "circle", "polygon", "polyline")

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.outside = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        values = dict(attributes)
        self.outside += [
            v for k, v in values.items() if k in ("src", "href") and not v.startswith("data:image/")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.names.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_and_runs_nothing(workdir):
    text = (workdir / "report.html").read_text()
    tags = Tags(text)
    assert tags.outside == []
    assert not {"script", "link", "iframe", "b>"} & set(tags.names)
    assert not re.search(r"url\(|@import|https?://", text)
    assert tags.names.count("img") == 4 * 4  # the apex also over the onset
    assert NASTY not in text
    assert text.count("&lt;script&gt;alert(") == 3  # clip, device, config
    assert "<title>run &lt;b&gt; · micron_jax</title>" in text


def test_the_page_shows_all_content(workdir):
    text = html.unescape((workdir / "report.html").read_text())
    summary = summarize([one for seed in range(3) for one in composite(seed)])
    assert f'<div class="number">{summary["uf1"]:.4f}</div>' in text
    for words in (
        "442 clips of 68 subjects, 3 classes, 3 seeds, protocol composite",
        "published: 0.8903",
        "They stand here for orientation, not as a measure of the same thing.",
        "LEAKY, for comparison only: best epoch on the test subject: UF1 0.9100, UAR 0.9000",
        "Always negative, the largest class: UF1 0.2408, UAR 0.3333, accuracy 0.5656.",
        "As published.",
        "Median and range over 12 trainings",
        f"SAMM_Micro_FACS_Codes_v2.xlsx, sha256 {'cd' * 32}",
        f"runs/pretrain, sha256 {'ab' * 32}",
        "micron-jax finetune --workdir runs/a b",
        '"batch_size": 32',
    ):
        assert words in text
    low, high = summary["intervals"]["uf1"]
    assert f"95 % interval {low:.4f} to {high:.4f}" in text


def test_the_markdown_report(workdir):
    text = (workdir / "report.md").read_text()
    assert text.startswith("# run &lt;b>\n\n442 clips of 68 subjects")
    assert "LEAKY" in text
    assert "0.8903" in text
    assert "Protocol composite: clips and subjects as published." in text
    lines = markdown_table(Table(["a|b", "n"], [["<x>", 1.5]])).splitlines()
    assert lines == [
        r"| a\|b   |   n |",
        "| ------ | --: |",
        "| &lt;x> | 1.5 |",
    ]


def test_a_strip_places_its_values():
    figures = TEMPLATES.get_template("figures.html").module
    svg = str(figures.strip(0.5, (0.25, 0.75), [0.5], 1.0))
    assert '<circle class="value" cx="150.0"' in svg
    assert '<line class="interval" x1="79.0" x2="221.0"' in svg
    assert '<line class="mark" x1="150.0"' in svg
    assert '<circle class="published" cx="292.0"' in svg
    bare = str(figures.strip(0.5, None, [], None))
    assert not {"interval", "mark", "published"} & set(bare.split('"'))


def test_a_table_alone_gives_a_page(tmp_path):
    table = [row for row in composite() if row.set == "samm"]
    summary = summarize(table, bootstrap=Bootstrap(200))
    assert summary["protocol"] is None
    path = write_pages(tmp_path / "new" / "folder", summary, Run(), title="sheet.csv")
    text = path.read_text()
    Tags(text)
    body = text.split("</style>")[1]
    for word in ("published", "Training", "Hardest", "LEAKY", "Seeds"):
        assert word not in body
    assert "evaluated with" in text
    with pytest.raises(UserError, match="cannot be written"):
        write_pages(path / "below", summary, Run(), title="x")


def test_comparisons_and_differences_are_shown(tmp_path):
    from micron_jax.datasets.protocols import COMPOSITE

    table = composite()[1:]
    other = composite(1)[1:]
    summary = summarize(table, COMPOSITE, bootstrap=Bootstrap(200))
    summary["against"] = [{"file": "<other>.csv"} | compare(table, other, bootstrap=Bootstrap(200))]
    text = write_pages(tmp_path, summary, Run(), title="x").read_text()
    assert "<p>&lt;other&gt;.csv</p>" in text
    assert "McNemar, exact:" in text
    assert "casme2: 24 subjects" not in text
    assert re.search(r"<li>casme2: \w+ \d+, expected \d+</li>", text)
    assert re.search(r"<td>\d+ \(expected \d+\)</td>", text)


@pytest.fixture(scope="module")
def chromium(chromium_path):
    """A function that runs headless Chromium on a page."""

    def open_page(page, scratch, width, *options):
        command = [
            chromium_path,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ]
        command += ["--no-first-run", "--disable-background-networking", "--hide-scrollbars"]
        command += ["--disable-component-update", "--disable-sync", f"--user-data-dir={scratch}"]
        command += [f"--window-size={width},3000", *options, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    return open_page


def test_a_browser_shows_the_page_on_desktop_and_phone(workdir, chromium, tmp_path):
    text = (workdir / "report.html").read_text()
    (tmp_path / "probed.html").write_text(text.replace("</head>", f"{PROBE}</head>"))
    (tmp_path / "frames.html").write_text(FRAMES)
    options = ("--dump-dom", "--virtual-time-budget=5000")
    dom = chromium(tmp_path / "frames.html", tmp_path / "profile", 1400, *options).stdout
    pages = json.loads(re.search(r"<title>(.+)</title>", dom)[1])
    assert sorted((page["width"], page["columns"]) for page in pages) == [(400, 1), (1280, 3)]
    for page in pages:
        assert page["over"] == 0  # nothing sticks out to the right
        assert page["images"] == page["shown"] == 16
        assert page["curves"] == 5
        assert page["loaded"] == 0
        assert page["scripts"] == 1  # the probe


def test_a_browser_paints_the_page(workdir, chromium, tmp_path):
    picture = tmp_path / "page.png"
    page = workdir / "report.html"
    chromium(page, tmp_path / "profile", 400, f"--screenshot={picture}")
    painted = cv2.imread(str(picture))
    assert painted.shape == (3000, 400, 3)
    accent = np.abs(painted.astype(int) - (150, 105, 32)).sum(-1) < 12  # BGR
    assert accent.sum() > 5000  # bars and curves
    assert (painted[:, :12] > 240).mean() > 0.99  # the margin stays free


def test_honest_and_leaky_figures_stand_side_by_side(tmp_path):
    workdir = make_workdir(tmp_path / "run")
    bounds = {"uf1": [0.6, 0.7], "uar": [0.6, 0.8], "accuracy": [0.5, 0.9]}
    honest = {"uf1": 0.688, "uar": 0.715, "accuracy": 0.73, "intervals": bounds}
    leaky = {"label": "LEAKY, no", "uf1": 0.807, "uar": 0.843, "accuracy": 0.83, "intervals": None}
    (workdir / "leaky.json").write_text(json.dumps(leaky | {"honest": honest}))
    write_report(workdir)
    row = ["UF1", "0.6880", "0.6000 to 0.7000", "0.8070", "–", "+0.1190"]
    page = (workdir / "report.html").read_text()
    assert "".join(f"<td>{cell}</td>" for cell in row) in page
    lines = (workdir / "report.md").read_text().splitlines()
    assert row in [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert "LEAKY, no." in lines
