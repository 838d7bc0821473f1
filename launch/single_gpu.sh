#!/usr/bin/env bash
# Pretrains on the GPU of this machine: bash launch/single_gpu.sh [--dry-run] [--config.FIELD=VALUE ...]
# Installs what is missing; started again with the same WORKDIR it goes on where it was.
#   CONFIG    a recipe (pretrain_paper)
#   WORKDIR   of the run (runs/NAME OF THE RECIPE)
#   DATA_DIR  the corpus (data)
#   BATCH     pairs a step; `micron-jax plan --topology h100:1 --find-batch` estimates what fits (64)
#   DEVICE    which GPU, if there are several (0)
#   VENV      where the virtual environment is made (.venv)
#   PYTHON    the interpreter, 3.11 or later (python3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/environment.sh
DRY_RUN=0
if [ "${1:-}" = --dry-run ]; then DRY_RUN=1; shift; fi
CONFIG=${CONFIG:-pretrain_paper} DATA_DIR=${DATA_DIR:-data} BATCH=${BATCH:-64} DEVICE=${DEVICE:-0}
WORKDIR=${WORKDIR:-runs/$(basename "$CONFIG" .py)}
run() { if [ "$DRY_RUN" = 1 ]; then printf '%q ' "$@"; echo; else "$@"; fi; }
run setup_environment faces,cuda
run env CUDA_VISIBLE_DEVICES="$DEVICE" "$VENV/bin/micron-jax" pretrain --config "$CONFIG" \
  --workdir "$WORKDIR" "--config.data.data_dir=$DATA_DIR" "--config.batch_size=$BATCH" "$@"
