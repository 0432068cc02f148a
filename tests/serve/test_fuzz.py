# SPDX-License-Identifier: Apache-2.0
"""The server against its own description: schemathesis asks whatever the description allows."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_answers_are_those_of_the_description(address, tmp_path):
    program = shutil.which('schemathesis', path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip('needs schemathesis: pip install schemathesis')
    done = subprocess.run(
        [
            program,
            'run',
            f'{address}/api/openapi.json',
            '--checks=all',
            # any bytes are a file that the description allows, but only images make a job
            '--exclude-checks=positive_data_acceptance',
            '--max-examples=10',
            '--seed=1',
            '--no-color',
        ],
        cwd=tmp_path,  # it keeps a cache
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:]
