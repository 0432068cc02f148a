#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Train with several processes: GPUs (one process each), or the CPU where there are none.
#
#   bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
#
# Several machines: run it on each with the same NNODES, MASTER_ADDR and PORT, and with NODE_RANK
# 0, 1, ... MAX_RESTARTS=3 together with --resume starts all processes again, from the newest
# checkpoint, when one of them dies. PYTHON names the interpreter.
set -eu

if [ "$#" -lt 2 ]; then
    echo "error: usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$TOOLS/find_python.sh"
CONFIG=$1
GPUS=$2
shift 2
. "$TOOLS/check_processes.sh"

# The processes of a second attempt must not find the addresses that those of the first one left in
# the launcher's store: each attempt gets a store of its own.
ADDRESS=${MASTER_ADDR:-127.0.0.1}
PORT=${PORT:-29500}
if [ "${MAX_RESTARTS:-0}" -gt 0 ]; then
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    MEETING=(--rdzv_backend=c10d --rdzv_endpoint="$ADDRESS:$PORT" --rdzv_id="$PORT")
else
    MEETING=(--node_rank="${NODE_RANK:-0}" --master_addr="$ADDRESS" --master_port="$PORT")
fi

# Told to end (SIGTERM, Ctrl-C), the processes write a checkpoint and this script ends with code 75.
FASTMETRO_STOPPED_FILE=$(mktemp -d)/stopped
export FASTMETRO_STOPPED_FILE
"$PYTHON" -m torch.distributed.run "${MEETING[@]}" \
    --nnodes="${NNODES:-1}" \
    --nproc_per_node="$GPUS" \
    --max_restarts="${MAX_RESTARTS:-0}" \
    "$TOOLS/train.py" "$CONFIG" --launcher pytorch "$@" &
LAUNCHER=$!
trap 'kill -TERM "$LAUNCHER" 2> /dev/null || true' TERM INT
while :; do
    CODE=0
    wait "$LAUNCHER" || CODE=$?
    kill -0 "$LAUNCHER" 2> /dev/null || break # else only the wait was interrupted
done
if [ "$CODE" -ne 0 ] && [ -e "$FASTMETRO_STOPPED_FILE" ]; then
    CODE=75
fi
rm -rf "$(dirname "$FASTMETRO_STOPPED_FILE")"
exit "$CODE"
