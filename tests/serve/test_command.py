# SPDX-License-Identifier: Apache-2.0
"""``fastmetro serve`` as a user calls it."""

import re
import signal
import socket
import subprocess
import sys
from urllib.request import urlopen

import pytest

from fastmetro_mm.cli import serve


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--port', '99999'], '--port 99999: expected 0 to 65535'),
        (['--max-jobs', '0'], 'expected a whole number of 1 or more'),
        (['--max-seconds', '-1'], 'expected a number above 0'),
        (['--max-frames', 'x'], '--max-frames'),
        (['--batch-size', '0'], 'expected a whole number'),
    ],
)
def test_mistakes(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        serve.main(words)
    assert end.value.code == 2 and message in capsys.readouterr().err


def test_a_taken_port_is_named_before_the_network_is_loaded(capsys, monkeypatch):
    monkeypatch.setattr('fastmetro_mm.apis.mesh_inferencer.MeshInferencer', None)  # not reached
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as end:
            serve.main(['--port', str(port)])
    assert end.value.code == 2
    assert f'--port {port}: Address already in use: choose another' in capsys.readouterr().err


def test_it_says_where_it_is_and_ends_with_ctrl_c(tmp_path, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    server = subprocess.Popen(
        [sys.executable, '-m', 'fastmetro_mm', 'serve', '--port', '0'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = re.fullmatch(
            r'open (http://127\.0\.0\.1:\d+) \(Ctrl-C ends\)\n', server.stdout.readline()
        )[1]
        assert b'<title>fastmetro' in urlopen(address).read()
        assert list(tmp_path.glob('fastmetro_serve_*'))
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=120)
    assert server.returncode == 0, errors
    assert 'Traceback' not in errors
    assert not list(tmp_path.glob('fastmetro_serve_*'))
