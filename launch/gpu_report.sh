#!/usr/bin/env bash
# Reports what the GPU of this machine does, in 11 minutes: bash launch/gpu_report.sh [OUTPUT] [OPTION ...]
# OUTPUT is the folder of the report (runs/gpu_report); options are those of `micron-jax bench gpu`, such as --minutes 9.
# A Python with jax for CUDA is used as it is. Else an environment is made, which needs the internet.
#   PYTHON   the interpreter, 3.11 or later (python3)
#   WHEELS   folder of wheels, which are used beside the packages of PYTHON and before them (none). For a machine without
#            internet whose Python has jax, flax, orbax and torch, fill it on another one:
#            pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 -d WHEELS \
#              array_record av cloudpickle googleapis-common-protos grain immutabledict importlib_resources ml_collections \
#              openpyxl portpicker promise tensorboardX tensorflow-datasets tensorflow-metadata timm==0.4.12 toml
#   RELEASE  checkout of the PyTorch release (runs/Micron-BERT); it is fetched if it is not there. Without one, and without
#            internet, only our speed is measured
#   VENV     where an environment is made (.venv)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/environment.sh
OUTPUT=runs/gpu_report
case ${1:-} in '' | --*) ;; *) OUTPUT=$1; shift ;; esac
RELEASE=${RELEASE:-runs/Micron-BERT}
needed='import cv2, einops, flax, jax, matplotlib, ml_collections, optax, orbax.checkpoint'

if [ -n "${WHEELS:-}" ]; then
  packages=$(mktemp -d)
  trap 'rm -rf "$packages"' EXIT
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --target "$packages" "$WHEELS"/*.whl
  export PYTHONPATH=$packages${PYTHONPATH:+:$PYTHONPATH}
fi
if ! "$PYTHON" -c "$needed" 2>/dev/null; then
  if [ -n "${WHEELS:-}" ]; then
    echo "a package is neither in $PYTHON nor in $WHEELS:" >&2
    "$PYTHON" -c "$needed" 2>&1 | tail -n 1 >&2
    exit 2
  fi
  setup_environment cuda,torch
  PYTHON=$VENV/bin/python
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps timm==0.4.12
fi
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

if [ ! -d "$RELEASE" ]; then
  GIT_TERMINAL_PROMPT=0 timeout 60 git clone --quiet --depth 1 https://github.com/uark-cviu/Micron-BERT "$RELEASE" ||
    echo "$RELEASE cannot be fetched: only our speed is measured" >&2
fi
release=()
if [ -d "$RELEASE" ]; then release=(--release "$RELEASE"); fi
mkdir -p "$(dirname "$OUTPUT")"
"$PYTHON" -m micron_jax bench gpu --output "$OUTPUT" --recording tests/fixtures/release_{tiny,full}.npz "${release[@]}" "$@"
