# SPDX-License-Identifier: Apache-2.0
# Sourced by tools/slurm_*.sh: sets the array SRUN_OPTIONS from GPUS, PARTITION and JOB_NAME.
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
if [ "$GPUS_PER_NODE" -gt "$GPUS" ]; then
    GPUS_PER_NODE=$GPUS
fi
SRUN_OPTIONS=(
    -p "$PARTITION"
    --job-name="$JOB_NAME"
    --ntasks="$GPUS"
    --cpus-per-task="${CPUS_PER_TASK:-5}"
    --kill-on-bad-exit=1
)
if [ "$GPUS_PER_NODE" -gt 0 ]; then
    SRUN_OPTIONS+=(--gres="gpu:$GPUS_PER_NODE" --ntasks-per-node="$GPUS_PER_NODE")
fi
# SRUN_ARGS is split at spaces on purpose: it holds several options.
# shellcheck disable=SC2206
SRUN_OPTIONS+=(${SRUN_ARGS:-})
