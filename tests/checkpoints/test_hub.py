"""Names on the Hugging Face Hub: what is in its cache is read, what cannot be reached is told."""

import base64
import builtins
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest
import yaml
from helpers import tiny
from helpers.drawn_weights import draw_weights
from helpers.kept_classifier import KEPT
from huggingface_hub import ModelCard, constants

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
    """Answers to the requests of the client of the Hub, for the models in a folder."""

    def do_GET(self):
        self.answer(body=True)

    def do_HEAD(self):
        self.answer(body=False)

    def answer(self, *, body):
        self.server.asked.append(self.path)
        words = self.path.removeprefix("/api/models").strip("/").split("/")
        model = self.server.models / "/".join(words[:2])
        if not model.is_dir():
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
        files = sorted(model.iterdir())
        if "/tree/" in self.path:
            told = [{"type": "file", "path": f.name, "size": 1, "oid": "0" * 40} for f in files]
        elif self.path.startswith("/api/"):
            siblings = [{"rfilename": f.name} for f in files]
            told = {"id": "/".join(words[:2]), "sha": REVISION, "siblings": siblings}
        else:
            told = (model / words[-1]).read_bytes()
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        return self.send(200, data, {"X-Repo-Commit": REVISION, "ETag": f'"{len(data)}"'}, body)

    def do_POST(self):
        """Takes what is pushed, all of it as regular files, from one who has the token."""
        self.server.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.headers["Authorization"] != "Bearer hf_mine":
            return self.send(401, b'{"error": "no token"}', {}, True)
        if self.path == "/api/validate-yaml":
            metadata = yaml.safe_load(json.loads(body)["content"].split("---")[1])
            self.server.cards.append(metadata)
            told = {"errors": [], "warnings": []}
        elif self.path == "/api/repos/create":
            name = "{organization}/{name}".format(**json.loads(body))
            (self.server.models / name).mkdir(parents=True, exist_ok=True)
            told = {"url": f"{self.server.address}/{name}", "name": name, "id": name}
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            told = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            told = {"files": told}
        else:
            model = self.server.models / "/".join(self.path.split("/")[3:5])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    data = base64.b64decode(line["value"]["content"])
                    (model / line["value"]["path"]).write_bytes(data)
            commit = (
                f"{self.server.address}/{'/'.join(self.path.split('/')[3:5])}/commit/{REVISION}"
            )
            told = {"success": True, "commitUrl": commit, "commitOid": REVISION}
        return self.send(200, json.dumps(told).encode(), {}, True)

    def send(self, status, data, headers, body):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": len(data)}).items():
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


def with_hub(folder, code):
    """The lines that code prints beside a Hub with the models of `folder / "models"`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.models, server.asked, server.cards = folder / "models", [], []
        server.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = {"HF_ENDPOINT": server.address, "HF_HOME": str(folder / "home")}
        there |= {"HF_HUB_DISABLE_XET": "1", "HF_TOKEN": ""}
        process = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | there,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        server.shutdown()
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines(), server


def test_a_model_is_fetched_and_nothing_else(tmp_path):
    weights = draw_weights(tiny.PAPER, info={"source": "the lab"})
    model = tmp_path / "models" / "lab" / "micron"
    files.save(weights, model)
    (model / "modeling.py").write_text("raise SystemExit")
    code = """
from micron_jax.checkpoints import files, load
print(load.read("lab/micron").info)
try:
    load.read("lab/other")
except load.UserError as error:
    print(error)
"""
    (fetched, missing), server = with_hub(tmp_path, code)
    assert fetched == "{'source': 'the lab'}"
    assert missing.startswith("lab/other: no such file or folder here, nor a model or revision")
    asked = {path.rpartition("/")[2] for path in server.asked if "/resolve/" in path}
    assert asked == {"README.md", "config.json", "model.safetensors"}


def test_a_pth_is_fetched_where_there_is_no_folder(tmp_path):
    one, two = (tmp_path / "models" / "lab" / name for name in ("one", "two"))
    for model, names in ((one, ["x.pth"]), (two, ["a.pth", "b.pth"])):
        model.mkdir(parents=True)
        for name in names:
            files.save(draw_weights(tiny.RELEASE), model / name)
            (model / f"{name.removesuffix('.pth')}.md").unlink()
    (tmp_path / "models" / "lab" / "none").mkdir()
    code = """
import os
from micron_jax.checkpoints import load
for name in ("lab/one", "lab/two", "lab/two:b.pth", "lab/none"):
    try:
        print(load.read(name).config.width)
    except load.UserError as error:
        print(error)
os.environ["HF_HUB_OFFLINE"] = "1"
import huggingface_hub.constants
huggingface_hub.constants.HF_HUB_OFFLINE = True
print(load.read("lab/one").config.width)
"""
    (first, several, named, none, offline), _ = with_hub(tmp_path, code)
    assert (first, named, offline) == ("32", "32", "32")
    assert several == (
        "lab/two: holds no config.json and 2 checkpoints; name one of them, as lab/two:a.pth"
    )
    assert none == "lab/none: holds no config.json and no .pth, so no Micron-BERT"


def test_a_model_is_pushed_and_loaded_again(tmp_path):
    files.save(draw_weights(tiny.PAPER, info={"source": "the lab"}), tmp_path / "here")
    (tmp_path / "models").mkdir()
    code = """
import numpy as np
from micron_jax import MicronBert
from micron_jax.errors import UserError
model = MicronBert.from_pretrained("here")
print(model.push_to_hub("me/mine", token="hf_mine", private=True))
again = MicronBert.from_pretrained("me/mine", revision="main")
print(again.config == model.config, again.info == model.info)
print(np.array_equal(again.params["encoder"]["cls"], model.params["encoder"]["cls"]))
try:
    model.push_to_hub("me/mine", token="hf_other")
except UserError as error:
    print(error)
"""
    (commit, same, equal, refused), server = with_hub(tmp_path, code)
    assert commit == f"{server.address}/me/mine/commit/{REVISION}"
    assert (same, equal) == ("True True", "True")
    assert refused.startswith("me/mine: ")
    assert refused.endswith("hf auth login")
    card = server.cards[0]
    assert card["library_name"] == "micron_jax"
    assert card["pipeline_tag"] == "image-feature-extraction"
    pushed = tmp_path / "models" / "me" / "mine"
    assert 'micron_jax.load("me/mine")' in (pushed / "README.md").read_text()
    assert sorted(f.name for f in pushed.iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip


def test_the_metadata_of_a_card_are_what_the_hub_reads(tmp_path):
    files.save(draw_weights(tiny.PAPER), tmp_path / "model", KEPT)
    data = ModelCard((tmp_path / "model" / "README.md").read_text()).data
    facts = data.to_dict()
    (model,) = facts.pop("model-index")
    assert facts == {
        "library_name": "micron_jax",
        "license": "unknown",
        "pipeline_tag": "image-classification",
        "tags": ["micro-expression", "facial-expression", "self-supervised", "jax", "flax"],
    }
    assert model["name"] == "model"
    (result,) = model["results"]
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"]["type"] == KEPT.evidence["protocol"]
    metrics = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert metrics == pytest.approx({n.upper(): KEPT.evidence[n] for n in ("uf1", "uar")}, abs=1e-4)


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
        ("owner/name:x.pth", True),
        ("owner/name@v1.0:folder/x.pth", True),
        ("owner/na me", False),
    ],
)
def test_names(name, named):
    assert hub.is_name(name) == named
