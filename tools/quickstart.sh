#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From nothing to a trained, evaluated and drawn mesh: bash tools/quickstart.sh [setup options]
# Run it again and it goes on from what is there. Options are those of tools/setup.sh.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
started=$SECONDS
bash tools/setup.sh "$@"

# the environment that setup.sh used
python=$repo/.venv/bin/python
while [ $# -gt 0 ]; do
    case $1 in
        --active) python=$(command -v python || command -v python3) ;;
        --venv) python=$2/bin/python; shift ;;
    esac
    shift
done
export PYTHONWARNINGS=ignore

step() { printf '\n== %s  (%d s since the start)\n' "$1" $((SECONDS - started)); }

work=work_dirs/quickstart
mkdir -p "$work"

step 'A first image, by the model inside the package'
"$python" tools/demo.py tests/data/free_model/several_people.jpg --out "$work/first" --save overlay,npz

step 'Drawing synthetic people'
"$python" tools/dataset/make_synthetic.py --out data/quickstart --scene studio \
    --size 224 224 --train 3000 --test 300

step 'Training, from the backbone inside the package'
# bfloat16 halves the time where the processor computes in it, and costs time elsewhere
amp=()
if grep -qsE 'avx512_bf16|amx_bf16' /proc/cpuinfo; then amp=(--amp); fi
"$python" tools/train.py configs/quickstart_movenet.py --work-dir "$work" --resume ${amp[@]+"${amp[@]}"}

step 'Evaluating and drawing'
best=$(ls -t "$work"/best_PA-MPJPE_*.pth | head -n 1)
rm -rf "$work/images"
"$python" tools/test.py configs/quickstart_movenet.py "$best" --work-dir "${work}_test" \
    --out "$work/scores.json" --show-dir "$work/images"

"$python" tools/quickstart_report.py configs/quickstart_movenet.py "$work"
printf '\nDone in %d s. The network: %s\n' $((SECONDS - started)) "$best"
