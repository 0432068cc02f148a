# SPDX-License-Identifier: Apache-2.0
# Sourced by the other scripts: sets PYTHON (the active environment's, else the repository's .venv,
# else the system's). Needs TOOLS, the folder of the scripts.
if [ -z "${PYTHON:-}" ]; then
    if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && command -v python > /dev/null; then
        PYTHON=python
    elif [ -x "$TOOLS/../.venv/bin/python" ]; then
        PYTHON=$TOOLS/../.venv/bin/python
    elif command -v python3 > /dev/null; then
        PYTHON=python3
    else
        echo "error: no Python found: run bash tools/setup.sh, or set PYTHON" >&2
        exit 2
    fi
fi
