import dataclasses

import pytest

from micron_jax import config
from micron_jax.errors import UserError
from micron_jax.training.config import parse


@pytest.mark.parametrize(
    "name", ["pretrain_demo", "pretrain_paper", "pretrain_pod", "pretrain_release"]
)
def test_shipped_recipes_are_whole(name):
    values = config.override(config.load(name), ["--config.data.data_dir=d"])
    parsed = parse(values)
    assert parsed.data.data_dir == "d"
    assert config.load(str(config.shipped()[name])) == config.load(name)


def test_the_two_settings_differ_as_the_paper_and_the_release_do():
    def of(name):
        return parse(config.override(config.load(name), ["--config.data.data_dir=d"]))

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
    changed = config.override(
        values,
        ["--config.model.depth=5", "--config.views.local_scale=(0.1, 0.5)", "--config.b", "word"],
    )
    assert changed == {
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
        ({"inner": {}}, r"config\.inner\.count is missing; give it as --config\.inner\.count="),
        ({}, r"config\.inner\.count is missing"),
        ({"inner": {"count": 1.5}}, r"config\.inner\.count=1\.5: expected int"),
        ({"inner": {"count": True}}, r"config\.inner\.count=True: expected int"),
        ({"inner": 3}, r"config\.inner=3: a section, not a value"),
        ({"inner": {"count": 1}, "span": 2}, r"config\.span=2: expected 2 values"),
        ({"inner": {"count": 1}, "on": "yes"}, r"config\.on='yes': expected bool"),
        ({"inner": {"count": 1}, "many": 1.5}, r"config\.many=1\.5: expected int or str"),
    ],
)
def test_what_does_not_fit_is_named(values, message):
    with pytest.raises(UserError, match=message):
        config.build(Outer, values)


def test_whole_numbers_serve_as_floats_and_lists_as_tuples():
    built = config.build(Outer, {"inner": {"count": 1, "share": 1}, "span": [0, 2]})
    assert built == Outer(Inner(1, 1.0), span=(0.0, 2.0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; the shipped recipes are .*pretrain_demo"),
        ("x = 1", "defines no get_config"),
        ("def get_config(): return {}", "does not return an ml_collections.ConfigDict"),
        ("def get_config(:", "SyntaxError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
    ],
)
def test_what_is_no_config_file(tmp_path, content, message):
    path = tmp_path / "recipe.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        config.load(str(path))


@pytest.mark.parametrize("argument", ["--confg.a=1", "a", "--config.a"])
def test_what_is_no_override(argument):
    with pytest.raises(UserError, match=argument):
        config.override({}, [argument])
