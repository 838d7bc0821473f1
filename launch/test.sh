#!/usr/bin/env bash
# Sets up a virtual environment and passes the tests: bash launch/test.sh [PYTEST ARGUMENTS]
#   VENV    where the environment is made (.venv)
#   EXTRAS  what is installed with the package (dev,app); with torch its tests run too
#   PYTHON  the interpreter, 3.11 or later (python3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/environment.sh
setup_environment "${EXTRAS:-dev,app}"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
"$VENV/bin/python" -m pytest -n 2 --dist loadfile -m "not slow" "$@"
