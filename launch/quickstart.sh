#!/usr/bin/env bash
# From nothing to a pretrained tiny model, on real video: bash launch/quickstart.sh [WORKDIR]
#   VENV    where the virtual environment is made (.venv)
#   EXTRAS  what is installed with the package (none); on a machine with a GPU: cuda
#   PYTHON  the interpreter, 3.11 or later (python3)
set -euo pipefail
case ${1:-} in -h | --help) sed -n '/^# /s/^# //p' "$0"; exit ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/environment.sh
setup_environment "${EXTRAS:-}"
"$VENV/bin/micron-jax" demo --workdir "${1:-runs/demo}"
