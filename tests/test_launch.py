"""The launchers, as far as they can be tried without the machines that they start."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[1] / "launch"
DATAFLOW = LAUNCH / "beam_dataflow.sh"


@pytest.mark.parametrize("script", sorted(LAUNCH.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_sound(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--external-sources", str(script)], check=True, cwd=LAUNCH)


def run(*arguments, **variables):
    environment = {"PATH": os.environ["PATH"], **variables}
    command = ["bash", str(DATAFLOW), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")


def test_dataflow_dry_run():
    done = run("--dry-run", "--size=128", PROJECT="p", BUCKET="b", SOURCE="my clips.csv")
    assert done.returncode == 0, done.stderr
    install, build, after = done.stdout.replace("\\", "").splitlines()
    assert install.split() == ["setup_environment", "faces,dataflow"]
    assert build.startswith(".venv/bin/micron-jax data build frames --source /my clips.csv ")
    assert (
        "--data-dir gs://b/data --beam_pipeline_options runner=DataflowRunner,project=p," in build
    )
    assert build.split()[-1] == "--size=128"
    assert after.endswith("gs://b/data DIR")


def test_dataflow_asks_for_what_it_needs():
    done = run("--dry-run", PROJECT="p", SOURCE="clips.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("set BUCKET: ")
