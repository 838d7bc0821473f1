"""The live comparison where there is no checkout: what is fed, compared, recorded and refused."""

import dataclasses
import json

import cv2
import jax
import numpy as np
import pytest
from helpers import tiny
from helpers.drawn_weights import draw_weights
from helpers.refusals import refusal

from micron_jax.checkpoints import files, release
from micron_jax.cli import main
from micron_jax.errors import UserError
from micron_jax.models.layers import patchify
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.parity import inputs, layer_outputs, live, recorded
from micron_jax.programs import compare

# Without DINO: its passes take most of the time to compile, and the release's head, with which a
# checkout is asked, is of one size.
WEIGHTS = draw_weights(dataclasses.replace(tiny.RELEASE, projection_dim=0))


@pytest.fixture(scope="module")
def recording():
    """The recording of a release that computes exactly as we do."""
    views = inputs.make_views(inputs.draw_images(32), tiny.RELEASE)
    numbers = live.release_numbers(WEIGHTS)
    jax.config.update("jax_disable_most_optimizations", True)  # compiles in half the time
    try:
        results = layer_outputs.outputs(WEIGHTS, views)
        results |= layer_outputs.training(WEIGHTS, views, numbers)
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
    results = {n: x for n, x in results.items() if not n.endswith("pos_embed")}  # frozen
    checksums = {n: recorded.checksum(x) for n, x in release.state_dict(WEIGHTS).items()}
    return recorded.Recording("x", results, views, checksums, numbers)


def with_results(recording, **results):
    """The recording with other results; None takes one out."""
    results = recording.results | results
    results = {name: x for name, x in results.items() if x is not None}
    return dataclasses.replace(recording, results=results)


@pytest.fixture(scope="module")
def computed(recording):
    """Ours, computed once for the tests that change the other side."""
    outputs = recording.results
    with pytest.MonkeyPatch.context() as patch:
        trained = {n: x for n, x in outputs.items() if n.startswith(("loss/", "gradient/"))}
        patch.setattr(
            layer_outputs,
            "outputs",
            lambda *_: {n: x for n, x in outputs.items() if n not in trained},
        )
        patch.setattr(layer_outputs, "training", lambda *_: trained)
        yield outputs


def test_every_layer_is_compared_in_order_of_depth(recording, computed):
    checks = list(live.compare(WEIGHTS, recording))
    assert [check.name for check in checks] == [
        "image", "patch_embed", "tokens", "block_0", "norm", "features", "crop_tokens",
        "last_attention", "dma/attention", "dma/output", "heat/output", "heat/release",
        "decoder/embed", "decoder/block_0", "decoder/norm", "decoder/pred", "decoder/image",
        "decoder/loss_norm_pix", "loss/reconstruction", "loss/total",
        "gradient/patch_embed", "gradient/cls_token", "gradient/block_0", "gradient/norm",
        "gradient/dma", "gradient/decoder/embed", "gradient/decoder/block_0",
        "gradient/decoder/norm", "gradient/decoder/pred",
    ]  # fmt: skip
    assert all(check.ok and check.error == 0 and check.cosine > 1 - 1e-9 for check in checks)
    assert {check.bound for check in checks if "gradient" in check.name} == {1e-4}
    assert {check.bound for check in checks if "gradient" not in check.name} == {1e-5}


def test_layer_outputs_equal_the_network(computed):
    views = inputs.make_views(inputs.draw_images(32), WEIGHTS.config)
    tokens = MicronBertModule(WEIGHTS.config).apply(
        {"params": WEIGHTS.params}, views["ref"], method="encode"
    )
    np.testing.assert_allclose(computed["norm"][2:], tokens, atol=1e-5)
    error = np.square(computed["decoder/pred"] - patchify(views["cur"], 8)).mean()
    np.testing.assert_allclose(computed["loss/reconstruction"], error, rtol=1e-5)
    assert computed["loss/total"] == computed["loss/reconstruction"]


