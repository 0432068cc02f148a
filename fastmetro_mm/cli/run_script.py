# SPDX-License-Identifier: Apache-2.0
"""Run a Python script with the package in place: ``fastmetro run SCRIPT [its arguments]``.

SCRIPT is a file, or the name of one that mmpose brings along:
  fastmetro run image_demo.py photo.jpg CONFIG CHECKPOINT --out-file out.jpg
  fastmetro run topdown_demo_with_mmdet.py DET_CONFIG DET_CHECKPOINT CONFIG CHECKPOINT --input photo.jpg
  fastmetro run get_flops.py CONFIG

mmpose's own scripts end in "No module named 'mmcv._ext'" beside an mmcv without compiled operators
(mmcv-lite). Here they find stand-ins, and the classes of fastmetro_mm in mmpose's registries.
"""  # noqa: E501

import importlib.util
import runpy
import sys
from pathlib import Path


def _scripts_of_mmpose() -> dict[str, Path]:
    """Scripts inside the installed mmpose, by file name."""
    spec = importlib.util.find_spec('mmpose')
    places = spec and spec.submodule_search_locations
    folders = [Path(place) / '.mim' for place in places or ()]
    return {
        path.name: path
        for folder in folders
        for part in ('demo', 'tools')
        for path in sorted((folder / part).rglob('*.py'))
    }


def find_script(name: str) -> Path:
    """The file that the user means.

    Raises:
        FileNotFoundError: There is none; the message names those of mmpose.
    """
    if Path(name).is_file():
        return Path(name)
    scripts = _scripts_of_mmpose()
    if name in scripts:
        return scripts[name]
    raise FileNotFoundError(
        f'{name}: no such script here, nor in the installed mmpose, which has '
        f'{", ".join(sorted(scripts)) or "none"}'
    )


def main() -> int:
    """Run the script in this process, as ``python SCRIPT`` would."""
    argv = sys.argv[1:]
    if not argv or argv[0] in ('-h', '--help'):
        print(__doc__)
        return 0 if argv else 2
    try:
        script = find_script(argv[0])
    except FileNotFoundError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    # mmpose's demos import what lies beside them, as python itself allows
    sys.path.insert(0, str(script.resolve().parent))
    sys.argv = [str(script), *argv[1:]]
    runpy.run_path(str(script), run_name='__main__')
    return 0
