# SPDX-License-Identifier: Apache-2.0
"""The page about the house says what the code says."""

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