def test_the_first_that_differs_is_named(recording, computed, tmp_path, capsys):
    names = "decoder/block_0", "decoder/norm"
    other = with_results(recording, **{n: recording.results[n] * np.float32(1.01) for n in names})
    recorded.write(other, tmp_path / "r.npz")
    files.save(WEIGHTS, tmp_path / "ours")
    out, plot = tmp_path / "out.json", tmp_path / "out.png"
    arguments = ["--checkpoint", str(tmp_path / "ours"), "--json", str(out), "--plot", str(plot)]
    assert main(["compare", "--recording", str(tmp_path / "r.npz"), *arguments]) == 1
    printed = capsys.readouterr().out
    assert "the first that differs: decoder/block_0, 9.90e-03" in printed
    (row,) = [line for line in printed.splitlines() if line.startswith("decoder/norm")]
    assert row.endswith("FAILS")
    assert "1.000000000" in row  # a scale leaves the cosine as it is
    written = json.loads(out.read_text())
    assert written["ok"] is False
    failed = [check["name"] for check in written["checks"] if not check["ok"]]
    assert failed == ["decoder/block_0", "decoder/norm"]
    assert set(written["checks"][0]) == {"name", "error", "bound", "ok"}
    assert cv2.imread(str(plot)).shape[2] == 3


def test_gradients_of_a_layer_are_compared_together(recording, computed):
    name = "gradient/backbone.blocks.0.attn.qkv.weight"
    other = with_results(recording, **{name: -recording.results[name]})
    failed = [c for c in live.compare(WEIGHTS, other) if not c.ok]
    assert [check.name for check in failed] == ["gradient/block_0"]
    assert failed[0].cosine < 0.9
    frozen_there = with_results(recording, **{name: None})
    (failed,) = [c for c in live.compare(WEIGHTS, frozen_there) if not c.ok]
    assert failed.name == "gradient/block_0"


def test_what_only_one_side_trains_fails_however_small_it_is(recording, computed):
    cls = recording.results["gradient/backbone.cls_token"]
    assert np.abs(cls).max() < 1
    tiny_gradient = {"gradient/backbone.cls_token": np.float32(1e-9) * np.ones_like(cls)}
    (failed,) = [
        c for c in live.compare(WEIGHTS, with_results(recording, **tiny_gradient)) if not c.ok
    ]
    assert failed.name == "gradient/cls_token"
    frozen_there = with_results(recording, **{"gradient/backbone.cls_token": None})
    (failed,) = [c for c in live.compare(WEIGHTS, frozen_there) if not c.ok]
    assert (failed.name, failed.error) == ("gradient/cls_token", 1.0)


def test_arrays_that_only_the_release_has_are_named_and_fail(recording, computed, tmp_path, capsys):
    other = with_results(
        recording,
        **{
            "gradient/teacher.head.mlp.0.bias": np.float32([0, 1e-12]),
            "gradient/teacher.head.mlp.0.weight": np.zeros((2, 2), np.float32),
            "extra/\x1b[31m": np.float32([1]),
        },
    )
    checksums = recording.checksums | {"mask_token": 1, "mask_embed": 2}
    other = dataclasses.replace(other, checksums=checksums)
    failed = [check for check in live.compare(WEIGHTS, other) if not check.ok]
    names = ["gradient/teacher", "extra/\x1b[31m", "only there: mask_token and 1 more"]
    assert {check.name: check.error for check in failed} == dict.fromkeys(names, 1.0)
    recorded.write(other, tmp_path / "r.npz")
    files.save(WEIGHTS, tmp_path / "ours")
    arguments = ["--checkpoint", str(tmp_path / "ours"), "--recording", str(tmp_path / "r.npz")]
    assert main(["compare", *arguments]) == 1
    printed = capsys.readouterr().out
    assert "only there: mask_token" in printed
    assert "\x1b" not in printed
    assert r"extra/\x1b[31m" in printed


