"""Eight virtual CPU devices for every test; what is slow to make is made once a session."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # a test compiles what it tests
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def recording_path() -> Path:
    return FIXTURES / "release_tiny.npz"


@pytest.fixture(scope="session")
def recording(recording_path):
    """(settings, arrays) of the small recording of the release."""
    from micron_jax.interop.parity import read_recording

    return read_recording(recording_path)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """A data_dir with a corpus of 2 clips of 24 frames at 32 px, a bright square moving in each."""
    import cv2
    import numpy as np

    from micron_jax.data import faces
    from micron_jax.datasets.frames.builder import build

    source = tmp_path_factory.mktemp("source")
    for clip in range(2):
        (source / f"clip{clip}").mkdir()
        for t in range(24):
            image = np.full((48, 48, 3), 60 + 30 * clip, np.uint8)
            image[10 + t // 2 : 22 + t // 2, 6 + t : 18 + t] = 200
            cv2.imwrite(str(source / f"clip{clip}" / f"{t}.png"), image)
    data_dir = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces, "all_faces_detector", lambda: lambda image: faces.CANONICAL[None] * 48)
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
    config.data = dict(data_dir={str(corpus)!r}, delta_min=2, delta_max=4, threads=1)
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
