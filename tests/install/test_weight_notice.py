# SPDX-License-Identifier: Apache-2.0
"""Every weight file that ships has its line of provenance."""

import hashlib
import re


def test_notice_names_every_file_by_its_hash(repo_dir):
    folder = repo_dir / 'fastmetro_mm' / 'model_zoo' / 'weights'
    notice = (folder / 'NOTICE.md').read_text(encoding='utf-8')
    rows = dict(re.findall(r'^\| `(\S+\.safetensors)` \|.*\| `([0-9a-f]{64})` \|$', notice, re.M))
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob('*.safetensors')
    }
    assert files and rows == files
