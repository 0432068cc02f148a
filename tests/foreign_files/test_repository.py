# SPDX-License-Identifier: Apache-2.0
"""Nothing outside the audited room reads files in a way that can run code."""

import ast
from pathlib import Path

import pytest

AUDITED = 'fastmetro_mm/foreign_files/'
FOLDERS = ('fastmetro_mm', 'tools', 'projects')
# Anything of these modules that turns bytes into objects.
READERS = {
    'pickle': {'load', 'loads', 'Unpickler'}, 'cPickle': {'load', 'loads', 'Unpickler'},
    '_pickle': {'load', 'loads', 'Unpickler'}, 'dill': {'load', 'loads'},
    'cloudpickle': {'load', 'loads'}, 'joblib': {'load'}, 'marshal': {'load', 'loads'},
    'shelve': {'open'}, 'pandas': {'read_pickle'},
    'os': {'system', 'popen'}, 'jsonpickle': {'decode'},
    'yaml': {'load', 'load_all', 'unsafe_load', 'full_load', 'unsafe_load_all', 'full_load_all'},
}  # fmt: skip


def _names_of(tree):
    """Full names that local names stand for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split('.')[0]] = (
                    alias.name if alias.asname else alias.name.split('.')[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f'{node.module}.{alias.name}'
    return names


def _full_name(node, names):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ''
    return '.'.join([names.get(node.id, node.id), *reversed(parts)])


def _value(call, keyword):
    return next(
        (
            item.value.value
            for item in call.keywords
            if item.arg == keyword and isinstance(item.value, ast.Constant)
        ),
        None,
    )


def _may_read_pickles(call):
    given = [item.value for item in call.keywords if item.arg == 'allow_pickle'] + call.args[2:3]
    return any(not (isinstance(value, ast.Constant) and value.value is False) for value in given)


def dangerous_calls(source):
    """(line, what) of calls that run code of a file or of a text."""
    tree = ast.parse(source)
    names = _names_of(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            used = [(base, _full_name(base, names)) for base in node.bases]
        elif isinstance(node, ast.Call):
            used = [(node, _full_name(node.func, names))]
        else:
            continue
        for where, name in used:
            module, _, function = name.rpartition('.')
            if name in ('eval', 'exec', 'builtins.eval', 'builtins.exec'):
                found.append((where.lineno, name))
            elif function in READERS.get(module, ()):
                found.append((where.lineno, name))
            elif name == 'torch.load' and _value(node, 'weights_only') is not True:
                found.append((where.lineno, 'torch.load without weights_only=True'))
            elif name in ('torch.jit.load', 'torch.package.PackageImporter'):
                found.append((where.lineno, name))
            elif name == 'numpy.load' and _may_read_pickles(node):
                found.append((where.lineno, 'numpy.load with allow_pickle'))
            elif isinstance(node, ast.Call) and _value(node, 'shell') is True:
                found.append((where.lineno, f'{name} with shell=True'))
    return found


@pytest.mark.parametrize(
    ('source', 'caught'),
    [
        ('import pickle\npickle.load(f)', True),
        ('from pickle import loads as l\nl(b)', True),
        ('import pickle as p\nclass A(p.Unpickler): pass', True),
        ('eval("1")', True),
        ('import torch\ntorch.load(p)', True),
        ('import torch\ntorch.load(p, weights_only=False)', True),
        ('import torch\ntorch.load(p, weights_only=True)', False),
        ('model.eval()', False),
        ('import numpy as np\nnp.load(p)', False),
        ('import numpy as np\nnp.load(p, allow_pickle=flag)', True),
        ('import numpy as np\nnp.load(p, None, True)', True),
        ('import numpy as np\nnp.load(p, allow_pickle=False)', False),
        ('import yaml\nyaml.load(t, Loader=yaml.Loader)', True),
        ('import yaml\nyaml.safe_load(t)', False),
        ('import os\nos.system("x")', True),
        ('import subprocess\nsubprocess.run("x", shell=True)', True),
        ('import subprocess\nsubprocess.run(["x"])', False),
        ('pickle_load(f)', False),
    ],
)
def test_the_search_finds_what_it_should(source, caught):
    assert bool(dangerous_calls(source)) == caught


def test_no_file_runs_code_of_foreign_files(repo_dir):
    paths = [path for folder in FOLDERS for path in Path(repo_dir / folder).rglob('*.py')]
    assert len(paths) > 100
    found = []
    for path in (*paths, repo_dir / 'setup.py'):
        name = path.relative_to(repo_dir).as_posix()
        if not name.startswith(AUDITED):
            found += [
                f'{name}:{line}: {what}'
                for line, what in dangerous_calls(path.read_text(encoding='utf-8'))
            ]
    assert not found, '\n'.join(found)


def test_the_audited_room_has_one_unrestricted_reader(repo_dir):
    found = {}
    for path in (repo_dir / AUDITED).glob('*.py'):
        for _, what in dangerous_calls(path.read_text(encoding='utf-8')):
            found.setdefault(path.name, []).append(what)
    assert found == {
        'trusted.py': ['torch.load without weights_only=True'],
        'pickles.py': ['pickle.Unpickler'],
    }
