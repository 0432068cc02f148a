# SPDX-License-Identifier: Apache-2.0
"""The page about the house says what the code says."""

import ast
import re
import subprocess
import sys


def test_rooms_and_diagram_are_those_of_the_code(repo_dir):
    done = subprocess.run(
        [sys.executable, repo_dir / 'tools' / 'architecture.py'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_files_on_the_page_exist(repo_dir):
    text = (repo_dir / 'docs' / 'architecture.md').read_text()
    paths = re.findall(
        r'`((?:fastmetro_mm|tests|tools|models|speed|body|engine|geometry|compat|'
        r'visualization)/[\w/]+\.py)`',
        text,
    )
    assert len(paths) > 15
    roots = repo_dir, repo_dir / 'fastmetro_mm'
    assert not [path for path in paths if not any((root / path).is_file() for root in roots)]


def test_every_private_name_on_the_page_is_used(repo_dir):
    table = (repo_dir / 'docs' / 'architecture.md').read_text().split('## Private')[1]
    table = table.split('## Kept')[0]
    names = set(re.findall(r'[`.](_\w+)`', table)) - {'_reorder_*_weight'}
    code = '\n'.join(path.read_text() for path in (repo_dir / 'fastmetro_mm').rglob('*.py'))
    assert len(names) > 10
    assert not [name for name in names if name not in code]


def private_names(tree):
    """Private names that a module asks other objects for, and all that it defines."""
    asked, defined = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id == 'self'
            stored = own and isinstance(node.ctx, ast.Store)
            (defined if stored else asked).add(node.attr)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            name = node.args[1]
            if getattr(node.func, 'id', '') in ('getattr', 'hasattr', 'setattr'):
                asked.add(getattr(name, 'value', None))
    private = {name for name in asked if str(name)[0] == '_' and str(name)[:2] != '__'}
    return private, defined


def test_every_private_name_of_others_is_on_the_page(repo_dir):
    page = (repo_dir / 'docs' / 'architecture.md').read_text().split('## Private')[1]
    asked, defined = set(), {'_exit'}  # os._exit is documented
    for path in (repo_dir / 'fastmetro_mm').rglob('*.py'):
        some, own = private_names(ast.parse(path.read_text(encoding='utf-8')))
        asked |= some
        defined |= own
    foreign = asked - defined
    assert len(foreign) > 15
    page = page.replace('_reorder_*_weight', '_reorder_convolution_weight _reorder_linear_weight')
    assert not [name for name in sorted(foreign) if name not in page]
