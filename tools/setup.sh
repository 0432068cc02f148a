#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs fastmetro_mm and the pinned OpenMMLab stack. Safe to run again: finished steps are
# skipped, an interrupted one is repeated.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: bash tools/setup.sh [options]
  --venv DIR         virtual environment to create and use (default: .venv in the repository)
  --active           install into the active environment (the `python` on the PATH)
  --python EXE       interpreter that creates the environment (default: python3, >= 3.10)
  --torch auto|cpu|cuda|keep
                     auto: keep a torch >= 2.4 with torchvision that is there, else install the
                           pinned version (default)
                     cpu:  install the pinned version, whatever build the package index gives
                     cuda: the same, and fail if that build has no CUDA
                     keep: never touch torch
  --torch-index URL  take torch and torchvision from this index (for a CPU or CUDA build)
  --stack upstream|onedl
                     onedl: the maintained forks of mmengine, mmcv and mmdet (default: upstream)
  --no-system        do not install system packages
  --no-dev           leave out pytest
  -h, --help
A log of everything lies in the environment, under fastmetro_setup/.
USAGE
}

TORCH_PIN=torch==2.14.1
VISION_PIN=torchvision==0.29.1
OPENCV_PIN='opencv-python-headless>=4.8,<6'
NEED_GB=9  # a CUDA build of torch with its libraries (6 GB), and room to unpack it

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$repo/.venv active=0 python=python3 torch=auto torch_index='' stack=upstream system=1 dev=1
while [ $# -gt 0 ]; do
    case $1 in
        --venv) venv=${2:?--venv needs a folder}; shift ;;
        --active) active=1 ;;
        --python) python=${2:?--python needs a program}; shift ;;
        --torch) torch=${2:?--torch needs auto, cpu, cuda or keep}; shift ;;
        --torch-index) torch_index=${2:?--torch-index needs a URL}; shift ;;
        --stack) stack=${2:?--stack needs upstream or onedl}; shift ;;
        --no-system) system=0 ;;
        --no-dev) dev=0 ;;
        -h | --help) usage; exit 0 ;;
        *) echo "setup: unknown option $1 (see --help)" >&2; exit 2 ;;
    esac
    shift
done
case $torch in auto | cpu | cuda | keep) ;; *)
    echo "setup: --torch must be auto, cpu, cuda or keep, not '$torch'" >&2; exit 2 ;;
esac

case $stack in
    upstream) openmmlab=$repo/requirements/openmmlab.txt others='onedl-mmengine onedl-mmcv onedl-mmdetection' ;;
    onedl) openmmlab=$repo/requirements/onedl.txt others='mmengine mmengine-lite mmcv mmcv-lite mmdet' ;;
    *) echo "setup: --stack must be upstream or onedl, not '$stack'" >&2; exit 2 ;;
esac

say() { printf '%s\n' "setup: $*"; }
die() { printf '%s\n' "setup: ERROR: $*" >&2; exit 1; }
notes=()
note() { notes+=("$*"); say "NOTE: $*"; }

# ---------------------------------------------------------------- environment
start_all=$SECONDS
check_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
        die "$1 is $("$1" --version 2>&1 | tail -1), but Python >= 3.10 is needed; give another with --python"
}
if [ $active = 1 ]; then
    py=$(command -v python || command -v python3) || die 'no python on the PATH'
    check_python "$py"
    venv=$("$py" -c 'import sys; print(sys.prefix)')
else
    py=$venv/bin/python
    if ! { [ -x "$py" ] && "$py" -m pip --version >/dev/null 2>&1; }; then
        command -v "$python" >/dev/null || die "$python not found; install Python >= 3.10 or give one with --python"
        check_python "$python"
        "$python" -c 'import venv, ensurepip' 2>/dev/null ||
            die "$python cannot make virtual environments; on Debian/Ubuntu: apt-get install python3-venv"
        say "making the environment $venv"
        "$python" -m venv "$venv" || die "could not make the environment $venv"
    fi
    check_python "$py"
