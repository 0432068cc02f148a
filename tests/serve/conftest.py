# SPDX-License-Identifier: Apache-2.0
"""A server with the shipped network and a detector that always sees two people."""

import threading
import time

import pytest

pytest.importorskip('starlette')
pytest.importorskip('httpx')

from starlette.testclient import TestClient

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.serve.app import build_app
from fastmetro_mm.serve.limits import Limits
from tests.serve.uploading import noise, two_people


@pytest.fixture(scope='session')
def serving_inferencer():
    """The shipped network, which gives SMPL parameters."""
    return MeshInferencer(detector=two_people)


@pytest.fixture
def make_client(serving_inferencer, tmp_path):
    """Builds servers; all are closed at the end, and none may leave a file behind."""
    clients = []

    def make(hosts=(), **limits) -> TestClient:
        app = build_app(
            serving_inferencer, Limits(**limits), hosts, renderer='software', folder=tmp_path
        )
        client = TestClient(app, base_url='http://127.0.0.1')
        clients.append(client.__enter__())
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)
    assert list(tmp_path.glob('fastmetro_serve_*')) == []


@pytest.fixture(scope='module')
def client(serving_inferencer, tmp_path_factory):
    """One server for tests that do not mind each other."""
    folder = tmp_path_factory.mktemp('serve')
    app = build_app(serving_inferencer, Limits(), renderer='software', folder=folder)
    with TestClient(app, base_url='http://127.0.0.1') as client:
        yield client
    assert list(folder.iterdir()) == []


@pytest.fixture(scope='session')
def video(tmp_path_factory) -> bytes:
    """Six frames, ten a second."""
    path = tmp_path_factory.mktemp('video') / 'clip.mp4'
    with VideoWriter(path, 10) as writer:
        for number in range(6):
            writer.write(noise(number))
    return path.read_bytes()


@pytest.fixture(scope='session')
def address(serving_inferencer, tmp_path_factory):
    """A real server in a thread."""
    uvicorn = pytest.importorskip('uvicorn')
    folder = tmp_path_factory.mktemp('server')
    app = build_app(serving_inferencer, Limits(), renderer='software', folder=folder)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level='error'))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f'http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}'
    server.should_exit = True
    thread.join()
