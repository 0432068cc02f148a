#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Train on a slurm cluster, one task per GPU.
#
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
#
# Environment: GPUS (total, 8), GPUS_PER_NODE (8; 0 for CPU nodes), CPUS_PER_TASK (5), SRUN_ARGS
# (more options of srun), PYTHON (interpreter).
set -eu

if [ "$#" -lt 4 ]; then
    echo "error: usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options]" >&2
    exit 2
fi
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$TOOLS/find_python.sh"
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
WORK_DIR=$4
shift 4
GPUS=${GPUS:-8}
. "$TOOLS/slurm_options.sh"

exec srun "${SRUN_OPTIONS[@]}" \
    "$PYTHON" -u "$TOOLS/train.py" "$CONFIG" --work-dir "$WORK_DIR" --launcher slurm "$@"