fi
state=$venv/fastmetro_setup
mkdir -p "$state" || die "cannot write to $venv; choose another place with --venv"
log=$state/setup.log

# two set-ups at once in one environment would break it; the pip of a killed one counts
if command -v flock >/dev/null; then
    exec 9>"$state/lock"
    flock -n 9 || {
        say "waiting for another set-up in $venv"
        flock -w 1200 9 || die "another set-up has been running in $venv for 20 minutes; end it first"
    }
fi
: >"$log"

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off
pip() { "$py" -m pip --no-color "$@"; }

# ---------------------------------------------------------------- steps
# repair: removes the metadata of packages whose files are not all there (an interrupted pip), so
# that pip does not take them for installed. Runs only after an interruption.
repair() {
    "$py" - <<'PY'
import importlib.metadata as metadata
import pathlib, shutil, site
for folder in map(pathlib.Path, site.getsitepackages()):
    for dist in metadata.distributions(path=[str(folder)]):
        info = pathlib.Path(str(dist._path))
        if info.suffix != '.dist-info':
            continue
        whole = (info / 'RECORD').is_file() and (info / 'INSTALLER').is_file()
        if not (whole and all(f.locate().exists() for f in dist.files or []
                              if f.suffix != '.pyc')):
            print('removing the broken metadata', info.name)
            shutil.rmtree(info)
PY
}

# satisfied REQUIREMENTS_FILE...: whether the installed versions fit (fast, no pip)
satisfied() {
    "$py" - "$@" <<'PY'
import importlib.metadata as metadata, re, sys
try:
    from packaging.requirements import Requirement
except ImportError:
    sys.exit(1)
for name in sys.argv[1:]:
    for line in open(name, encoding='utf-8'):
        line = line.split('#')[0].strip()
        if line:
            wanted = Requirement(line)
            try:
                found = metadata.version(wanted.name)
            except metadata.PackageNotFoundError:
                sys.exit(1)
            if not wanted.specifier.contains(found, prereleases=True):
                sys.exit(1)
PY
}

# step NAME KEY CHECK COMMAND: runs COMMAND unless it finished before with this KEY and CHECK holds
number=0
step() {
    local name=$1 key=$2 check=$3 command=$4 start=$SECONDS pid code
    number=$((number + 1))
    if [ "$(cat "$state/$name.done" 2>/dev/null)" = "$key" ] && $check >>"$log" 2>&1; then
        say "[$number] $name: done before"
        return 0
    fi
    rm -f "$state/$name.done"
    if [ -e "$state/running" ]; then
        say "resuming: the last run was interrupted in step '$(cat "$state/running")'"
        repair >>"$log" 2>&1 || die "could not repair the environment; remove $venv and start again"
    fi
    echo "$name" >"$state/running"
    say "[$number] $name ..."
    echo "=== $name ($(date))" >>"$log"
    # a sign of life every 30 s: torch is a download of gigabytes
    # its own process group (set -m), so that an interruption ends pip too; the lock is inherited
    set -m
    (trap - EXIT INT TERM; set -e; $command) >>"$log" 2>&1 </dev/null &
    pid=$!
    set +m
    child=$pid
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        [ $(((SECONDS - start) % 30)) != 29 ] || say "    ... $name: $((SECONDS - start)) s"
    done
    code=0
    wait "$pid" || code=$?
    child=''
    if [ $code != 0 ]; then
        rm -f "$state/running"
        echo "---- the last lines of $log:" >&2
        grep -v '^WARNING: Location' "$log" | tail -n 25 >&2
        die "step '$name' failed after $((SECONDS - start)) s. Fix the cause above (network? disk? compiler?) and run the same command again; finished steps are kept."
    fi
    rm -f "$state/running"
    printf '%s' "$key" >"$state/$name.done"
    say "[$number] $name: $((SECONDS - start)) s"
}
child=''
stop_child() { [ -z "$child" ] || kill -- "-$child" 2>/dev/null || true; }
trap stop_child EXIT
trap 'say "interrupted; run the same command again to go on"; exit 130' INT TERM
key_of() { cat "$@" | cksum | tr ' ' '-'; }

