# SPDX-License-Identifier: Apache-2.0
"""Compare docs/official_flags.md with a checkout of the official repository.

    python tools/check_official_flags.py CHECKOUT

CHECKOUT is a clone of https://github.com/postech-ami/FastMETRO. Ends with status 1 where an option
of its scripts is missing from the page, or the page has one that no script has.
"""

import argparse
import ast
import re
import sys
from pathlib import Path

SCRIPTS = (
    'run_fastmetro_bodymesh.py',
    'run_fastmetro_handmesh.py',
    'end2end_inference_bodymesh.py',
    'end2end_inference_handmesh.py',
)
PAGE = Path(__file__).resolve().parents[1] / 'docs' / 'official_flags.md'


def options_of(source: str) -> set[str]:
    """Options that a script declares with ``add_argument``; the script is not run."""
    calls = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'add_argument'
    )
    return {
        word.value
        for call in calls
        for word in call.args
        if isinstance(word, ast.Constant) and str(word.value).startswith('-')
    }


def options_of_page(text: str) -> set[str]:
    """Options in the first column of the page's tables."""
    cells = (line.split('|')[1] for line in text.splitlines() if line.startswith('| `-'))
    return {option for cell in cells for option in re.findall(r'`(-[-\w]+)`', cell)}


def main(argv: list[str] | None = None) -> int:
    """Print what is missing on either side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkout', type=Path, help='clone of the official repository')
    args = parser.parse_args(argv)
    files = [args.checkout / 'src' / 'tools' / name for name in SCRIPTS]
    missing = [file for file in files if not file.is_file()]
    if missing:
        print(
            f'error: {missing[0]}: no such file: is {args.checkout} a clone of the official '
            'repository?',
            file=sys.stderr,
        )
        return 2
    official = set().union(*(options_of(file.read_text(encoding='utf-8')) for file in files))
    ours = options_of_page(PAGE.read_text(encoding='utf-8'))
    for option in sorted(official - ours):
        print(f'{option}: missing from {PAGE.name}')
    for option in sorted(ours - official):
        print(f'{option}: no script of the official repository has it')
    print(f'{len(official & ours)} of {len(official)} options are explained')
    return int(official != ours)


if __name__ == '__main__':
    sys.exit(main())
