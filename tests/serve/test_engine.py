# SPDX-License-Identifier: Apache-2.0
"""Several users, one network: batches are shared, and one job does not harm another."""

import http.client
import json
import threading
import time

import numpy as np
import pytest

from fastmetro_mm.serve.app import build_app
from fastmetro_mm.serve.downloads import FileMaker
from fastmetro_mm.serve.engine import Engine
from fastmetro_mm.serve.job_store import JobStore
from fastmetro_mm.serve.limits import Limits
from fastmetro_mm.serve.refusals import Refusal
from fastmetro_mm.serve.uploads import check_upload
from tests.serve.uploading import ended, jpeg, send


@pytest.fixture
def store(tmp_path):
    store = JobStore(Limits(), tmp_path)
    yield store
    store.close()


def job_of(store, content: bytes, name: str = 'a.jpg'):
    job = store.new(name, False)
    job.upload.write_bytes(content)
    job.kind = check_upload(job.upload, store.limits)
    return job


def wait(*jobs) -> None:
    end = time.monotonic() + 300
    while any(job.ended is None for job in jobs):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_jobs_share_batches_and_get_their_own_results(serving_inferencer, store, video):
    jobs = [job_of(store, jpeg(number)) for number in range(5)]
    jobs.append(job_of(store, video, 'clip.mp4'))
    engine = Engine(serving_inferencer, store.limits)
    for job in jobs:
        engine.submit(job)
    engine.start()
    wait(*jobs)
    engine.close()
    assert engine.largest_mix == 6
    for number, job in enumerate(jobs):
        content = jpeg(number) if number < 5 else str(job.upload)
        for index, alone in enumerate(serving_inferencer(content)):
            found = job.frame(index)
            assert len(found.people) == len(alone.people) == 2
            for one, other in zip(found.people, alone.people, strict=True):
                # metres; batches of other sizes round otherwise
                assert np.abs(one.vertices - other.vertices).max() < 1e-4
                assert np.array_equal(one.bbox, other.bbox) and one.track_id == other.track_id


def test_a_batch_that_fails_fails_the_culprit_alone(serving_inferencer, store, monkeypatch):
    jobs = [job_of(store, jpeg(number, (96 + number, 64))) for number in range(3)]
    run = serving_inferencer.run_crops

    def break_on_97(queue):
        if any(found.image.size[0] == 97 for found, _ in queue):
            raise RuntimeError(f'no memory in {store.root}')
        run(queue)

    monkeypatch.setattr(serving_inferencer, 'run_crops', break_on_97)
    engine = Engine(serving_inferencer, store.limits)
    for job in jobs:
        engine.submit(job)
    engine.start()
    wait(*jobs)
    engine.close()
    assert [job.state for job in jobs] == ['done', 'failed', 'done']
    assert jobs[1].error == 'a fault of the server; its log tells more'
    assert [len(jobs[n].frame(0).people) for n in (0, 2)] == [2, 2]


def test_the_engine_outlives_a_fault_of_its_own(serving_inferencer, store, monkeypatch):
    engine = Engine(serving_inferencer, store.limits)
    infer, faults = engine._infer, [RuntimeError('a fault')]
    monkeypatch.setattr(engine, '_infer', lambda seen: raise_one(faults) or infer(seen))
    first, second = job_of(store, jpeg(0)), job_of(store, jpeg(1))
    engine.submit(first)
    engine.start()
    wait(first)
    engine.submit(second)
    wait(second)
    engine.close()
    assert (first.state, second.state) == ('failed', 'done')


def raise_one(faults: list[Exception]) -> None:
    if faults:
        raise faults.pop()


def test_a_cancelled_video_stops_and_leaves_nothing(serving_inferencer, store, video, monkeypatch):
    job, other = job_of(store, video, 'clip.mp4'), job_of(store, jpeg())
    place = serving_inferencer.place

    def cancel_in_the_middle(pending, hint):
        if pending.image.index == 2:
            store.remove(job)
            assert job.folder.exists()  # in use
        return place(pending, hint)

    monkeypatch.setattr(serving_inferencer, 'place', cancel_in_the_middle)
    engine = Engine(serving_inferencer, store.limits, batch_size=2)
    engine.submit(job)
    engine.submit(other)
    engine.start()
    wait(other)
    end = time.monotonic() + 60
    while job.folder.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    engine.close()
    assert job.ended is None and job.frames_done <= 3
    with pytest.raises(Refusal, match='no such job'), job.held():
        pass


def test_downloads_are_bounded_and_stop_with_their_job(serving_inferencer, store, video):
    job = job_of(store, video, 'clip.mp4')
    engine = Engine(serving_inferencer, store.limits)
    engine.submit(job)
    engine.start()
    wait(job)
    engine.close()
    maker = FileMaker(Limits(downloads=2), 'software', True)
    begun, go_on = threading.Event(), threading.Event()
    frame = job.frame

    def slow(index):
        begun.set()
        assert go_on.wait(60)
        return frame(index)

    job.frame = slow
    first, second = maker.make(job, 'json', None), maker.make(job, 'npz', None)
    assert begun.wait(60)
    with pytest.raises(Refusal, match='too many downloads'):
        maker.make(job, 'json', None)
    store.remove(job)
    go_on.set()
    for made in (first, second):
        with pytest.raises(Refusal, match=r'was cancelled|no such job') as refusal:
            made.result(60)
        assert refusal.value.status == 404
    maker.close()
    assert list(store.root.iterdir()) == []


def test_nothing_is_lost_when_many_come_at_once(serving_inferencer, tmp_path):
    """A real server; tools/benchmark/serve_load.py has the large figure."""
    uvicorn = pytest.importorskip('uvicorn')
    app = build_app(serving_inferencer, Limits(jobs=30), renderer='software', folder=tmp_path)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level='error'))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    answers = {}

    def ask(method: str, path: str, body: bytes | None = None) -> dict:
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=300)
        connection.request(method, path, body)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def user(number: int) -> None:
        size = (64 + 2 * number, 48)
        job = ask('POST', f'/api/jobs?name={number}.jpg', jpeg(number, size))
        while job['state'] not in ('done', 'failed'):
            time.sleep(0.05)
            job = ask('GET', f'/api/jobs/{job["id"]}')
        answers[number] = job

    users = [threading.Thread(target=user, args=(number,)) for number in range(20)]
    for one in users:
        one.start()
    for one in users:
        one.join()
    server.should_exit = True
    thread.join()
    assert sorted(answers) == list(range(20))
    for number, job in answers.items():
        assert job['state'] == 'done' and job['name'] == f'{number}.jpg'
        assert job['size'] == [64 + 2 * number, 48] and len(job['people']) == 2
    assert app.state.engine.largest_mix > 1
    assert list(tmp_path.iterdir()) == []


def test_a_photo_is_not_kept_waiting_by_a_video(make_client, video):
    client = make_client()
    long = client.post('/api/jobs?name=clip.mp4', content=video).json()
    assert send(client, jpeg())['state'] == 'done'
    assert ended(client, long)['frames_done'] == 6
