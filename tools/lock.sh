#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes requirements/locked.txt: the tested stack with versions and hashes, for Python 3.10 to 3.13.
# Needs uv (pip install uv). Install the result with one of
#   uv pip sync requirements/locked.txt && uv pip install --no-deps .
#   pip install --no-deps --require-hashes -r requirements/locked.txt && pip install --no-deps .
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
UV_CUSTOM_COMPILE_COMMAND='bash tools/lock.sh' uv pip compile --quiet --universal --python-version 3.10 \
    --generate-hashes --override requirements/overrides.txt requirements/lock.in -o requirements/locked.txt