# --- system libraries for drawing without a screen, and a compiler for xtcocotools
have_library() { (ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null) | grep -q "$1"; }
system_packages() {
    local missing=()
    have_library 'libEGL\.so\.1' || missing+=(libegl1)
    have_library 'libGL\.so\.1' || missing+=(libgl1)
    have_library 'libEGL_mesa\.so\.0' || missing+=(libegl-mesa0)
    have_library 'libGLESv2\.so\.2' || missing+=(libgles2)
    command -v cc >/dev/null || command -v gcc >/dev/null || missing+=(gcc libc6-dev)
    "$py" -c 'import pathlib, sys, sysconfig; sys.exit(not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").exists())' ||
        missing+=("python$("$py" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-dev")
    [ ${#missing[@]} != 0 ] || { say 'system packages: all there'; return 0; }
    local fix="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    if [ $system = 0 ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        note "system packages not installed (needs root and apt, without --no-system): ${missing[*]}. Without the GL ones images are drawn by the slower software renderer. Fix: $fix"
        return 0
    fi
    say "system packages: installing ${missing[*]}"
    { DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >>"$log" 2>&1 ||
        note "apt-get could not install ${missing[*]} (see $log); images may be drawn by the slower software renderer. Fix: $fix"
}

# --- torch
torch_there() {
    "$py" - <<'PY'
import importlib.metadata as metadata, sys
try:
    version = metadata.version('torch')
    metadata.version('torchvision')
except metadata.PackageNotFoundError:
    sys.exit(1)
sys.exit(tuple(int(part) for part in version.split('.')[:2]) < (2, 4))
PY
}
torch_step() {
    local options=()
    [ -z "$torch_index" ] || options=(--index-url "$torch_index")
    pip install ${options[@]+"${options[@]}"} "$TORCH_PIN" "$VISION_PIN"
    "$py" -c 'import torch, torchvision.ops; torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)'
}
cuda_build() { "$py" -c 'import sys, torch; sys.exit(torch.version.cuda is None)' >>"$log" 2>&1; }

# --- python packages
stack_step() {
    # nothing here may move a torch that is kept: hold it at what is installed
    "$py" -c 'import importlib.metadata as m
for name in ("torch", "torchvision"): print(f"{name}=={m.version(name)}")' >"$state/constraints.txt"
    pip install -c "$state/constraints.txt" -r "$repo/requirements/stack.txt"
}
stack_check() { satisfied "$repo/requirements/stack.txt"; }
opencv_step() {
    "$py" -c 'import cv2' 2>/dev/null || pip install "$OPENCV_PIN"
    "$py" -c 'import cv2; print("OpenCV", cv2.__version__)'
}
opencv_check() { "$py" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("cv2") is None)'; }
openmmlab_step() {
    # a full mmcv of a fitting version stays; mmcv and mmcv-lite are the same folder
    if [ "$stack" = upstream ] && "$py" -c 'import mmcv._ext' 2>/dev/null; then
        grep -v '^mmcv-lite' "$openmmlab" >"$state/openmmlab.txt"
    else
        cp "$openmmlab" "$state/openmmlab.txt"
    fi
    # the forks lie in the same folders: one would be written over the other
    local there=() name
    for name in $others; do
        ! "$py" -m pip show --quiet "$name" 2>/dev/null || there+=("$name")
    done
    if [ ${#there[@]} != 0 ]; then
        pip uninstall --yes "${there[@]}"
        # their folders are not whole any more where both had been installed
        pip install --no-deps --force-reinstall -r "$state/openmmlab.txt"
    else
        pip install --no-deps -r "$state/openmmlab.txt"
    fi
}
openmmlab_check() { satisfied "$state/openmmlab.txt"; }
xtcocotools_step() {
    # no cache: a wheel built there against another NumPy would be taken
    if pip install --no-cache-dir --no-deps --no-build-isolation --no-binary xtcocotools -r "$repo/requirements/source.txt"; then
        "$py" -c 'import xtcocotools.coco, xtcocotools.cocoeval'
    else
        # Python 3.13, or no compiler
        echo 'no build from source: pycocotools stands in (fastmetro_mm.compat)'
        touch "$state/xtcocotools.none"
        "$py" -c 'import pycocotools.coco'
    fi
}
xtcocotools_check() { [ -e "$state/xtcocotools.none" ] || satisfied "$repo/requirements/source.txt"; }
dev_step() { pip install -r "$repo/requirements/dev.txt"; }
dev_check() { satisfied "$repo/requirements/dev.txt"; }
package_step() { pip install --no-deps --no-build-isolation -e "$repo"; }
package_check() {
    "$py" - "$repo" <<'PY'
import os, subprocess, sys
found = subprocess.run([sys.executable, '-c', 'import importlib.util as u; print(u.find_spec("fastmetro_mm").origin)'],
                       cwd='/', capture_output=True, text=True, check=True).stdout.strip()
sys.exit(not os.path.samefile(os.path.dirname(os.path.dirname(found)), sys.argv[1]))
PY
}

# ---------------------------------------------------------------- run
say "$("$py" --version) in $venv; log: $log"
[ $system = 0 ] && [ -e "$state/system.done" ] || { system_packages; : >"$state/system.done"; }

if [ "$torch" = keep ] || { [ "$torch" = auto ] && [ ! -e "$state/running" ] && [ ! -e "$state/torch.done" ] && torch_there; }; then
    torch_there || die '--torch keep: no torch >= 2.4 with torchvision in this environment; install both, or use --torch auto'
    say "torch: keeping $("$py" -c 'import importlib.metadata as m; print("torch", m.version("torch"), "torchvision", m.version("torchvision"))')"
else
    if [ ! -e "$state/torch.done" ]; then
        free_gb=$(($(df -Pk "$venv" | awk 'NR == 2 {print $4}') / 1048576))
        [ "$free_gb" -ge $NEED_GB ] ||
            die "only $free_gb GB free for $venv, $NEED_GB GB are needed for torch; free some or choose another disk with --venv DIR"
    fi
    step torch "$TORCH_PIN $VISION_PIN $torch_index" torch_there torch_step
    if [ "$torch" = cuda ]; then
        cuda_build || die 'the torch from this package index has no CUDA; give the index of a CUDA build with --torch-index URL, or use --torch cpu'
    fi
fi
step packages "$(key_of "$repo/requirements/stack.txt")" stack_check stack_step
step opencv "$OPENCV_PIN" opencv_check opencv_step
step openmmlab "$(key_of "$openmmlab")" openmmlab_check openmmlab_step
step xtcocotools "$(key_of "$repo/requirements/source.txt")" xtcocotools_check xtcocotools_step
[ ! -e "$state/xtcocotools.none" ] || note "xtcocotools does not build here: pycocotools stands in; mmpose's scores for key points of crowds and whole bodies are not to be had"
[ $dev = 0 ] || step tests "$(key_of "$repo/requirements/dev.txt")" dev_check dev_step
step fastmetro_mm "$repo $(key_of "$repo/setup.py" "$repo/pyproject.toml")" package_check package_step

if [ ${#notes[@]} != 0 ]; then
    say 'what could not be done:'
    printf '  - %s\n' "${notes[@]}"
fi
say "ready after $((SECONDS - start_all)) s; a report of this installation: $py -m fastmetro_mm doctor"
