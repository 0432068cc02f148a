#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up the environment (tools/setup.sh) and runs the tests:
#     bash tools/run_tests.sh [--coverage] [pytest args]
# --coverage: also counts which lines of the package run (slower); below 90 % it fails.
# FASTMETRO_SETUP_ARGS: options for tools/setup.sh. FASTMETRO_TEST_JOBS: processes (default: cores,
# at most 4). FASTMETRO_SHARED: folder with golden numbers and sample data (default: ../shared).
# FASTMETRO_FUZZ: seconds of fuzzing per door afterwards (pip install atheris; 50: five minutes).
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
coverage=()
if [ "${1:-}" = --coverage ]; then
    shift
    coverage=(--cov=fastmetro_mm --cov-report=term:skip-covered --cov-fail-under=90)
fi
start=$SECONDS
read -r -a setup_args <<<"${FASTMETRO_SETUP_ARGS:-}"
bash tools/setup.sh ${setup_args[@]+"${setup_args[@]}"}
setup_time=$((SECONDS - start))

# the environment that setup.sh used
python=$repo/.venv/bin/python
for ((i = 0; i < ${#setup_args[@]}; i++)); do
    case ${setup_args[$i]} in
        --active) python=$(command -v python || command -v python3) ;;
        --venv) python=${setup_args[$((i + 1))]}/bin/python ;;
    esac
done

cores=$(nproc 2>/dev/null || echo 1)  # before the next line, because nproc obeys OMP_NUM_THREADS
# one thread a process: the tests are many small operations, and processes share the cores
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
jobs=${FASTMETRO_TEST_JOBS:-$((cores < 4 ? cores : 4))}
parallel=()
# whole files go to one process, so that module fixtures are made once
if [ "$jobs" -gt 1 ] && "$python" -c 'import xdist' 2>/dev/null; then
    parallel=(-n "$jobs" --dist loadfile)
fi

start=$SECONDS code=0
# style, types, rooms and the page about them, where no single tests were asked for
if [ $# = 0 ]; then
    "$python" -m ruff check . && "$python" -m ruff format --check --quiet . || code=$?
    "$(dirname "$python")/basedpyright" --pythonpath "$python" || code=$?
    PYTHONPATH=$repo "$(dirname "$python")/lint-imports" || code=$?
    "$python" tools/architecture.py || code=$?
fi
"$python" -m pytest -ra --durations=15 ${parallel[@]+"${parallel[@]}"} ${coverage[@]+"${coverage[@]}"} "$@" || code=$?
if [ -n "${FASTMETRO_FUZZ:-}" ]; then
    "$python" tools/fuzz/run.py all --seconds "$FASTMETRO_FUZZ" || code=$?
fi
result=$([ $code = 0 ] && echo passed || echo FAILED)
echo "tests: $result (exit code $code); set-up $setup_time s, tests $((SECONDS - start)) s, $jobs processes"
exit $code
