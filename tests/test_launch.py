"""The launchers, without running what they launch."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from micron_jax.cli import PROGRAMS
from micron_jax.config import recipes

LAUNCH = Path(__file__).parent.parent / "launch"
SCRIPTS = [*sorted(LAUNCH.glob("*.sh")), LAUNCH / "slurm.sbatch"]
DRY = ["tpu_pod.sh", "slurm.sbatch", "single_gpu.sh"]


def dry_run(name, *arguments, **variables):
    process = subprocess.run(
        ["bash", LAUNCH / name, "--dry-run", *arguments],
        env={"PATH": os.environ["PATH"]} | variables,
        capture_output=True,
        text=True,
    )
    return process.returncode, process.stdout, process.stderr


def unquoted(commands):
    """The words of printed commands, as bash would read them, in one text."""
    process = subprocess.run(
        ["bash", "-c", f"set -- {commands.replace(chr(10), ' ')}; printf '%s ' \"$@\""],
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout


def commands_of(out):
    """The commands in an output, without the lines for people."""
    return "\n".join(line for line in out.splitlines() if line.startswith(("gcloud", "git")))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shell_reads_it(path):
    subprocess.run(["bash", "-n", path], check=True)
    if shellcheck := shutil.which("shellcheck"):
        subprocess.run([shellcheck, "-x", "-P", LAUNCH.parent, path], check=True)


def test_the_quickstart_has_help():
    process = subprocess.run(
        ["bash", LAUNCH / "quickstart.sh", "--help"], capture_output=True, text=True, check=True
    )
    assert "bash launch/quickstart.sh [WORKDIR]" in process.stdout
    assert all(f"  {name} " in process.stdout for name in ("VENV", "EXTRAS", "PYTHON"))


@pytest.mark.parametrize("name", DRY)
def test_dry_run_prints_the_command_and_needs_nothing(name):
    variables = {"CONFIG": "pretrain_release", "WORKDIR": "/shared/a run", "DATA_DIR": "/d"}
    status, out, err = dry_run(name, "--config.epochs=3", **variables)
    assert (status, err) == (0, "")
    text = " ".join(out.split())
    if name == "tpu_pod.sh":  # within a command for the workers, quoted once more
        text = unquoted(commands_of(out))
    assert "micron-jax pretrain --config pretrain_release" in text
    assert r"--workdir /shared/a\ run" in text
    assert "--config.data.data_dir=/d" in text
    assert "--config.epochs=3" in text


def test_tpu_pod_makes_installs_starts_and_follows():
    _, out, _ = dry_run("tpu_pod.sh", NAME="n", SPOT="1", PROJECT="p", SHARE="host:/s", QUEUED="1")
    places = [
        out.index(part)
        for part in (
            "queued-resources create n --zone us-west4-a --project p",
            "git archive",
            "tpu-vm scp",
            "pip install",
            "mount",
            "micron-jax pretrain",
            "tail",
        )
    ]
    assert places == sorted(places)
    assert "--spot" in out
    assert "--worker all" in out
    _, out, _ = dry_run("tpu_pod.sh", NAME="n", QUEUED="0")
    assert "tpu-vm create n" in out
    assert "queued" not in out
    assert "--spot" not in out


@pytest.mark.parametrize("variable", ["WORKDIR", "DATA_DIR"])
def test_tpu_pod_refuses_paths_that_workers_cannot_share(variable):
    for value, hint in (("gs://bucket/run", "NFS"), ("runs/a", "absolute")):
        status, out, err = dry_run("tpu_pod.sh", **{variable: value})
        assert (status, out) == (2, "")
        assert value in err
        assert hint in err


def test_workers_do_not_start_a_run_twice(tmp_path):
    """The workers' command, run here, with something in place of the training."""
    _, out, _ = dry_run("tpu_pod.sh")
    (line,) = [line for line in out.splitlines() if "train.log 2" in line.replace("\\", "")]
    command = unquoted(line.partition("--command ")[2])
    program = tmp_path / "micron-jax/.venv/bin/micron-jax"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    for expected in ("", "it runs already\n"):
        process = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert process.stdout == expected
    pid = int((tmp_path / "micron-jax/train.pid").read_text())
    os.kill(pid, 15)


def test_jobset_has_the_fields_of_kubernetes():
    (jobset,) = yaml.safe_load_all((LAUNCH / "gke_jobset.yaml").read_text())
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    assert jobset["metadata"]["name"]
    (replicated,) = jobset["spec"]["replicatedJobs"]
    assert {"name", "replicas", "template"} <= replicated.keys()
    job = replicated["template"]["spec"]
    assert job["completionMode"] == "Indexed"
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # the JobSet restarts all of them together
    (container,) = pod["containers"]
    tpus = container["resources"]["limits"]["google.com/tpu"]
    assert container["resources"]["requests"]["google.com/tpu"] == tpus
    rows, columns = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x")
    assert job["parallelism"] == job["completions"] == int(rows) * int(columns) // tpus
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    words = shlex.split(container["args"][0])
    assert words[words.index("micron-jax") + 1] in PROGRAMS
    assert words[words.index("--config") + 1] in recipes()


def test_dataflow_dry_run():
    variables = {"PROJECT": "p", "BUCKET": "b", "SOURCE": "/my clips.csv"}
    status, out, err = dry_run("beam_dataflow.sh", "--size=128", **variables)
    assert (status, err) == (0, "")
    install, build, after = out.replace("\\", "").splitlines()
    assert install.split() == ["setup_environment", "faces,dataflow"]
    assert build.startswith(".venv/bin/micron-jax data build frames --source /my clips.csv ")
    options = "--data-dir gs://b/data --beam_pipeline_options runner=DataflowRunner,project=p,"
    assert options in build
    assert build.split()[-1] == "--size=128"
    assert after.endswith("gs://b/data DIR")


def test_dataflow_names_missing_settings():
    status, out, err = dry_run("beam_dataflow.sh", PROJECT="p", SOURCE="clips.csv")
    assert (status, out) == (2, "")
    assert err.startswith("set BUCKET: ")
