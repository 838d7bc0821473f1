#!/usr/bin/env bash
# Builds the corpus on Google Cloud Dataflow: bash launch/beam_dataflow.sh [--dry-run] [OPTIONS]
# OPTIONS go to `micron-jax data build frames`, as --size=224 or --exclude=leak.json. Started again,
# it goes on with the shards that are not finished. --dry-run prints the commands and runs none.
#   PROJECT   the project that pays
#   REGION    where its machines are (us-central1); the bucket should be there, too
#   BUCKET    a bucket of yours, without gs://
#   SOURCE    list of clips, a local .csv whose column `path` holds gs:// addresses
#   DATA_DIR  where data sets go (gs://$BUCKET/data)
#   WORKERS   machines at most (32)
#   MACHINE   their type (n2-standard-4)
#   VENV      where the environment is made (.venv)
#   PYTHON    the interpreter, 3.11 or later (python3); Dataflow's machines get the same version
set -euo pipefail

REGION=${REGION:-us-central1}
WORKERS=${WORKERS:-32}
MACHINE=${MACHINE:-n2-standard-4}

run() { "$@"; }
if [ "${1:-}" = --dry-run ]; then
  shift
  run() { printf '%q ' "$@"; echo; }
fi
for name in PROJECT BUCKET SOURCE; do
  if [ -z "${!name:-}" ]; then
    echo "set $name: see the lines at the top of launch/beam_dataflow.sh" >&2
    exit 2
  fi
done
SOURCE=$(realpath -m "$SOURCE")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/environment.sh
run setup_environment faces,dataflow

# Every machine installs this package and, from the other file, the extra `faces`.
options=runner=DataflowRunner,project=$PROJECT,region=$REGION,temp_location=gs://$BUCKET/tmp
options+=,staging_location=gs://$BUCKET/staging,job_name=micron-jax-frames,machine_type=$MACHINE
options+=,max_num_workers=$WORKERS,number_of_worker_harness_threads=1,disk_size_gb=50
options+=,setup_file=./setup.py,requirements_file=launch/dataflow_requirements.txt
run "$VENV/bin/micron-jax" data build frames --source "$SOURCE" \
  --data-dir "${DATA_DIR:-gs://$BUCKET/data}" --beam_pipeline_options "$options" "$@"
# Training reads a set from a disk, not from a bucket.
echo "then, where you train: gcloud storage rsync -r ${DATA_DIR:-gs://$BUCKET/data} DIR"
