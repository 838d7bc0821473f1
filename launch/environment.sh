# shellcheck shell=bash
# Sourced by the launchers: setup_environment EXTRAS makes $VENV and installs the package into it.
VENV=${VENV:-.venv}
PYTHON=${PYTHON:-python3}

setup_environment() {
  if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "$PYTHON is missing or older than Python 3.11: install one, or name it in PYTHON" >&2
    exit 2
  fi
  [ -x "$VENV/bin/pip" ] || "$PYTHON" -m venv "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --editable ".${1:+[$1]}"
}
