# SPDX-License-Identifier: Apache-2.0
"""Draw the rooms of the package from its code: ``python tools/architecture.py [--write]``.

Without options it tells whether docs/architecture.md is up to date; ``--lines`` counts lines.
"""

import argparse
import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'fastmetro_mm'
PAGE = ROOT / 'docs' / 'architecture.md'
BEGIN, END = '<!-- made by tools/architecture.py -->', '<!-- end -->'


def read_layers() -> list[list[str]]:
    """Rooms by layer, upper ones first, from the contract in pyproject.toml."""
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    layers = ast.literal_eval(re.search(r'^layers = (\[.*?\])', text, re.MULTILINE | re.DOTALL)[1])
    return [[room.strip() for room in layer.split('|')] for layer in layers]


def files_of(room: str) -> list[Path]:
    """Python files of a room."""
    folder = PACKAGE / room
    return sorted(folder.rglob('*.py')) if folder.is_dir() else [folder.with_suffix('.py')]


def subject_of(room: str) -> str:
    """First line of the room's docstring."""
    folder = PACKAGE / room
    file = folder / '__init__.py' if folder.is_dir() else folder.with_suffix('.py')
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding='utf-8')))
    return docstring.splitlines()[0].rstrip('.').replace('``', '`')


def imports_of(room: str, rooms: set[str]) -> set[str]:
    """Other rooms that a room imports from."""
    found = set()
    for file in files_of(room):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f'{node.module}.{alias.name}' for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            parts = [name.split('.') for name in names if name.startswith('fastmetro_mm.')]
            found |= {part[1] for part in parts}
    return found & rooms - {room}


def shortest(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same order with as few arrows as possible: none that a longer way implies."""

    def reach(room: str, way: tuple[str, ...]) -> set[str]:
        if room in way:
            sys.exit(f'rooms import each other in a circle: {" -> ".join((*way, room))}')
        return edges[room].union(*(reach(other, (*way, room)) for other in edges[room]))

    return {
        room: targets - set().union(*(reach(other, (room,)) for other in targets))
        for room, targets in edges.items()
    }


def make_section() -> str:
    """Table and diagram of the rooms."""
    layers = read_layers()
    rooms = {room for layer in layers for room in layer}
    edges = shortest({room: imports_of(room, rooms) for room in sorted(rooms)})
    lines = ['| room | what is in it |', '|---|---|']
    lines += [f'| `{room}` | {subject_of(room)} |' for layer in layers for room in layer]
    lines += ['', '```mermaid', 'flowchart TD']
    lines += [f'    {room} --> {other}' for room in edges for other in sorted(edges[room])]
    return '\n'.join([BEGIN, '', *lines, '```', '', END])


def main() -> int:
    """Compare, write or count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--write', action='store_true', help='bring the page up to date')
    parser.add_argument('--lines', action='store_true', help='count the lines of every room')
    args = parser.parse_args()
    if args.lines:
        for room in sorted(room for layer in read_layers() for room in layer):
            count = sum(len(file.read_text().splitlines()) for file in files_of(room))
            print(f'{count:6d} {room}')
        return 0
    page = PAGE.read_text(encoding='utf-8')
    before, rest = page.split(BEGIN)
    wanted = before + make_section() + rest.split(END)[1]
    if args.write:
        PAGE.write_text(wanted, encoding='utf-8')
    elif page != wanted:
        print(
            f'{PAGE.relative_to(ROOT)} is not what the code says: run '
            'python tools/architecture.py --write',
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