def test_recordings_of_the_first_format_still_compare(recording, computed, tmp_path):
    first = {n: None for n in layer_outputs.LATER if n in recording.results}
    old = dataclasses.replace(with_results(recording, **first), numbers={})
    views = {name: view for name, view in old.views.items() if name != "image"}
    recorded.write(dataclasses.replace(old, views=views), tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as file:
        assert str(file["format"]) == "micron_jax live 1"
    checks = list(live.compare(WEIGHTS, recorded.read(tmp_path / "r.npz")))
    assert len(checks) == 23
    assert all(check.ok for check in checks)
    missing = with_results(recording, features=None)
    with pytest.raises(UserError, match="features is missing"):
        list(live.compare(WEIGHTS, missing))


@pytest.mark.parametrize(
    ("numbers", "views", "message"),
    [
        ({"epochs": 10**12}, {}, "x: epochs=1000000000000; a number such as 200 goes"),
        ({"average_step": 1.5}, {}, "average_step=1.5"),
        ({"other": 1}, {}, "other=1"),
        ({}, {"rep": np.zeros((50, 32, 32, 3), np.float32)}, r"x: rep is float32 \(50,"),
        ({}, {"global": np.zeros((2, 2, 64, 64, 3), np.float32)}, "x: global is float32"),
        ({}, {"image": np.zeros((4, 4), np.uint8)}, "x: image is uint8"),
    ],
)
def test_hostile_recordings_are_refused_before_anything_is_computed(
    recording, numbers, views, message, monkeypatch
):
    monkeypatch.delattr(layer_outputs, "outputs")
    other = dataclasses.replace(
        recording, numbers=recording.numbers | numbers, views=recording.views | views
    )
    with pytest.raises(UserError, match=message):
        list(live.compare(WEIGHTS, other))


def test_the_schedules_and_the_average_are_those_of_the_release():
    weights = draw_weights(tiny.RELEASE)
    given = {"warmup_teacher_temp": 0.02, "teacher_temp": 0.06, "warmup_teacher_temp_epochs": 5}
    args = {"args": given | {"epochs": 9, "local_crops_number": 3}}
    weights = dataclasses.replace(weights, info=weights.info | args)
    results = layer_outputs.schedules(weights, live.release_numbers(weights))
    assert results.pop("dino/views") == 5
    temperature = [*np.linspace(0.02, 0.06, 5), *[0.06] * 4]
    np.testing.assert_allclose(results.pop("dino/temperature"), temperature, rtol=1e-6)
    momentum = 1 - 0.1 * (1 + np.cos(np.pi * np.arange(10) / 10)) / 2
    np.testing.assert_allclose(results.pop("dino/momentum"), momentum, rtol=1e-6)
    arrays, step = release.state_dict(weights), momentum[3]
    names = sorted(name for name in arrays if name.startswith("teacher."))
    average = [
        (1 - step) * arrays[name.replace("teacher.", "student.")] - step * arrays[name]
        for name in names
    ]
    samples = np.concatenate([values.ravel()[:: layer_outputs.STRIDE] for values in average])
    np.testing.assert_allclose(results.pop("dino/average"), samples, rtol=1e-4, atol=1e-7)
    assert not results
    wrong = dataclasses.replace(weights, info={"args": args["args"] | {"epochs": 2.5}})
    with pytest.raises(UserError, match=r"args: epochs=2.5; a number such as 200 goes"):
        live.release_numbers(wrong)


def test_nan_in_the_recording_fails(recording, computed):
    other = with_results(recording, norm=recording.results["norm"] * np.float32("nan"))
    assert [c.name for c in live.compare(WEIGHTS, other) if not c.ok] == ["norm"]


def test_other_weights_are_named(recording, tmp_path, capsys):
    recorded.write(recording, tmp_path / "r.npz")
    other = draw_weights(WEIGHTS.config)
    other.params["dma"]["to_v"]["bias"][3] += 1e-6
    files.save(other, tmp_path / "other")
    arguments = ["--recording", str(tmp_path / "r.npz"), "--checkpoint", str(tmp_path / "other")]
    line = refusal(["compare", *arguments], capsys)
    assert "r.npz: holds other weights than the checkpoint (first att.to_v.bias, 1 of" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": np.zeros((2, 3))}, r"x: norm has shape \(2, 3\), not \(4, 17, 32\)"),
        ({"block_0": None}, "x: block_0 is missing"),
    ],
)
def test_another_structure_is_named(recording, computed, change, message):
    with pytest.raises(UserError, match=message):
        list(live.compare(WEIGHTS, with_results(recording, **change)))


def test_recordings_of_weights_need_a_checkpoint(recording, tmp_path, recording_path):
    recorded.write(recording, tmp_path / "r.npz")
    for arguments, status in (
        (["--recording", tmp_path / "r.npz"], "name it with --checkpoint"),
        (["--recording", recording_path, "--checkpoint", "x"], "leave out --checkpoint"),
    ):
        with pytest.raises(UserError, match=status):
            compare.main([str(argument) for argument in arguments])


