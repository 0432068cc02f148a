# SPDX-License-Identifier: Apache-2.0
# Sourced by tools/dist_*.sh: checks GPUS (the number of processes) and shares the cores among them.
case "$GPUS" in
    '' | 0 | *[!0-9]*)
        echo "error: number of processes '$GPUS': expected 1, 2, 3, ... (one per GPU)" >&2
        exit 2
        ;;
esac
THREADS=$(( $(nproc 2> /dev/null || echo "$GPUS") / GPUS ))
if [ "$THREADS" -lt 1 ]; then
    THREADS=1
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$THREADS}
export MKL_NUM_THREADS=${MKL_NUM_THREADS:-$OMP_NUM_THREADS}
