import dataclasses
import json

import pytest
from helpers.commands import recipe_of

from micron_jax import config
from micron_jax.errors import UserError
from micron_jax.finetuning import config as tuning
from micron_jax.training.config import PretrainConfig, parse
from micron_jax.training.workdir import CONFIG_FILE, claim_workdir


@pytest.mark.parametrize("name", [n for n in config.recipes() if n.startswith(("pre", "fine"))])
def test_packaged_recipes_are_valid(name):
    needed = ["data.data_dir=d", *["checkpoint=random"] * name.startswith("fine")]
    values = config.override(config.load(name), needed)
    assert recipe_of(name)(values).data.data_dir == "d"
    assert config.load(str(config.recipes()[name])) == config.load(name)


def test_the_two_settings_differ_like_paper_and_release():
    def of(name):
        return parse(config.override(config.load(name), ["data.data_dir=d"]))

    paper, release = of("pretrain_paper"), of("pretrain_release")
    assert (release.model.dma_query, release.model.dma_key) == ("rep", "ref")
    assert (paper.model.dma_query, paper.model.dma_key) == ("ref", "rep")
    assert (release.model.dma_scaled, paper.model.dma_scaled) == (True, False)
    assert (release.model.dma_diagonal, paper.model.dma_diagonal) == (False, True)
    assert (release.model.poi, paper.model.poi) == ("none", "cosine")
    assert (release.objective.agreement, paper.objective.agreement) == ("dino", "mse")
    assert (release.views.swap, paper.views.swap) == ("uniform", "blocks")
    same = ("width", "depth", "heads", "patch_size", "img_size", "decoder_width", "mlp_ratio")
    for field in same:
        assert getattr(release.model, field) == getattr(paper.model, field)


def test_the_pod_has_the_papers_setting_but_for_the_batch():
    assert config.load("pretrain_pod") == config.load("pretrain_paper") | {"batch_size": 4096}


def test_overrides():
    values = {"a": 1, "model": {"depth": 2}}
    settings = config.override(
        values,
        ["model.depth=5", "views.local_scale=(0.1, 0.5)", "b=word"],
    )
    assert settings == {
        "a": 1,
        "model": {"depth": 5},
        "views": {"local_scale": (0.1, 0.5)},
        "b": "word",
    }
    assert values == {"a": 1, "model": {"depth": 2}}


def test_size_gives_the_fields_and_they_can_be_changed():
    values = {"data": {"data_dir": "d"}, "model": {"size": "base", "heads": 6}}
    model = parse(values).model
    assert (model.width, model.depth, model.heads) == (768, 12, 6)


@dataclasses.dataclass(frozen=True)
class Inner:
    count: int
    share: float = 0.5


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    name: str = "x"
    span: tuple[float, float] = (0.0, 1.0)
    on: bool = False
    many: int | str = "auto"
    more: dict = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": {"count": 1}, "nmae": "y"}, r"config\.nmae: no such field; did you mean name\?"),
        ({"inner": {"cuont": 1}}, r"config\.inner\.cuont: no such field; did you mean count\?"),
        ({"inner": {}}, r"config\.inner\.count is missing; set config\.inner\.count="),
        ({}, r"config\.inner\.count is missing"),
        ({"inner": {"count": 1.5}}, r"config\.inner\.count=1\.5: expected int"),
        ({"inner": {"count": True}}, r"config\.inner\.count=True: expected int"),
        ({"inner": 3}, r"config\.inner=3: a section, not a value"),
        ({"inner": {"count": 1}, "span": 2}, r"config\.span=2: expected 2 values"),
        ({"inner": {"count": 1}, "on": "yes"}, r"config\.on='yes': expected bool"),
        ({"inner": {"count": 1}, "many": 1.5}, r"config\.many=1\.5: expected int or str"),
    ],
)
def test_bad_fields_are_named(values, message):
    with pytest.raises(UserError, match=message):
        config.build(Outer, values)


def test_integers_become_floats_and_lists_become_tuples():
    built = config.build(Outer, {"inner": {"count": 1, "share": 1}, "span": [0, 2]})
    assert built == Outer(Inner(1, 1.0), span=(0.0, 2.0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file and no such recipe; choose one of .*pretrain_demo"),
        ("x = 1", "defines no get_config"),
        ("def get_config(): return {}", "does not return an ml_collections.ConfigDict"),
        ("x = 1\ndef get_config(:", r"recipe\.py, line 2: SyntaxError"),
        ("import nothing_of_that_name", r"recipe\.py, line 1: ModuleNotFoundError"),
        ("def get_config():\n    return {}['a']", r"recipe\.py, line 2: KeyError: 'a'"),
        ("\n\nimport sys; sys.exit(3)", r"recipe\.py, line 3: SystemExit: 3"),
    ],
)
def test_a_bad_config_file_is_named(tmp_path, content, message):
    path = tmp_path / "recipe.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        config.load(str(path))


@pytest.mark.parametrize("content", [b"# Title\n\nSome text.", b"PK\0\1", b"\xff\xd8\xff\xe0"])
def test_a_file_without_python_is_named(tmp_path, content):
    path = tmp_path / "README.md"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"README\.md: is no Python file; a recipe is"):
        config.load(str(path))


def test_a_folder_is_no_config_file(tmp_path):
    with pytest.raises(
        UserError, match=r"is a folder; name a Python file or a recipe: .*pretrain_demo"
    ):
        config.load(str(tmp_path))


def test_the_nearest_recipe_is_offered():
    with pytest.raises(UserError, match=r"did you mean pretrain_paper\?"):
        config.load("pretrain_papr")


@pytest.mark.parametrize(
    ("setting", "message"),
    [("a", "config.a has no value"), ("a.b=1", "config.a.b: config.a is no section")],
)
def test_a_setting_that_cannot_be_put_in_place(setting, message):
    with pytest.raises(UserError, match=message):
        config.override({"a": 2}, [setting])


@pytest.mark.parametrize(
    ("parse_values", "setting", "hint"),
    [
        (parse, "model.sise=base", r"config\.model\.sise: no such field; did you mean size\?"),
        (parse, "modle.depth=3", r"config\.modle: no such field; did you mean model\?"),
        (tuning.parse, "model.sise=base", r"config\.model\.sise: .* did you mean size\?"),
        (tuning.parse, "model.dpeth=3", r"config\.model\.dpeth: .* did you mean depth\?"),
        (tuning.parse, "tuning.epoch=3", r"config\.tuning\.epoch: .* did you mean epochs\?"),
    ],
)
def test_the_nearest_field_is_offered(parse_values, setting, hint):
    with pytest.raises(UserError, match=hint):
        parse_values(config.override({}, ["data.data_dir=d", setting]))


def test_an_unknown_field_comes_before_a_missing_one():
    with pytest.raises(UserError, match=r"config\.model\.sise: no such field"):
        parse({"data": {}, "model": {"sise": "base"}})


def test_words_of_the_last_version_are_brought_up_to_date(tmp_path):
    older = {"views": {"swap_with": "grey"}, "data": {"data_dir": "d"}}
    assert config.build(PretrainConfig, older).views.swap_with == "gray"
    (tmp_path / CONFIG_FILE).write_text(json.dumps(older))
    claim_workdir(tmp_path, config.up_to_date(older), free=set())
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["views"]["swap_with"] == "gray"
