# SPDX-License-Identifier: Apache-2.0
"""Documents: links lead somewhere, commands exist with their options, blocks run.

Every shell block runs on small files of the names that it uses, unless it has a line before it:
``<!-- not run: REASON -->`` or ``<!-- run by: tests/FILE.py -->``, a test of the same commands.
Python blocks of the pages in ``RUN`` run, too.
"""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from fastmetro_mm.cli.dispatch import COMMANDS
from fastmetro_mm.config_files import config_path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
# Pages whose Python blocks run from top to bottom in one process.
RUN = ('cameras', 'evaluation', 'extending', 'serving')
_BLOCK = re.compile(
    r'(?:<!-- (?P<mark>not run|run by): (?P<why>[^\n]*?) -->\n+)?'
    r'^```(?P<kind>\w+)\n(?P<text>.*?)^```',
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Block:
    """A fenced block of a page."""

    page: str
    kind: str
    text: str
    why_not: str | None
    mark: str | None = None


def blocks(kind: str) -> list[Block]:
    return [
        Block(page.stem, found['kind'], found['text'], found['why'], found['mark'])
        for page in PAGES
        for found in _BLOCK.finditer(page.read_text(encoding='utf-8'))
        if found['kind'] == kind
    ]


def anchor(heading: str) -> str:
    """Name of a heading in a link, as Markdown sites make it."""
    plain = re.sub(r'[^\w\s-]', '', heading.replace('`', '')).strip().lower()
    return re.sub(r'[\s]+', '-', plain)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    text = re.sub(r'```.*?```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
    broken = []
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if re.match(r'[a-z]+:', target):
            continue
        path, _, place = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        headings = (
            re.findall(r'^#+ (.*)$', file.read_text(encoding='utf-8'), re.MULTILINE)
            if place and file.is_file()
            else []
        )
        if not file.exists() or (place and place not in map(anchor, headings)):
            broken.append(target)
    assert broken == []


def test_every_page_is_in_the_navigation():
    site = yaml.safe_load(re.sub(r'!!python\S*', '', (ROOT / 'mkdocs.yml').read_text()))

    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        entries = entry if isinstance(entry, list) else entry.values()
        return [page for part in entries for page in pages(part)]

    every = (page.relative_to(ROOT / 'docs').as_posix() for page in (ROOT / 'docs').rglob('*.md'))
    assert sorted(pages(site['nav'])) == sorted(every)


def commands_of(text: str) -> list[list[str]]:
    """Our commands in a shell block, word by word, lines joined."""
    lines = text.replace('\\\n', ' ').splitlines()
    words = [
        shlex.split(line, comments=True)
        for line in lines
        if re.match(r'\s*(?:\w+=\S+ +)*(?:fastmetro|python (?:tools|-m fastmetro_mm))', line)
    ]
    return [[word for word in line if not re.match(r'[A-Z_]+=', word)] for line in words]


def options_of(command: list[str]) -> str:
    """Help of the command that a line runs."""
    if command[0] == 'fastmetro':
        start, rest = ['-m', 'fastmetro_mm', *command[1:2]], command[2:]
    elif command[1] == '-m':
        start, rest = command[1:3], command[3:]
    else:
        start, rest = [str(ROOT / command[1])], command[2:]
    # subcommands (`fastmetro convert images`) have options of their own
    sub = [
        word
        for word in rest[:1]
        if 'convert' in ' '.join(start) and re.fullmatch('[a-z0-9-]+', word)
    ]
    return help_text(tuple(start + sub))


_HELP: dict[tuple[str, ...], str] = {}


def help_text(start: tuple[str, ...]) -> str:
    if start not in _HELP:
        done = subprocess.run(
            [sys.executable, *start, '--help'],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, f'{start}: {done.stderr[-500:]}'
        _HELP[start] = done.stdout
    return _HELP[start]


def test_commands_of_the_documents_exist_with_their_options():
    wrong, seen = [], set()
    for block in blocks('bash') + blocks('shell'):
        for command in commands_of(block.text):
            if command[0] == 'fastmetro' and command[1] not in (*COMMANDS, '--help', 'help'):
                wrong.append((block.page, command))
            options = {word.split('=')[0] for word in command if re.match(r'--[a-z]', word)}
            if command[:2] == ['fastmetro', 'run'] or not options - {'--help'}:
                continue
            known = options_of(command)
            seen.add(tuple(command[:2]))
            wrong += [
                (block.page, command[:3], option) for option in options if option not in known
            ]
    assert wrong == [] and len(seen) >= 8


# Lines of blocks that run which are left out: the tests run in an environment already, and a server
# runs until it is stopped (tests/serve). Then the sizes of the data.
_LEFT_OUT = {'. .venv/bin/activate', 'fastmetro serve'}
_WORDS = {
    'CONFIG': 'quickstart',
    'CHECKPOINT': 'epoch_8.pth',
    'FOLDER/train.yaml': 'data/quickstart/train.yaml',
    '3000': '2',
    '300': '2',
}


def lines_of(block: Block) -> list[list[str]]:
    """Words of every line of a shell block, with small data; comments left out."""
    lines = (
        shlex.split(line, comments=True) for line in block.text.replace('\\\n', ' ').splitlines()
    )
    return [
        [_WORDS.get(word, word) for word in line]
        for line in lines
        if line and ' '.join(line[:2]) not in _LEFT_OUT
    ]


def small_files(folder: Path) -> None:
    """The files that shell blocks of the documents are about, as small as can be."""
    import cv2
    import numpy as np
    import torch

    from fastmetro_mm.apis.video_writer import VideoWriter
    from fastmetro_mm.model_zoo.model_loading import load_network
    from fastmetro_mm.synthetic.generate import make_synthetic_set
    from fastmetro_mm.synthetic.options import SyntheticSetOptions

    photo = folder / 'photo.jpg'
    shutil.copy(ROOT / 'tests' / 'data' / 'free_model' / 'several_people.jpg', photo)
    image = np.ascontiguousarray(cv2.imread(str(photo))[::2, ::2])
    with VideoWriter(folder / 'clip.mp4', 25) as writer:
        for _ in range(2):
            writer.write(image)
    options = SyntheticSetOptions(train=4, test=3, size=(96, 96), scene='studio')
    make_synthetic_set(folder / 'data' / 'quickstart', options, workers=0, show_progress=False)
    torch.manual_seed(0)
    network = load_network('quickstart', None, 'cpu')
    with torch.no_grad():
        network.head.cam_predictor.weight.zero_()
        network.head.cam_predictor.bias.copy_(torch.tensor([0.9, 0.0, 0.0]))
    for path in (folder / 'epoch_8.pth', folder / 'work_dirs' / 'quickstart' / 'epoch_8.pth'):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({'state_dict': network.state_dict()}, path)


def test_every_shell_block_runs_or_says_who_runs_it(tmp_path):
    commands = []
    for block in blocks('bash') + blocks('shell'):
        if block.mark == 'run by':
            assert (ROOT / block.why_not).is_file(), f'{block.page}: {block.why_not} is missing'
        elif block.mark is None:
            for line in lines_of(block):
                assert line[0] in ('fastmetro', 'python'), f'{block.page}: cannot run {line}'
                if line not in [known for _, known in commands]:
                    commands.append((block.page, line))
    assert len(commands) > 10
    small_files(tmp_path)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', ROOT / 'tests' / 'docs' / 'command_runner.py'],
        input=json.dumps(commands),
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=900,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def test_python_blocks_are_python():
    for block in blocks('python'):
        compile(block.text.replace(', ...)', ')'), block.page, 'exec')


@pytest.mark.parametrize('page', RUN)
def test_examples_run(page, tmp_path, monkeypatch):
    people = ROOT / 'tests' / 'data' / 'free_model' / 'several_people.jpg'
    shutil.copy(people, tmp_path / 'photo.jpg')
    code = '\n\n'.join(
        block.text for block in blocks('python') if block.page == page and block.why_not is None
    )
    assert code
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=600,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_config_keys_of_the_official_options_exist():
    from mmengine.config import Config

    config = Config.fromfile(config_path('fastmetro_l_h64_h36m'))
    text = (ROOT / 'docs' / 'official_flags.md').read_text()
    keys = set(
        re.findall(
            r'`((?:train|val|optim|param|default_hooks|model|visualizer|randomness)'
            r'[\w.]*\.[\w.]+)=',
            text,
        )
    )
    assert len(keys) > 25
    smpl = {key for key in keys if key.startswith('model.smpl_head')}
    missing = []
    for key in sorted(keys - smpl):
        *path, last = key.split('.')
        node = config
        for part in path:
            node = node[int(part)] if part.isdigit() else node[part]
        kind = node.get('type')
        if last not in node and not (kind and last in _arguments(kind)):
            missing.append(key)
    assert missing == [] and smpl


def _arguments(kind) -> set[str]:
    """Arguments of a class in a config, with those of its bases."""
    import inspect

    if isinstance(kind, str):
        module, _, name = kind.rpartition('.')
        kind = getattr(importlib.import_module(module), name)
    return {
        name
        for base in kind.__mro__
        if '__init__' in vars(base)
        for name in inspect.signature(base.__init__).parameters
    }


def test_flags_script_finds_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    check = importlib.import_module('check_official_flags')
    scripts = tmp_path / 'src' / 'tools'
    scripts.mkdir(parents=True)
    options = sorted(check.options_of_page(check.PAGE.read_text()))
    lines = ''.join(f'parser.add_argument("{option}")\n' for option in options)
    for name in check.SCRIPTS:
        (scripts / name).write_text(lines)
    assert check.main([str(tmp_path)]) == 0
    (scripts / check.SCRIPTS[0]).write_text(lines + 'parser.add_argument("--new_option", "-n")\n')
    assert check.main([str(tmp_path)]) == 1
    assert '--new_option: missing from official_flags.md' in capsys.readouterr().out
    assert check.main([str(tmp_path / 'nowhere')]) == 2


def test_site_builds_without_a_warning(tmp_path):
    pytest.importorskip('material')
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'mkdocs',
            'build',
            '--strict',
            '--quiet',
            '--site-dir',
            str(tmp_path / 'site'),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / 'site' / 'extending' / 'index.html').is_file()
