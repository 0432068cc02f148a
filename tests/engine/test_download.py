# SPDX-License-Identifier: Apache-2.0
"""Weights from the internet: fetched once, and a failure is everybody's at once."""

import http.server
import multiprocessing
import os
import threading
import urllib.request

import pytest
import torch
from mmengine.runner import CheckpointLoader
from torch import distributed

from fastmetro_mm.engine.checkpoints.download import fetch_weights
from fastmetro_mm.engine.checkpoints.schemes import our_loaders
from fastmetro_mm.errors import CheckpointError


def load(address):
    """What a ``Pretrained`` initialisation reads while our runner builds its model."""
    with our_loaders():
        return CheckpointLoader.load_checkpoint(address)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of torch.hub, and no way out to the internet."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'):
        monkeypatch.setenv(name, 'http://127.0.0.1:9')  # the discard port: nobody listens
    monkeypatch.setenv('no_proxy', 'localhost')
    # urllib keeps the proxies of the first request of the process
    monkeypatch.setattr(urllib.request, '_opener', None)
    return tmp_path / 'cache' / 'hub' / 'checkpoints'


@pytest.mark.parametrize(('address', 'file'), [
    ('torchvision://resnet50', 'resnet50-0676ba61.pth'),
    ('https://download.openmmlab.com/mmclassification/v0/hrnet/'
     'hrnet-w64_3rdparty_8xb32_in1k_20220120-19126642.pth',
     'hrnet-w64_3rdparty_8xb32_in1k_20220120-19126642.pth'),
])  # fmt: skip
def test_without_internet_one_line_says_where_to_put_the_file(cache, address, file):
    with pytest.raises(CheckpointError) as caught:
        load(address)
    message = str(caught.value)
    assert '\n' not in message and 'Connection refused' in message
    assert str(cache / file) in message
    assert 'model.backbone.init_cfg.checkpoint=FILE' in message
    assert not list(cache.iterdir())
    torch.save(dict(weight=torch.ones(2)), cache / file)  # as it says
    assert torch.equal(load(address)['weight'], torch.ones(2))


def test_unknown_torchvision_name(cache):
    with pytest.raises(CheckpointError, match=r'resnet5O.* did you mean .*resnet50'):
        load('torchvision://resnet5O')


@pytest.fixture
def server(tmp_path):
    """Serves a folder; gives its address and what was asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, form, *args):
            asked.append(args[0])

    with http.server.ThreadingHTTPServer(('localhost', 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://localhost:{running.server_port}', asked
        running.shutdown()


def test_fetched_once_and_compared_with_the_hash_in_its_name(cache, server, tmp_path):
    address, asked = server
    torch.save(dict(weight=torch.ones(2)), tmp_path / 'fine.pth')
    for _ in range(2):
        assert 'weight' in load(f'{address}/fine.pth')
    assert len(asked) == 1
    (tmp_path / 'bad-0123abcd.pth').write_bytes(b'half of a file')
    with pytest.raises(CheckpointError, match='invalid hash value'):
        fetch_weights(f'{address}/bad-0123abcd.pth')
    with pytest.raises(CheckpointError, match='404'):
        fetch_weights(f'{address}/nothing.pth')
    assert [path.name for path in cache.iterdir()] == ['fine.pth']


def _fetch_as_rank(rank, folder, answers):
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2
    )
    os.environ['LOCAL_RANK'] = str(rank)
    try:
        fetch_weights('http://127.0.0.1:9/weights.pth')
    except CheckpointError as error:
        answers.put(str(error))
    distributed.barrier()
    distributed.destroy_process_group()


def test_other_processes_learn_of_the_failure(cache, tmp_path):
    context = multiprocessing.get_context('fork')
    answers = context.Queue()
    ranks = [
        context.Process(target=_fetch_as_rank, args=(rank, tmp_path, answers)) for rank in range(2)
    ]
    for rank in ranks:
        rank.start()
    first, second = answers.get(), answers.get()
    assert first == second and 'weights.pth: cannot be downloaded' in first
    for rank in ranks:
        rank.join()
        assert rank.exitcode == 0
