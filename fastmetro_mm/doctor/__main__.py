# SPDX-License-Identifier: Apache-2.0
"""Command line of the doctor."""

import argparse
import sys

from fastmetro_mm.doctor.report import as_json, as_text, examine, exit_code


def main() -> int:
    """Parse the arguments, print the report, give the exit code."""
    parser = argparse.ArgumentParser(prog='python -m fastmetro_mm.doctor', description=__doc__)
    parser.add_argument('--json', action='store_true', help='print the report as JSON')
    parser.add_argument('--body-data-root', metavar='DIR',
                        help='folder with SMPL/MANO files (default: data/body_models; the '
                        'variable FASTMETRO_BODY_DATA wins)')
    arguments = parser.parse_args()
    findings = examine(arguments.body_data_root)
    print(as_json(findings) if arguments.json else as_text(findings))
    return exit_code(findings)


if __name__ == '__main__':
    sys.exit(main())
