# SPDX-License-Identifier: Apache-2.0
"""Stages that overlap keep order, errors and memory."""

import threading
import time

import numpy as np
import pytest

from fastmetro_mm.apis import stages
from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.apis.stages import PAUSE, Worker, ahead
from fastmetro_mm.errors import InputError
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.renderer_factory import build_renderer


def threads() -> int:
    return threading.active_count()


def test_items_come_in_order_from_another_thread_and_not_too_far_ahead():
    made, by = [], set()

    def items():
        for number in range(20):
            made.append(number)
            by.add(threading.get_ident())
            yield number

    before = threads()
    results = ahead(items(), 3)
    assert made == []  # nothing starts before the first is asked for
    for expected, found in enumerate(results):
        assert found == expected
        time.sleep(0.005)
        # those that wait, the one in the hand of the maker, the one that was given
        assert len(made) <= expected + 1 + 3 + 1
    assert made == list(range(20)) and threading.get_ident() not in by
    assert threads() == before


def test_it_overlaps():
    met = threading.Barrier(2, timeout=20)

    def items():
        yield 0
        met.wait()  # passes only while the caller works with the item before
        yield 1

    results = ahead(items(), 1)
    assert next(results) == 0
    met.wait()
    assert list(results) == [1]


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 'first'
        raise InputError('the second one is broken')

    results = ahead(items(), 5)
    assert next(results) == 'first'
    with pytest.raises(InputError, match='second one'):
        next(results)


def test_who_leaves_early_leaves_no_thread_and_no_open_source():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield np.zeros(10)
        finally:
            closed.set()

    before = threads()
    results = ahead(items(), 2)
    next(results)
    results.close()
    assert closed.is_set() and threads() == before


def test_jobs_are_done_in_order_and_errors_told_once():
    done = []
    worker = Worker(2)
    for number in range(6):
        worker.submit(lambda number=number: done.append(number))
    worker.finish()
    assert done == list(range(6))
    worker = Worker(4)
    worker.submit(lambda: 1 / 0)
    worker.submit(lambda: done.append('after'))
    with pytest.raises(ZeroDivisionError):
        worker.finish()
    worker.finish()
    assert done[-1] == 'after'


def test_threads_wait_while_somebody_wants_every_core():
    made, third, done = [], threading.Event(), []

    def items():
        for number in range(8):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    results, worker = ahead(items(), 1), Worker(4)
    assert next(results) == 0 and third.wait(20)  # one waits, one is in the maker's hand
    with PAUSE.others():
        with PAUSE.others():  # somebody else
            pass
        worker.submit(lambda: done.append('a job'))
        assert next(results) == 1
        time.sleep(0.05)
        assert made == [0, 1, 2] and not done
    assert list(results) == [2, 3, 4, 5, 6, 7]
    worker.finish()
    assert done == ['a job']


def test_a_pause_ends_with_an_error_too():
    with pytest.raises(InputError), PAUSE.others():
        raise InputError('the network cannot')
    assert not PAUSE.is_on
    with PAUSE.working():  # begins at once
        pass


def test_who_wants_every_core_lets_jobs_come_to_their_end(monkeypatch):
    monkeypatch.setattr(stages, '_LAST_ITEM', 20)
    begun, go_on, done = threading.Event(), threading.Event(), []

    def job():
        begun.set()
        go_on.wait(20)
        done.append('a job')

    worker = Worker(4)
    worker.submit(job)
    assert begun.wait(20)
    threading.Timer(0.05, go_on.set).start()
    with PAUSE.others():
        assert done == ['a job']
    worker.finish()


def test_who_wants_every_core_does_not_wait_for_a_job_that_takes_long(monkeypatch):
    monkeypatch.setattr(stages, '_LAST_ITEM', 0.01)
    begun, go_on = threading.Event(), threading.Event()
    worker = Worker(4)
    worker.submit(lambda: begun.set() or go_on.wait(20))
    assert begun.wait(20)
    with PAUSE.others():
        go_on.set()  # it would wait for this
    worker.finish()


def test_a_stage_that_waits_for_the_one_before_does_not_hold_up_the_network(monkeypatch):
    monkeypatch.setattr(stages, '_LAST_ITEM', 20)
    fetching = threading.Event()

    def slow():
        yield 0
        fetching.set()
        with PAUSE.resting():
            network_ran.wait(20)
        yield 1

    def second(items):
        yield from items

    network_ran = threading.Event()
    results = ahead(second(ahead(slow(), 1)), 1)
    assert next(results) == 0 and fetching.wait(20)
    start = time.monotonic()
    with PAUSE.others():  # the first stage rests, the second waits for it
        assert time.monotonic() - start < 10
        network_ran.set()
    assert list(results) == [1]


def test_the_network_may_run_in_a_stage():
    def items():
        with PAUSE.others():
            was_on = PAUSE.is_on
        yield was_on

    assert list(ahead(items(), 1)) == [True] and not PAUSE.is_on


def frame(index: int) -> FrameResult:
    return FrameResult(
        image_path='clip.mp4',
        frame_index=index,
        image_size=(32, 24),
        intrinsics=np.eye(3),
        people=[],
        body='open_body',
        faces=np.array([[0, 1, 2]]),
        image=np.full((24, 32, 3), index, np.uint8),
        time=index / 10,
    )


@pytest.mark.parametrize('overlap', [False, True])
def test_files_are_the_same_with_and_without(tmp_path, overlap):
    errors = []
    (tmp_path / 'clip_npz').write_text('in the way')
    kinds, renderer = ['npz', 'json', 'overlay'], build_renderer('software')
    with ResultSaver(
        tmp_path, kinds, renderer, 10, on_error=errors.append, overlap=overlap
    ) as saver:
        for index in range(7):
            saver.add(frame(index), 'clip')
    # one kind fails, in one line, the others are whole
    assert len(errors) == 1 and 'npz' in str(errors[0])
    lines = (tmp_path / 'clip.jsonl').read_text().splitlines()
    assert len(lines) == 7 and '"frame_index": 6' in lines[6]
    assert {path.name for path in saver.written} == {'clip.jsonl', 'clip_overlay.mp4'}


def test_what_a_handler_raises_reaches_the_caller(tmp_path):
    (tmp_path / 'clip_npz').write_text('in the way')
    with pytest.raises(InputError, match='npz'):
        with ResultSaver(tmp_path, ['npz'], fps=10, overlap=True) as saver:
            for index in range(3):
                saver.add(frame(index), 'clip')
