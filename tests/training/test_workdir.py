"""The folder of a run: its settings, and its compiled programs."""

import json

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

import micron_jax
from micron_jax.errors import UserError
from micron_jax.training import workdir


@pytest.fixture
def cache():
    """jax's cache at work, as outside of the tests, and as it was afterwards."""
    names = ("jax_enable_compilation_cache", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in (*names, "jax_compilation_cache_dir")}
    for name, value in zip(before, (True, 0.0, None), strict=True):
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_programs_of_a_run_lie_in_its_workdir(cache, tmp_path):
    for name, number in (("a", 2.0), ("b", 3.0)):  # one run after another
        workdir.cache_compiled(tmp_path / name)
        jax.jit(lambda x, number=number: x * number + 1)(jnp.ones(3)).block_until_ready()
        assert any((tmp_path / name / workdir.CACHE_FOLDER).iterdir())


def test_a_folder_of_the_user_stays(cache, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    workdir.cache_compiled(tmp_path / "run")
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")


def test_settings_of_an_earlier_version_are_recognized(tmp_path):
    before = {"model": {"blocks": "auto"}, "views": {"swap_with": "grey"}}
    (tmp_path / workdir.CONFIG_FILE).write_text(json.dumps(before))
    now = {"model": {"blocks": "unrolled"}, "views": {"swap_with": "gray"}}
    workdir.claim_workdir(tmp_path, now, free={"model.blocks"})
    assert workdir.read_settings(tmp_path / workdir.CONFIG_FILE) == now
    now["views"]["swap_with"] = "ref"
    with pytest.raises(
        UserError, match=r"\(views.swap_with='gray', now 'ref'\); use a new workdir"
    ):
        workdir.claim_workdir(tmp_path, now, free=set())


def test_a_run_alone_removes_what_a_kill_left(tmp_path):
    (tmp_path / "cache").mkdir()
    for name in (".config.json.4321", "cache/.pairs.npz.99", "cache/pairs.npz", ".notes"):
        (tmp_path / name).write_text("")
    with workdir.sole_run(tmp_path), pytest.raises(UserError, match="another run is writing it"):  # noqa: SIM117
        with workdir.sole_run(tmp_path):
            pytest.fail("two runs")
    assert {path.name for path in tmp_path.rglob("*")} == {"cache", "pairs.npz", ".notes"}


@pytest.mark.usefixtures("cache")
def test_loading_uses_no_program_of_the_workdir(run):
    (run / workdir.CACHE_FOLDER).mkdir(exist_ok=True)
    micron_jax.load(run)
    assert jax.config.jax_compilation_cache_dir is None