def test_a_lone_array_is_no_recording(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(UserError, match="not a readable"):
        compare.main(["--recording", str(tmp_path / "x.npy")])


def test_views_of_images(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (7, 20, 30, 3)).astype(np.uint8)
    for i, frame in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"img{i}.png"), frame[..., ::-1])
    (tmp_path / "notes.txt").write_text("not a frame")
    images = inputs.read_images([tmp_path], 32)
    assert images.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(images[1], cv2.resize(pictures[1], (32, 32)))
    views = inputs.make_views(images, tiny.RELEASE)
    assert {n: x.shape for n, x in views.items()} == {
        "rep": (4, 32, 32, 3), "ref": (4, 32, 32, 3), "cur": (4, 32, 32, 3),
        "global": (4, 2, 32, 32, 3), "local": (4, 2, 8, 8, 3), "image": (48, 42, 3),
    }  # fmt: skip
    swapped = (views["rep"] == views["ref"]).all(-1)
    assert ((views["rep"] == views["cur"]).all(-1) | swapped).all()
    assert 0.2 < swapped.mean() < 0.8
    drawn_images = inputs.draw_images(32)
    assert (drawn_images[0] != drawn_images[1]).any()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["none.png"], "none.png: No such file"),
        (["one.png"], "1 images; a pair"),
        (["one.png", "text.png"], "text.png: not a whole image"),
        (["empty"], "0 images; a pair"),
    ],
)
def test_bad_images_are_named(names, message, tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        inputs.read_images([tmp_path / name for name in names], 32)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """(module, code) -> a folder that looks like a checkout, where a package is what is given."""

    def checkout(**packages):
        (tmp_path / "checkout" / "models").mkdir(parents=True)
        (tmp_path / "checkout" / "models" / "mae.py").write_text("raise ImportError('no good')")
        for name, code in packages.items():
            path = tmp_path / "packages" / name.replace("__", "/") / "__init__.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
        return tmp_path / "checkout"

    return checkout


GONE = "raise ModuleNotFoundError(name=__name__)"
TIMM = {"timm": "", "timm__models": "", "timm__models__vision_transformer": ""}


@pytest.mark.parametrize(
    ("packages", "message"),
    [
        ({"torch": GONE}, r"torch is not installed: pip install 'micron-jax\[torch\]'"),
        ({"torch": "", "timm": GONE}, r"timm.* pip install --no-deps timm==0.4.12"),
        ({"torch": "", **TIMM}, r"the checkout cannot be imported \(no good\)"),
        ({"torch": "", **TIMM, "models": "", "models__mae": ""}, "stands before the checkout"),
        ({"torch": "import os; os._exit(9)"}, "the release ended with 9"),
    ],
)
def test_missing_packages_of_the_release_are_named(checkout, packages, message, tmp_path, capsys):
    files.save(WEIGHTS, tmp_path / "ours")
    arguments = ["--checkpoint", tmp_path / "ours", "--release", checkout(**packages)]
    with pytest.raises(UserError, match=message) as caught:
        compare.main([str(argument) for argument in arguments])
    assert str(caught.value).isprintable()


def test_wrong_checkouts_and_models_are_named(tmp_path):
    views = inputs.make_views(inputs.draw_images(32), tiny.RELEASE)
    with pytest.raises(UserError, match=r"no models/mae\.py in it, so not a checkout"):
        live.record(WEIGHTS, tmp_path / "x.pth", tmp_path, views)
    files.save(draw_weights(tiny.PAPER), tmp_path / "paper")
    with pytest.raises(UserError, match=r"paper: no model .*dma_query='ref'"):
        compare.main(["--checkpoint", str(tmp_path / "paper"), "--release", str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --release"),
        (["--release", "x", "--recording", "y"], "give either --release"),
        (["--release", "x"], "--release needs --checkpoint"),
        (["--recording", "x", "--record", "y"], "--record goes with --release"),
        (["--recording", "x", "--json", "no/y"], "no/y: name a file in a folder that exists"),
    ],
)
def test_incompatible_options_are_refused(arguments, message, capsys):
    assert main(["compare", *arguments]) == 2
    assert message in capsys.readouterr().err
