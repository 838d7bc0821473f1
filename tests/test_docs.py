"""README and docs/: commands as their parsers read them, options, files, links, and the prose."""

import ast
import contextlib
import re
import shlex
import statistics
import subprocess
import sys

import pytest
from helpers import doc_pictures, pages, prose
from helpers.commands import check, parsers, recipe_of
from helpers.pages import COMMANDS, FRAGMENTS, NAMED, OURS, PAGES, ROOT, SPANS

from micron_jax import config as configs
from micron_jax.cli import PROGRAMS, main
from micron_jax.errors import UserError
from micron_jax.programs.arguments import SETTING
from micron_jax.video.image_files import decode_jpeg

README = PAGES["README.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(OURS)])
def test_a_command_is_one(command, monkeypatch):
    check(shlex.split(command)[1:], monkeypatch)


@pytest.mark.parametrize("command", dict.fromkeys(NAMED))
def test_every_named_command_has_help(command):
    with pytest.raises(SystemExit) as stopped:
        main([*shlex.split(command)[1:], "--help"])
    assert stopped.value.code == 0


def test_the_table_of_commands_is_that_of_the_help():
    table = re.findall(r"^\| `micron-jax (\w+)` \| (.+) \|$", PAGES["commands.md"], re.MULTILINE)
    assert table == list(PROGRAMS.items())


def test_an_option_within_the_text_is_one(monkeypatch):
    fields = {"--dry-run", "--help"}  # of the launchers, and of every command
    for name in PROGRAMS:
        for parser in parsers(name, monkeypatch):
            fields |= set(parser._option_string_actions)
    for fragment in FRAGMENTS:
        words = shlex.split(fragment)
        settings = [word for word in words if word.startswith(SETTING)]
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert {o for o in options if not o.startswith(SETTING)} <= fields, fragment
        if settings:
            assert any(accepts(recipe, settings) for recipe in configs.recipes()), fragment


def accepts(recipe, settings) -> bool:
    """Tells if a recipe takes the settings, with or without a checkpoint."""
    settings = [setting.removeprefix(SETTING) for setting in settings]
    for more in ([], ["checkpoint=CKPT"]):
        with contextlib.suppress(UserError):
            values = configs.override(configs.load(recipe), ["data.data_dir=DIR", *more, *settings])
            recipe_of(recipe)(values)
            return True
    return False


def test_the_words_of_an_output_are_those_of_the_programs():
    sources = "\n".join(path.read_text() for path in (ROOT / "micron_jax").rglob("*.py"))
    outputs = "\n".join(text for _, text in pages.blocks("text"))
    labels = {*re.findall(r"^((?!protocol |motion )[a-z][a-z ,]+):", outputs, re.MULTILINE)}
    assert {"detections", "to look at", "mended", "classifier, trained on everyone"} <= labels
    assert [label for label in labels if f"{label}: " not in sources] == []


def test_no_block_is_of_another_kind():
    kinds = {kind for page in PAGES.values() for kind, _ in pages.FENCED.findall(page)}
    assert kinds <= pages.KINDS
    assert not any("```" in pages.FENCED.sub("", page) for page in PAGES.values())


@pytest.mark.parametrize(
    "path",
    [s for s in SPANS if re.match(r"(launch|tests|micron_jax|configs|docs)/[^*\s]+$", s)],
)
def test_every_file_exists(path):
    assert (ROOT / path.partition("::")[0]).exists()


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    folder = ROOT if name == "README.md" else ROOT / "docs"
    for target in LINK.findall(PAGES[name]):
        if not target.startswith("https://"):
            path, _, heading = target.partition("#")
            assert (folder / path).is_file(), target
            assert not heading, "headings change"


def test_every_page_of_docs_is_in_the_table_of_the_readme():
    rows = re.findall(r"^\| .+ \| \[docs/(.+)\]\(docs/\1\) \|$", README, re.MULTILINE)
    assert {*rows} == PAGES.keys() - {"README.md"}


def test_the_readme_is_short_and_begins_with_the_two_commands():
    assert len(README.splitlines()) <= 150
    first, _ = pages.blocks("")[0]
    assert first == "README.md"
    assert COMMANDS[:2] == ["bash launch/quickstart.sh", "bash launch/test.sh"]


def test_pictures_exist_and_are_small():
    pictures = [picture for page in PAGES.values() for picture in PICTURE.findall(page)]
    assert "docs/pictures/brows.png" in PICTURE.findall(README)
    for picture in pictures:
        data = (ROOT / "docs" / picture.removeprefix("docs/")).read_bytes()
        assert len(data) < 200_000
        assert decode_jpeg(data).std() > 20


@pytest.mark.slow
def test_the_picture_of_the_readme_can_be_drawn(tmp_path):
    doc_pictures.draw_brows(tmp_path / "brows.png")
    data = (tmp_path / "brows.png").read_bytes()
    assert len(data) < 200_000
    committed = decode_jpeg((doc_pictures.PICTURES / "brows.png").read_bytes())
    assert decode_jpeg(data).shape[1] == committed.shape[1]


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith(OURS)])
def test_packages_and_scripts_exist(command):
    words = shlex.split(command.removeprefix("time "))
    if words[0] == "bash":
        subprocess.run(["bash", "-n", ROOT / words[1]], check=True)
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"\.\[(.+)\]", command)
        # What is installed may be an earlier version.
        [offered] = [
            ast.literal_eval(node.value)
            for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
            if isinstance(node, ast.keyword) and node.arg == "extras_require"
        ]
        assert set(",".join(extras).split(",")) <= {*offered, ""}
    elif words[0] == "python":
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    else:
        assert words[:2] == ["git", "clone"]


def test_a_package_index_shows_no_link_and_no_picture_that_it_has_not():
    command = [sys.executable, "setup.py", "--long-description"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert text.lstrip().startswith("# micron_jax")
    assert text.rstrip().endswith("checkpoints have the reference.")
    assert "![" not in text
    assert LINK.findall(text)
    assert all(target.startswith("https://") for target in LINK.findall(text))


@pytest.mark.parametrize("name", PAGES)
def test_sentences_are_short(name):
    sentences = prose.sentences(PAGES[name])
    lengths = [prose.words(sentence) for sentence in sentences]
    assert len(lengths) > 10
    assert statistics.mean(lengths) < 20
    longest = max(lengths)
    assert longest <= 40, sentences[lengths.index(longest)]


def test_a_long_sentence_would_be_seen():
    """What README was written like before: 49 words, and code, a link and a table about it."""
    long = (
        "It goes on " + "and on " * 20 + "to the end (of `a b c`), as [this page](https://x.y) says"
    )
    page = f"# A heading. With words\n\nShort one. {long}. Another: 1.5 px.\n\n| a table. | x |\n"
    page += (
        "\n```\na command. of a block\n```\n\n- First item\n- second item\n  that goes on. Third\n"
    )
    found = prose.sentences(page)
    assert [prose.words(s) for s in found] == [2, 52, 3, 2, 5, 1]
    assert "as this page says" in found[1]
