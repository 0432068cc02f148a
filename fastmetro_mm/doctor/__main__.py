# SPDX-License-Identifier: Apache-2.0
"""Command line of the doctor."""

import argparse
import contextlib
import subprocess
import sys

from fastmetro_mm.doctor.repair import repair
from fastmetro_mm.doctor.report import as_json, as_text, examine, exit_code


def main() -> int:
    """Parse the arguments, print the report, give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', action='store_true', help='print the report as JSON')
    parser.add_argument(
        '--body-data-root',
        metavar='DIR',
        help='folder with SMPL/MANO files (default: data/body_models; the '
        'variable FASTMETRO_BODY_DATA wins)',
    )
    parser.add_argument(
        '--fix',
        action='store_true',
        help='install what is required and missing with pip (and mmdet), then report',
    )
    arguments = parser.parse_args()
    if arguments.fix:
        if not repair():
            return 1
        # a new process: what was missing when this one started stays missing for it
        words = [word for word in sys.argv[1:] if word != '--fix']
        return subprocess.run(
            [sys.executable, '-m', 'fastmetro_mm.doctor', *words], check=False
        ).returncode
    with contextlib.redirect_stdout(sys.stderr):  # what foreign packages print at import
        findings = examine(arguments.body_data_root)
    print(as_json(findings) if arguments.json else as_text(findings))
    return exit_code(findings)


if __name__ == '__main__':
    sys.exit(main())
