#!/usr/bin/env bash
# Pretrains on a TPU slice of Google Cloud: NAME=run1 ZONE=us-west4-a WORKDIR=/mnt/shared/run1 DATA_DIR=/mnt/shared/corpus
# bash launch/tpu_pod.sh [--dry-run] [--config.FIELD=VALUE ...]
# The slice is made if there is none of that name; the run goes on where it was if WORKDIR holds one, so
# the same command again is the way to resume, also after a preemption. --dry-run prints the commands.
#   NAME         of the slice (micron-jax)
#   PROJECT      of Google Cloud (gcloud's own)
#   ZONE         with chips of that kind (us-west4-a)
#   ACCELERATOR  kind and size, as gcloud names it (v5litepod-256)
#   RUNTIME      the VMs' image (v2-alpha-tpuv5-lite; v4 tpu-ubuntu2204-base, v5p v2-alpha-tpuv5, v6e v2-alpha-tpuv6e)
#   QUEUED       1 asks for it as a queued resource and waits, 0 creates it at once (1)
#   SPOT         1 for chips that may be taken away, which cost less (0)
#   CONFIG       a recipe (pretrain_pod)
#   SHARE        an NFS share HOST:/PATH that every worker mounts on MOUNT; empty if it is there already
#   MOUNT        where (/mnt/shared)
#   WORKDIR      of the run, on the share: a file system all workers see; gs:// is not one
#   DATA_DIR     the corpus, on the share
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
NAME=${NAME:-micron-jax} ZONE=${ZONE:-us-west4-a} PROJECT=${PROJECT:-}
ACCELERATOR=${ACCELERATOR:-v5litepod-256} RUNTIME=${RUNTIME:-v2-alpha-tpuv5-lite}
QUEUED=${QUEUED:-1} SPOT=${SPOT:-0} CONFIG=${CONFIG:-pretrain_pod}
SHARE=${SHARE:-} MOUNT=${MOUNT:-/mnt/shared}
WORKDIR=${WORKDIR:-$MOUNT/runs/$NAME} DATA_DIR=${DATA_DIR:-$MOUNT/corpus}

DRY_RUN=0
if [ "${1:-}" = --dry-run ]; then DRY_RUN=1; shift; fi
for path in "$WORKDIR" "$DATA_DIR"; do
  case $path in
    gs://*) echo "$path: checkpoints and locks need a file system that all workers mount (Filestore, NFS)" >&2; exit 2 ;;
    /*) ;;
    *) echo "$path: give an absolute path on the workers" >&2; exit 2 ;;
  esac
done

run() { if [ "$DRY_RUN" = 1 ]; then printf '%q ' "$@"; echo; else "$@"; fi; }
where=(--zone "$ZONE")
if [ -n "$PROJECT" ]; then where+=(--project "$PROJECT"); fi
everywhere() { run gcloud compute tpus tpu-vm ssh "$NAME" "${where[@]}" --worker all --command "$1"; }
state() { gcloud compute tpus tpu-vm describe "$NAME" "${where[@]}" --format 'value(state)' 2>/dev/null || true; }
spot=()
if [ "$SPOT" = 1 ]; then spot=(--spot); fi

# 1. The slice. A queued resource that has lost its slice, to a preemption say, gives way to a new one.
queued_state() { gcloud compute tpus queued-resources describe "$NAME" "${where[@]}" --format 'value(state.state)' 2>/dev/null || true; }
if [ "$DRY_RUN" = 1 ]; then slice='' queued=''; else slice=$(state) queued=$(queued_state); fi
if [ "$slice" != READY ] && [ "$QUEUED" = 1 ]; then
  case $queued in SUSPEND* | FAILED)
    run gcloud compute tpus queued-resources delete "$NAME" "${where[@]}" --force --quiet
    queued='' ;;
  esac
  if [ -z "$queued" ]; then
    run gcloud compute tpus queued-resources create "$NAME" "${where[@]}" --node-id "$NAME" \
      --accelerator-type "$ACCELERATOR" --runtime-version "$RUNTIME" "${spot[@]}"
  fi
  until [ "$DRY_RUN" = 1 ] || [ "$(state)" = READY ]; do
    queued=$(queued_state)
    echo "waiting for $NAME, $ACCELERATOR in $ZONE: ${queued:-not queued}"
    if [ "$queued" = FAILED ]; then exit 1; fi
    sleep 60
  done
elif [ "$slice" != READY ]; then
  case $slice in PREEMPTED | TERMINATED | STOPPED)
    run gcloud compute tpus tpu-vm delete "$NAME" "${where[@]}" --quiet ;;
  esac
  run gcloud compute tpus tpu-vm create "$NAME" "${where[@]}" \
    --accelerator-type "$ACCELERATOR" --version "$RUNTIME" "${spot[@]}"
fi

# 2. The package, on every worker, and the share. A worker on which a run is going is left as it is.
archive=$(mktemp -u -t micron-jax-XXXXXX.tar.gz)
trap 'rm -f "$archive"' EXIT
run git archive --format tar.gz --output "$archive" HEAD
run gcloud compute tpus tpu-vm scp "$archive" "$NAME:micron-jax.tar.gz" "${where[@]}" --worker all
# shellcheck disable=SC2016  # for the worker's shell
running='[ -f train.pid ] && kill -0 "$(cat train.pid)" 2>/dev/null'
# shellcheck disable=SC2016
setup='tar -xzf ../micron-jax.tar.gz
python3 -c "import sys; sys.exit(sys.version_info < (3, 11))" || { sudo add-apt-repository -y ppa:deadsnakes/ppa; sudo apt-get install -y -q python3.11-venv; }
python=$(command -v python3.11 || command -v python3)
[ -x .venv/bin/pip ] || "$python" -m venv .venv
.venv/bin/pip install --quiet ".[tpu]"'
everywhere "set -e; mkdir -p micron-jax; cd micron-jax; if $running; then exit; fi
$setup"
if [ -n "$SHARE" ]; then
  mount=$(printf '%q' "$MOUNT")
  everywhere "set -e; if mountpoint -q $mount; then exit; fi
sudo apt-get install -y -q nfs-common; sudo mkdir -p $mount; sudo mount -t nfs $(printf '%q' "$SHARE") $mount"
fi

# 3. The run, which outlives this shell, and its log.
train=$(printf '%q ' .venv/bin/micron-jax pretrain --config "$CONFIG" --workdir "$WORKDIR" "--config.data.data_dir=$DATA_DIR" "$@")
everywhere "cd micron-jax; if $running; then echo it runs already; exit; fi
nohup $train >train.log 2>&1 </dev/null & echo \$! >train.pid"
echo "Ctrl-C leaves the log, not the run. To stop that, with its state saved:"
echo "  gcloud compute tpus tpu-vm ssh $NAME ${where[*]} --worker all --command 'kill -TERM \$(cat micron-jax/train.pid)'"
run gcloud compute tpus tpu-vm ssh "$NAME" "${where[@]}" --worker 0 --command "tail -n 100 -F micron-jax/train.log"
