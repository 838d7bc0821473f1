"""Eight virtual CPU devices for every test; what is slow to make is made once a session."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
# The last two compile in half the time, to slower code.
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=8 "
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import gc
import shutil
import signal
import sys
import warnings
from pathlib import Path

import pytest

# nohup, and a shell's background, have these ignored, which commands of tests would inherit.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory):
    """One process compiles; the others read it from a cache, those that tests start among them.

    JAX_COMPILATION_CACHE_DIR, where it is set, keeps it from one run of the tests to the next.
    """
    import jax

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR", folder / "compiled"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("jax_compilation_cache_dir", str(folder)),
            ("jax_persistent_cache_min_compile_time_secs", 0.2),
        ):
            patch.setenv(name.upper(), str(value))
            jax.config.update(name, value)
        yield


@pytest.fixture(scope="module", autouse=True)
def _memory_released():
    """Frees what a module has compiled: a worker would grow by gigabytes."""
    yield
    if "jax" in sys.modules:
        import jax

        from micron_jax.training.workdir import release_compiler_memory

        jax.clear_caches()
        gc.collect()
        release_compiler_memory()


@pytest.fixture(scope="session")
def recording_path() -> Path:
    return FIXTURES / "release_tiny.npz"


@pytest.fixture(scope="session")
def recording(recording_path):
    """(settings, arrays) of the small recording of the release."""
    from micron_jax.parity import recorded

    recording = recorded.read(recording_path)
    return recording.settings, recording.results


@pytest.fixture(scope="module")
def quickly():
    """Compiles sooner what is run only once or twice."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """A data_dir with a corpus of 2 clips of 24 frames at 32 px, a bright square moving in each."""
    import cv2
    import numpy as np

    from micron_jax.datasets.frames.builder import build
    from micron_jax.faces import landmarks

    source = tmp_path_factory.mktemp("source")
    for clip in range(2):
        (source / f"clip{clip}").mkdir()
        for t in range(24):
            image = np.full((48, 48, 3), 60 + 30 * clip, np.uint8)
            image[10 + t // 2 : 22 + t // 2, 6 + t : 18 + t] = 200
            cv2.imwrite(str(source / f"clip{clip}" / f"{t}.png"), image)
    data_dir = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            landmarks, "all_faces_detector", lambda: lambda image: landmarks.CANONICAL[None] * 48
        )
        build(source, data_dir, size=32)
    return data_dir


@pytest.fixture(scope="session")
def run_config(corpus, tmp_path_factory) -> Path:
    """A recipe that trains the tiny network, with DINO, in seconds."""
    path = tmp_path_factory.mktemp("configs") / "tiny_release.py"
    path.write_text(f"""
import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.batch_size = 8
    config.epochs = 2
    config.log_every = 1
    config.checkpoint_every = 4
    config.picture_every = 8
    config.data = dict(data_dir={str(corpus)!r}, delta_seconds=(2 / 30, 4 / 30), threads=1)
    config.model = dict(
        img_size=32, patch_size=8, width=32, depth=1, heads=2, decoder_width=16, decoder_depth=1,
        decoder_heads=2, projection_dim=8, projection_hidden=32, projection_bottleneck=16,
    )
    config.views = dict(
        swap="uniform", swap_min_patches=2, global_crops=2, local_crops=2, local_size=16
    )
    config.objective = dict(agreement="dino")
    config.optimizer = dict(learning_rate=1e-3, base_batch_size=0)
    return config
""")
    return path


@pytest.fixture(scope="session")
def run(run_config, tmp_path_factory) -> Path:
    """The workdir of a finished pretraining."""
    from micron_jax.cli import main

    workdir = tmp_path_factory.mktemp("runs") / "run"
    assert main(["pretrain", "--config", str(run_config), "--workdir", str(workdir)]) == 0
    return workdir


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of Chromium; without one the test is skipped with a warning."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        reason = "no Chromium on PATH: pages and videos were NOT opened in a browser"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return program


@pytest.fixture(scope="module")
def browser(chromium_path):
    """Headless Chromium; no longer than a module, for orbax cannot run beside its event loop."""
    playwright = pytest.importorskip("playwright.sync_api")
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    options += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a camera
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=chromium_path, args=options)
        yield chromium
        chromium.close()
