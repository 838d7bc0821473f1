"""Names on the Hugging Face Hub: what is in its cache is read, what cannot be reached is told."""

import builtins

import pytest
import tiny
from drawn_weights import draw_weights
from huggingface_hub import constants

from micron_jax import pretrained
from micron_jax.errors import UserError
from micron_jax.interop import folder, hub

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
    folder.save(weights, repository / "snapshots" / REVISION)


@pytest.mark.parametrize("name", ["lab/micron", "lab/micron@main", f"lab/micron@{REVISION}"])
def test_a_model_that_was_fetched_before(offline, name):
    weights = pretrained.read(name)
    assert weights.config == tiny.PAPER
    assert weights.info == {"source": "the lab"}


@pytest.mark.parametrize("name", ["lab/other", "lab/micron@other"])
def test_offline_is_one_line(offline, name):
    with pytest.raises(UserError, match=f"^{name}: no such file .* cannot be reached") as caught:
        pretrained.read(name)
    assert str(caught.value).isprintable()


def test_without_the_extra(offline, monkeypatch):
    real = builtins.__import__

    def no_hub(name, *args, **kwargs):
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_hub)
    with pytest.raises(UserError, match=r"pip install 'micron-jax\[hub\]'"):
        pretrained.read("lab/micron")


def test_what_lies_here_goes_first(offline, tmp_path):
    folder.save(draw_weights(tiny.PAPER, info={"source": "here"}), tmp_path / "lab" / "micron")
    assert pretrained.read("lab/micron").info == {"source": "here"}


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
