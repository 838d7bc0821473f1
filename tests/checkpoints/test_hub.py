"""Names on the Hugging Face Hub: what is in its cache is read, what cannot be reached is told."""

import builtins
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest
from helpers import tiny
from helpers.drawn_weights import draw_weights
from huggingface_hub import constants

from micron_jax.checkpoints import files, hub, load
from micron_jax.errors import UserError

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """A cache of the Hub that holds lab/micron, and no way to the Hub itself."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    repository = tmp_path / "cache" / "models--lab--micron"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    weights = draw_weights(tiny.PAPER, info={"source": "the lab"})
    files.save(weights, repository / "snapshots" / REVISION)


@pytest.mark.parametrize("name", ["lab/micron", "lab/micron@main", f"lab/micron@{REVISION}"])
def test_a_model_that_was_fetched_before(offline, name):
    weights = load.read(name)
    assert weights.config == tiny.PAPER
    assert weights.info == {"source": "the lab"}


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers to the requests of the client of the Hub, for one model."""

    def do_GET(self):
        self.answer(body=True)

    def do_HEAD(self):
        self.answer(body=False)

    def answer(self, *, body):
        self.server.asked.append(self.path)
        files = sorted(self.server.model.iterdir())
        if self.path.startswith("/api/models/lab/micron/tree/"):
            told = [{"type": "file", "path": f.name, "size": 1, "oid": "0" * 40} for f in files]
        elif self.path.startswith("/api/models/lab/micron/"):
            siblings = [{"rfilename": f.name} for f in files]
            told = {"id": "lab/micron", "sha": REVISION, "siblings": siblings}
        elif self.path.startswith(f"/lab/micron/resolve/{REVISION}/"):
            told = (self.server.model / self.path.rpartition("/")[2]).read_bytes()
        else:
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        return self.send(200, data, {"X-Repo-Commit": REVISION, "ETag": f'"{len(data)}"'}, body)

    def send(self, status, data, headers, body):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": len(data)}).items():
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


def test_a_model_is_fetched_and_nothing_else(tmp_path):
    weights = draw_weights(tiny.PAPER, info={"source": "the lab"})
    files.save(weights, tmp_path / "model")
    (tmp_path / "model" / "modeling.py").write_text("raise SystemExit")
    code = """
from micron_jax.checkpoints import files, load
print(load.read("lab/micron").info)
try:
    load.read("lab/other")
except load.UserError as error:
    print(error)
"""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.model, server.asked = tmp_path / "model", []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
        there |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        process = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | there,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        server.shutdown()
    assert process.returncode == 0, process.stderr
    fetched, missing = process.stdout.splitlines()
    assert fetched == "{'source': 'the lab'}"
    assert missing.startswith("lab/other: no such file or folder here, nor a model or revision")
    asked = {path.rpartition("/")[2] for path in server.asked if "/resolve/" in path}
    assert asked == {"config.json", "model.safetensors"}


@pytest.mark.parametrize("name", ["lab/other", "lab/micron@other"])
def test_offline_is_one_line(offline, name):
    with pytest.raises(UserError, match=f"^{name}: no such file .* cannot be reached") as caught:
        load.read(name)
    assert str(caught.value).isprintable()


def test_without_the_extra_a_message_names_it(offline, monkeypatch):
    real = builtins.__import__

    def no_hub(name, *args, **kwargs):
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_hub)
    with pytest.raises(UserError, match=r"pip install 'micron-jax\[hub\]'"):
        load.read("lab/micron")


def test_a_local_folder_precedes_the_hub(offline, tmp_path):
    files.save(draw_weights(tiny.PAPER, info={"source": "here"}), tmp_path / "lab" / "micron")
    assert load.read("lab/micron").info == {"source": "here"}


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("owner/name", True),
        ("an-owner/a.name_2@v1.0", True),
        ("name", False),
        ("runs/a/b", False),
        ("/owner/name", False),
        ("../name", False),
        ("owner/x.pth", False),
        ("owner/na me", False),
    ],
)
def test_names(name, named):
    assert hub.is_name(name) == named
