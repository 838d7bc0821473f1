import http.client
import json
import os
import queue
import tempfile
import threading
import time
import zipfile

import cv2
import jax
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights
from helpers.films import write_video
from helpers.refusals import refusal

from micron_jax import checkpoints
from micron_jax.checkpoints.classifier import Classifier, Pairs
from micron_jax.cli import main
from micron_jax.faces import landmarks
from micron_jax.models.classifier import ClassifierConfig

pytest.importorskip("uvicorn", reason="the extra `app` is not installed")
pytest.importorskip("python_multipart", reason="the extra `app` is not installed")
pytest.importorskip("starlette", reason="the extra `app` is not installed")

from micron_jax.app import job, server

CLASSES = ("negative", "positive", "surprise")


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    """The folder of the server's temporary folders."""
    path = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(path))
        yield path


def files_in(temporary):
    """All that lies in the temporary folder but the server's own folder with its lock."""
    return [
        os.path.join(folder, name)
        for folder, below, names in os.walk(temporary)  # which forgives what is removed meanwhile
        for name in [*below, *names]
        if not name.startswith("micron-app-") and name != "lock"
    ]


@pytest.fixture(scope="module")
def port(temporary, tmp_path_factory):
    """The port of a `micron-jax app` that takes 1 MB and 1 second; its weights are random."""
    rng = np.random.default_rng(0)
    checkpoint = tmp_path_factory.mktemp("weights") / "random"
    head = {"classes": {"kernel": rng.normal(size=(32, 3)), "bias": np.zeros(3)}}
    head = {"head": head, "mean": np.zeros(32), "deviation": np.ones(32)}
    head = jax.tree.map(lambda leaf: leaf.astype("f4"), head)
    figures = {"samples": 9, "f1": 0.333, "recall": 0.5, "precision": 0.25}
    evidence = {"protocol": "synthetic", "split": "subjects", "subjects": 10, "uf1": 0.612}
    evidence |= {"uar": 0.634, "intervals": {"uf1": [0.52, 0.7], "uar": [0.5, 0.8]}}
    evidence |= {"per_class": dict.fromkeys(CLASSES, figures)}
    pairs = Pairs(size=32, crop="face", registered=True)
    classifier = Classifier(ClassifierConfig(features="difference"), CLASSES, pairs, head, evidence)
    # A decoder is not needed, and long to compile.
    checkpoints.save(draw_weights(tiny.PAPER, decoder=False), checkpoint, classifier)
    events = queue.Queue()  # the server, as soon as it listens; then the command's status

    class ReportingServer(server.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            events.put(self)

    with pytest.MonkeyPatch.context() as patch:
        jax.config.update("jax_disable_most_optimizations", True)  # compiles sooner
        patch.setattr(server, "Server", ReportingServer)
        patch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
        command = ["app", "--checkpoint", str(checkpoint), "--port", "0"]
        command += ["--max-mb", "1", "--max-seconds", "1"]
        threading.Thread(target=lambda: events.put(main(command)), daemon=True).start()
        running = events.get(timeout=120)
        assert isinstance(running, ReportingServer)
        yield running.servers[0].sockets[0].getsockname()[1]
        running.should_exit = True
        assert events.get(timeout=60) == 0
    jax.config.update("jax_disable_most_optimizations", False)
    assert list(temporary.iterdir()) == []


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pictures of a face with its mouth shut and open, their video, and unusable files."""
    path = tmp_path_factory.mktemp("files")
    frames = []
    for t in range(18):
        mouth = np.zeros((320, 320), np.float32)
        cv2.ellipse(mouth, (160, 225), (50, 22), 0, 0, 360, max(0, 1 - abs(t - 9) / 4), -1)
        frames.append((drawn.face(3) * (1 - 0.8 * mouth[..., None])).astype(np.uint8))
        if t in (0, 9):
            cv2.imwrite(str(path / f"{t}.png"), frames[-1][..., ::-1])
    write_video(path / "clip.avi", frames, 30, codec="mjpeg", pixels="yuvj420p")
    (path / "broken.avi").write_bytes((path / "clip.avi").read_bytes()[:300])
    black = 40 * [np.zeros((64, 64, 3), np.uint8)]
    write_video(path / "long.avi", black, 30, codec="mjpeg", pixels="yuvj420p")
    cv2.imwrite(str(path / "other.png"), 255 - drawn.face(8)[..., ::-1])  # covers no other
    cv2.imwrite(str(path / "noise.png"), drawn.texture(1, (64, 64)))
    cv2.imwrite(str(path / "huge.png"), np.zeros((8000, 8000), np.uint8))
    (path / "broken.jpg").write_bytes(b"no picture")
    (path / "large.png").write_bytes(bytes(1_200_000))
    (path / "notes.txt").write_text("no picture")
    listed = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.avi\n#EXT-X-ENDLIST\n"
    (path / "playlist.mp4").write_text(listed)
    return path


def form(files, names, **fields):
    """(body, headers) of an upload."""
    parts = [(f'name="files"; filename="{name}"', (files / name).read_bytes()) for name in names]
    parts += [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    head = "--mark\r\nContent-Disposition: form-data; {}\r\n\r\n"
    body = b"".join(head.format(field).encode() + data + b"\r\n" for field, data in parts)
    return body + b"--mark--\r\n", {"Content-Type": "multipart/form-data; boundary=mark"}


def post(port, files, names, headers=(), **fields):
    """-> (status, the lines of the answer)."""
    body, kind = form(files, names, **fields)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/visualize", body, kind | dict(headers))
    answer = connection.getresponse()
    lines = [json.loads(line) for line in answer.read().splitlines()]
    connection.close()
    return answer.status, lines


@pytest.mark.parametrize(
    ("names", "fields", "line"),
    [
        (["broken.avi"], {}, "broken.avi: "),
        (["playlist.mp4"], {}, "playlist.mp4: no frame can be decoded"),
        (["clip.avi"], {"seconds": "2"}, "seconds '2': must be more than 0, and at most 1"),
        (["clip.avi"], {"seconds": "nan"}, "seconds 'nan': must be more than 0, and at most 1"),
        (["clip.avi"], {"seconds": "all"}, "seconds 'all': must be more than 0, and at most 1"),
        (["0.png", "broken.jpg"], {}, "broken.jpg: not a picture that can be read"),
        (["0.png", "noise.png"], {}, "noise.png: no face; whole frames need none (crop=whole)"),
        (["0.png", "huge.png"], {}, "huge.png: larger than 50 megapixels; make it smaller"),
        (["large.png"], {}, "files of 1.2 MB; at most 1 MB, the app's max-mb"),
        (["0.png"], {}, "give one video, or two pictures of one face"),
        ([], {}, "give one video, or two pictures of one face"),
        (["0.png", "notes.txt"], {}, "notes.txt: neither a video nor a picture"),
        (["0.png", "9.png"], {"map": "warm"}, "crop 'face', map 'warm': there is no such choice"),
        (["0.png", "9.png", "noise.png"], {}, "Too many files"),
    ],
)
def test_unusable_files_are_one_line(port, files, temporary, names, fields, line):
    _, lines = post(port, files, names, **fields)
    assert [*lines[-1]] == ["error"]
    error = lines[-1]["error"]
    assert error.startswith(line)
    assert "\n" not in error
    assert str(temporary) not in error
    assert files_in(temporary) == []


def test_a_long_video_is_a_question(port, files, temporary):
    _, lines = post(port, files, ["long.avi"])
    question = lines[-1]["result"]
    assert (question["input"], question["offers"]) == ("long", [1.0])
    assert question["seconds"] == pytest.approx(40 / 30, abs=0.01)
    assert files_in(temporary) == []


def test_the_beginning_of_a_video(port, files):
    _, lines = post(port, files, ["clip.avi"], seconds="0.5")
    result = lines[-1]["result"]
    assert result["warnings"] == ["Only the first 0.5 s of this video are looked at."]
    assert result["seconds"][-1] == pytest.approx(0.5, abs=0.02)
    shares = [line["share"] for line in lines if "share" in line]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.1 < 0.9 < shares[-1] <= 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example:{port}"}, 421),
        ({"Host": "localhost.example"}, 421),
        ({"Host": "["}, 400),
        ({"Host": "evil@127.0.0.1:{port}"}, 400),
        ({"Host": "127.0.0.1:{port}/x"}, 400),
        ({"Host": "127.0.0.1:{port}:80"}, 400),
        ({"Host": ""}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 400),
        ({"Host": "[::1]:{port}"}, 400),
        ({}, 400),
    ],
)
def test_requests_of_other_pages_are_refused(port, files, headers, status):
    headers = {name: value.format(port=port) for name, value in headers.items()}
    assert post(port, files, [], headers)[0] == status


@pytest.mark.parametrize("path", ["/", "/page.js", "/example.mp4", "/facts", "/nothing"])
def test_every_answer_forbids_other_sources(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= {*policy}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Permissions-Policy"].startswith("camera=(self), microphone=()")


def test_work_ends_when_the_client_leaves(port, files, temporary, monkeypatch):
    ended = threading.Event()

    def endless(model, paths, output, *, report, **settings):
        try:
            while not ended.wait(0.01):
                report("drawing", 1, 2)
        finally:
            ended.set()

    monkeypatch.setattr(job, "visualize_files", endless)
    body, kind = form(files, ["9.png", "0.png"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/visualize", body, kind)
    answer = connection.getresponse()
    assert json.loads(answer.readline())["doing"] == "drawing"
    answer.close()
    connection.close()
    assert ended.wait(60)
    end = time.monotonic() + 60
    while files_in(temporary):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_internal_error_is_one_line(port, files, temporary, monkeypatch, capfd):
    def broken(*_, **__):
        raise ZeroDivisionError("of a secret file")

    monkeypatch.setattr(job, "visualize_files", broken)
    _, lines = post(port, files, ["9.png", "0.png"])
    assert lines == [{"error": "our fault (ZeroDivisionError): the terminal tells more"}]
    assert "of a secret file" in capfd.readouterr().err
    assert files_in(temporary) == []


def test_an_upload_that_breaks_off_leaves_nothing(port, files, temporary):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.putrequest("POST", "/visualize")
    connection.putheader("Content-Length", "500000")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.endheaders(b"--x\r\n")
    connection.close()
    assert post(port, files, ["0.png"])[0] == 400
    assert files_in(temporary) == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--max-mb", "0"], "--max-mb: 0: must be more than 0"),
        (["--max-seconds", "nan"], "--max-seconds: nan: must be more than 0"),
        (["--port", "99999"], "--port: 99999: must be at least 0, and at most 65535"),
        (["--port", "{port}"], "--port {port}: cannot listen there: Address already in use"),
        (["--host", "nowhere.invalid"], "--host nowhere.invalid --port 7860: cannot listen there"),
        (["--port", "0"], "nothing: no such file or folder"),
    ],
)
def test_bad_options_are_one_line(port, options, line, monkeypatch, capsys):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    options = [option.format(port=port) for option in options]
    assert line.format(port=port) in refusal(["app", "--checkpoint", "nothing", *options], capsys)


@pytest.fixture
def page(browser, port):
    """The open page; a request to another host or a message in its console fails the test."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(120_000)
    urls, messages = [], []
    opened.on("request", lambda request: urls.append(request.url))
    opened.on("console", lambda message: messages.append(message.text))
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.goto(f"http://127.0.0.1:{port}")
    yield opened
    opened.close()
    elsewhere = [url for url in urls if not url.startswith((f"http://127.0.0.1:{port}/", "data:"))]
    assert elsewhere == messages == []
    assert len(urls) >= 4


def choose_files(page, files, *names):
    page.set_input_files("#files", [files / name for name in names])


def overhang(page, width):
    """Pixels of the page beyond the right border of a window."""
    page.set_viewport_size({"width": width, "height": 900})
    root = "document.documentElement"
    return page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")


def classes_shown(page):
    """Checks the table of classes; returns (probabilities in percent, the likely class)."""
    assert page.locator("#rows th").all_inner_texts() == [*CLASSES]
    assert page.inner_text("#worth").startswith("Classifiers trained alike recognized 63\u00a0%")
    cells = [cell.replace("\u00a0", " ") for cell in page.locator("#rows td").all_inner_texts()]
    assert cells[1::3] == ["50 %"] * 3
    assert cells[2::3] == ["25 %"] * 3
    evidence = page.inner_text("#evidence")
    assert "Protocol synthetic, one subject left out at a time: on 10 subjects" in evidence
    assert "UF1 0.61 (95 % over subjects 0.52 to 0.70) and UAR 0.63" in evidence
    shares = [int(cell.removesuffix(" %")) for cell in cells[::3]]
    assert abs(sum(shares) - 100) <= 2
    likely = page.inner_text("#rows .likely th")
    assert shares[CLASSES.index(likely)] == max(shares)
    return shares, likely


def wait_until(page, condition):
    """Waits for an expression; Playwright's own way is one that the page's policy forbids."""
    end = time.monotonic() + 120
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def wait_for_time(page, seconds):
    page.wait_for_selector(f'#time:text-is("{seconds} s")')


def levels(page, canvas):
    """How many values the pixels of a canvas have."""
    script = """id => {
      const canvas = document.getElementById(id), box = [0, 0, canvas.width, canvas.height];
      return new Set(canvas.getContext("2d").getImageData(...box).data).size;
    }"""
    return page.evaluate(script, canvas)


def test_a_video_in_a_browser(page, files, temporary):
    choose_files(page, files, "clip.avi")
    page.click("#go")
    page.wait_for_selector("#result")
    wait_for_time(page, "0.30")  # the apex
    assert min(levels(page, canvas) for canvas in ("face", "map", "close")) > 100
    wait_until(page, "document.activeElement.id === 'title'")
    assert page.inner_text("#summary").startswith("0.6 s, ")
    page.click("#timeline", position={"x": 1, "y": 20})
    wait_for_time(page, "0.00")
    assert page.inner_text("#hover").startswith("0.00 s: ")
    classes_shown(page)
    assert page.inner_text("#which").startswith("Candidate 1, from its onset")
    assert page.inner_text("#candidates tr.chosen").split()[0:1] == ["1"]
    assert "mouth" in page.inner_text("#candidates tr.chosen")
    page.click("#candidates button")
    wait_for_time(page, "0.30")
    page.click("#play")
    wait_for_time(page, "0.57")
    assert page.is_hidden("#magnify")  # the network knows no displacement
    assert overhang(page, 390) == 0
    names = page.locator("#downloads a").all_inner_texts()
    with page.expect_download() as download:
        page.click('#downloads a:has-text("ZIP")')
    archive = zipfile.ZipFile(download.value.path())
    assert {"annotated.mp4", "energy.csv", "timeline.npz"} <= {*archive.namelist()}
    for name, file in (("(MP4)", "annotated.mp4"), ("Candidates", "intervals.csv")):
        with page.expect_download() as download:
            page.click(f'#downloads a:has-text("{name}")')
        assert download.value.suggested_filename == f"clip_{file}"
        assert download.value.path().read_bytes() == archive.read(file)
    assert len(names) == 5
    assert files_in(temporary) == []


def test_keys_walk_through_a_video(page, files):
    choose_files(page, files, "clip.avi")
    page.click("#go")
    wait_for_time(page, "0.30")
    for key, seconds in (("ArrowRight", "0.33"), ("ArrowLeft", "0.30"), ("ArrowLeft", "0.27")):
        page.keyboard.press(key)
        wait_for_time(page, seconds)
    page.keyboard.press("n")  # there is one: it is next, too
    wait_for_time(page, "0.30")
    page.keyboard.press("l")
    assert page.get_attribute("#loop", "aria-pressed") == "true"
    offset = page.inner_text("#candidates tr.chosen td").split("–")[1]
    for _ in range(2):  # around and around
        wait_for_time(page, offset)
        wait_until(page, f"document.getElementById('time').textContent < '{offset}'")
    page.keyboard.press(" ")
    assert page.get_attribute("#play", "aria-label") == "Play"
    page.click("#hold")
    assert page.get_attribute("#hold", "aria-pressed") == "true"


def test_two_pictures_in_a_browser(page, files, temporary, tmp_path):
    page.wait_for_selector("text=at most 1 MB, and 1 s of a video")
    choose_files(page, files, "9.png")
    assert page.is_disabled("#go")  # a second one is missing
    choose_files(page, files, "0.png")
    assert page.locator("#chosen li").all_inner_texts()[1].startswith("compared with: 0.png")
    page.click("summary:text('More choices')")
    page.select_option("#kind", "cosine")
    page.click("#go")
    page.wait_for_selector("#result")
    wide = "all => all.filter(image => image.naturalWidth >= 224).length"
    assert page.eval_on_selector_all("#pair img", wide) == 3
    wait_until(page, "document.querySelectorAll('#figures img').length === 1")
    assert page.inner_text("#title") == "9.png and 0.png"
    assert page.inner_text("#label") == "1 − cosine of the tokens"
    assert page.is_hidden("#face")
    assert levels(page, "close") > 100
    shares, likely = classes_shown(page)
    assert page.inner_text("#which").startswith("The first picture as the apex")
    page.click("#swap")
    page.click("#go")
    page.wait_for_selector('#title:text-is("0.png and 9.png")')
    assert classes_shown(page) != (shares, likely)
    assert overhang(page, 1280) == overhang(page, 390) == 0
    (tmp_path / "again.png").write_bytes((files / "0.png").read_bytes())
    choose_files(page, tmp_path, "again.png")
    choose_files(page, files, "0.png")
    page.click("#go")
    page.wait_for_selector('#title:text-is("again.png and 0.png")')
    assert page.inner_text("#which") == "Nothing moved beyond the noise: no class."
    assert page.locator("#rows tr").count() == 0
    assert page.is_hidden("#warnings")
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert cv2.imread(str(tmp_path / "phone.png")).std() > 20
    assert files_in(temporary) == []


def test_two_people_have_no_map(page, files):
    choose_files(page, files, "9.png", "other.png")
    page.click("#go")
    page.wait_for_selector("#warnings")
    assert "is it one person, in one pose?" in page.inner_text("#warnings")
    titles = page.locator("#pair figcaption").all_inner_texts()
    assert titles == ["the picture", "compared with"]
    for part in ("#legend", "#closeup", "#classes"):
        assert page.is_hidden(part)
    above = "id => document.getElementById(id).getBoundingClientRect().top"
    assert page.evaluate(above, "warnings") < page.evaluate(above, "views")


def test_the_example_is_one_click(page, temporary):
    page.click("summary:text('More choices')")
    page.select_option("#crop", "whole")  # the test's detector knows other faces
    page.click("#example")
    page.wait_for_selector("#long")  # the server of the test takes a second
    assert page.inner_text("#howlong").startswith("This video lasts 3 s.")
    assert page.evaluate("document.activeElement.id") == "long"
    page.click("#offers button:text-is('The first 1 s')")
    page.wait_for_selector("#result")
    assert page.inner_text("#title") == "example.mp4"
    assert "brows rise" in page.inner_text("#summary")
    assert page.inner_text("#warnings") == "Only the first 1 s of this video are looked at."
    assert page.get_attribute("#progress", "aria-labelledby") == "doing"
    assert page.is_hidden("#working")
    assert files_in(temporary) == []


def test_the_camera_records(page, temporary):
    page.click("summary:text('More choices')")
    page.select_option("#crop", "whole")  # the browser's camera shows a pattern
    page.click("#camera")
    wait_until(page, "document.getElementById('preview').videoWidth > 0")
    page.click("#record")
    page.wait_for_selector("#recording:has-text('Recording')")
    page.wait_for_timeout(300)
    page.click("#record")  # stops
    page.wait_for_selector("#result:visible, #long:visible, #error:visible")
    assert page.inner_text("#chosen").startswith("camera.")
    assert page.is_hidden("#recorder")
    assert page.evaluate("document.getElementById('preview').srcObject") is None
    assert page.inner_text("#error") == ""
    assert files_in(temporary) == []


def test_the_page_shows_errors(page, files):
    page.wait_for_selector("text=at most 1 MB")
    choose_files(page, files, "large.png", "0.png")
    assert page.inner_text("#error").startswith("files of 1.")
    assert page.is_disabled("#go")
    dropped = page.evaluate_handle("""() => {
      const data = new DataTransfer();
      data.items.add(new File(["no video"], "broken.avi"));
      return data;
    }""")
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    assert page.inner_text("#chosen") == "broken.avi (0.00 MB)"
    assert page.is_hidden("#error")
    page.click("#go")
    page.wait_for_selector("#error")
    assert page.inner_text("#error").startswith("broken.avi: ")
    assert page.is_hidden("#result")
    assert page.is_enabled("#go")
