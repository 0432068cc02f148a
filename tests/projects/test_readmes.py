# SPDX-License-Identifier: Apache-2.0
"""READMEs of projects: links lead somewhere, commands of projects exist with their options."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.test_pages import commands_of, options_of

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'
READMES = sorted(PROJECTS.glob('**/README.md'))
FOLDERS = {path.parent.name for path in PROJECTS.glob('*/README.md')}


def name(path: Path) -> str:
    return path.parent.name


def test_every_project_is_listed():
    listed = set(re.findall(r'^\* \[(\w+)\]\(\1\)', (PROJECTS / 'README.md').read_text(), re.M))
    assert listed == FOLDERS and len(listed) >= 8
    package = [*(PROJECTS.parent / 'fastmetro_mm').rglob('*.py')]
    assert not [p for p in package if re.search(r'^\s*(from|import) projects', p.read_text(), re.M)]


@pytest.mark.parametrize('path', READMES, ids=name)
def test_links_lead_somewhere(path):
    text = re.sub(r'```.*?```', '', path.read_text(), flags=re.DOTALL)
    targets = [t for t in re.findall(r'\]\(([^)\s]+)\)', text) if not re.match(r'[a-z]+:', t)]
    assert [t for t in targets if not (path.parent / t.split('#')[0]).exists()] == []


def commands(text: str) -> list[list[str]]:
    """Lines of shell blocks that run a module of a project, word by word."""
    blocks = re.findall(r'^```bash\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if 'python' in line and any('projects' in w for w in line)]


@pytest.mark.parametrize('path', READMES, ids=name)
def test_commands_exist(path, capsys, monkeypatch):
    """Modules and files are there, and every option is in the command's help."""
    for line in commands(path.read_text()):
        files = [word for word in line if re.match(r'projects/.*\.py$', word)]
        assert all((PROJECTS.parent / file).is_file() for file in files), line
        if '-m' not in line or not line[line.index('-m') + 1].startswith('projects.'):
            continue
        place = line[line.index('-m') + 1]
        if (PROJECTS.parent / place.replace('.', '/')).is_dir():
            place += '.__main__'
        module = importlib.import_module(place)
        monkeypatch.setattr('sys.argv', [module.__name__, '--help'])
        with pytest.raises(SystemExit) as ended:
            module.main()
        assert not ended.value.code
        shown = capsys.readouterr().out
        missing = [w for w in line if w.startswith('--') and w.split('=')[0] not in shown]
        assert missing == [], line


@pytest.mark.parametrize('path', READMES, ids=name)
def test_commands_of_the_package_have_what_they_need(path):
    """``fastmetro`` and ``tools``: every option is in the help, and none that it asks for lacks."""
    for block in re.findall(r'^```bash\n(.*?)^```', path.read_text(), re.MULTILINE | re.DOTALL):
        for line in commands_of(block):
            if line[:3] == ['python', '-m', 'fastmetro_mm']:
                line = ['fastmetro', *line[3:]]
            shown = options_of(line)
            usage, left = shown.split('\n\n')[0], 1
            while left:  # [--may be left out [...]]
                usage, left = re.subn(r'\[[^][]*\]', '', usage)
            given = {word.split('=')[0] for word in line if word.startswith('--')}
            assert set(re.findall(r'--[a-z][\w-]*', usage)) <= given, line
            assert [option for option in given if option not in shown] == [], line
