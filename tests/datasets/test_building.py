"""Builders on a disk that is full, or that cannot be written; a small one is mounted for it."""

import cv2
import numpy as np
import pytest
from helpers import vendor_trees
from helpers.small_disk import mount, small_disk

from micron_jax.datasets.catalog import clip_set
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.datasets.frames import describe, plan
from micron_jax.datasets.frames.builder import build
from micron_jax.errors import UserError


@pytest.fixture
def disk(tmp_path):
    """300 kB."""
    with small_disk(tmp_path / "disk", "300k") as folder:
        yield folder


@pytest.fixture
def crops(tmp_path):
    rng = np.random.default_rng(0)
    for clip in range(3):
        (tmp_path / "crops" / f"c{clip}").mkdir(parents=True)
        for number in range(20):
            picture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "crops" / f"c{clip}" / f"{number}.png"), picture)
    return tmp_path / "crops"


def test_a_corpus_build_continues_when_there_is_room(disk, crops, monkeypatch):
    monkeypatch.setattr(plan, "SMALLEST", 20)
    with pytest.raises(UserError, match=r".*no space left on its disk; make room"):
        build(crops, disk / "data", size=64, crop="whole")
    folder = disk / "data" / "frames" / "1.0.0"
    (shard,) = folder.glob("*array_record*")
    then = shard.stat().st_mtime_ns
    assert not list(folder.glob(".build/*.incomplete"))
    assert mount("-o", "remount,size=9m", disk)
    build(crops, disk / "data", size=64, crop="whole")
    assert describe(disk / "data")["frames"] == 60
    assert shard.stat().st_mtime_ns == then


def test_a_benchmark_build_leaves_nothing_on_a_full_disk(disk, crops, tmp_path):
    rows = [vendor_trees.casme2_row("01", "EP01_01", 1, 2, 60)]
    tree = vendor_trees.write_casme2(tmp_path / "source", rows)
    for number, noise in enumerate(crops.rglob("*.png"), 1):
        place = tree / "CASME2-RAW" / "sub01" / "EP01_01" / f"img{number}.jpg"
        place.write_bytes(noise.read_bytes())
    with pytest.raises(UserError, match=r".*no space left on its disk; make room"):
        build_clips(clip_set("casme2"), tree, disk / "data")
    assert list(disk.iterdir()) == []


def test_a_read_only_disk_is_named(disk, crops, tmp_path):
    assert mount("-o", "remount,ro", disk)
    tree = vendor_trees.write_casme2(tmp_path / "source")
    words = r".*disk/data.*Read-only file system"
    with pytest.raises(UserError, match=words):
        build(crops, disk / "data", size=64, crop="whole")
    with pytest.raises(UserError, match=words):
        build_clips(clip_set("casme2"), tree, disk / "data")
