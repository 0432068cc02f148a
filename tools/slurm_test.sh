#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Evaluate on a slurm cluster, one task per GPU.
#
#   bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
#
# Environment as in tools/slurm_train.sh; GPUS is 1 by default.
set -eu

if [ "$#" -lt 4 ]; then
    echo "error: usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options]" >&2
    exit 2
fi
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$TOOLS/find_python.sh"
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
CHECKPOINT=$4
shift 4
GPUS=${GPUS:-1}
. "$TOOLS/slurm_options.sh"

exec srun "${SRUN_OPTIONS[@]}" \
    "$PYTHON" -u "$TOOLS/test.py" "$CONFIG" "$CHECKPOINT" --launcher slurm "$@"
