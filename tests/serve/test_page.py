# SPDX-License-Identifier: Apache-2.0
"""The page in a headless Chromium: a photo and a video, from choosing the file to the download."""

import time

import numpy as np
import pytest

from tests.exporters.readers import read_bvh
from tests.serve.uploading import jpeg


@pytest.fixture
def page(browser, address):
    browser.events.clear()
    browser.call('Page.navigate', url='about:blank')
    browser.call('Page.navigate', url=address)
    browser.wait_for("document.readyState === 'complete' && !!about")
    yield browser
    assert browser.errors() == []
    assert all(url.startswith((address, 'blob:', 'data:', 'about:')) for url in browser.requests())


def upload(page, path) -> None:
    page.choose_file('#file', path)
    page.wait_for("job && job.state === 'done' && shown === 0")


def coverage(page, canvas: str) -> float:
    """Share of a canvas that is drawn on, once it is."""
    image = page.image(canvas)
    return (image[..., 3] > 0).mean()


def download(page, kind: str, name: str, folder):
    """The file that a button saves."""
    folder.mkdir(exist_ok=True)
    page.call('Page.setDownloadBehavior', behavior='allow', downloadPath=str(folder))
    page.click(f'#files button[data-kind="{kind}"]')
    page.wait_for("/^saved |: /.test(document.getElementById('saved').textContent)")
    assert page.evaluate("document.getElementById('saved').textContent") == f'saved {name}'
    end = time.monotonic() + 60
    while not (folder / name).exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    return folder / name


def choose(page, name: str, value: str) -> None:
    """Take an entry of a list."""
    page.evaluate(
        f"(() => {{ const s = document.getElementById('{name}'); s.value = '{value}'; "
        "s.dispatchEvent(new Event('change')); })()"
    )


def test_a_photo(page, tmp_path):
    (tmp_path / 'photo.jpg').write_bytes(jpeg(size=(320, 240)))
    upload(page, tmp_path / 'photo.jpg')
    assert page.view()['shown'] == '2'
    assert page.evaluate("document.getElementById('name').textContent") == 'photo.jpg'
    assert page.evaluate("document.getElementById('image').naturalWidth") == 320
    assert coverage(page, 'view') > 0.01 and coverage(page, 'overlay') > 0.01
    front = page.image('view')
    page.click('button[data-view="side"]')
    assert page.view()['yaw'] == '-1.5708'
    assert np.abs(page.image('view').astype(int) - front).mean() > 1
    before = coverage(page, 'overlay')
    page.click('#boxes rect')  # leave out the first person
    assert page.view()['shown'] == '1'
    assert coverage(page, 'overlay') < before
    assert page.evaluate("document.querySelector('#people input').checked") is False
    with np.load(download(page, 'npz', 'photo.npz', tmp_path / 'files')) as arrays:
        assert len(arrays['vertices']) == 1 and arrays['bbox'][0, 0] == 160  # the second one
    choose(page, 'lod', '431')
    path = download(page, 'ply', 'photo.ply', tmp_path / 'files')
    assert b'element vertex 431\n' in path.read_bytes()[:500]


def test_a_video_is_scrubbed_and_survives_a_reload(page, video, tmp_path):
    (tmp_path / 'clip.mp4').write_bytes(video)
    upload(page, tmp_path / 'clip.mp4')
    assert page.evaluate("document.getElementById('frame').max") == '5'
    image = page.evaluate("document.getElementById('image').src")
    page.evaluate(
        "(() => { const s = document.getElementById('frame'); s.value = 4; "
        "s.dispatchEvent(new Event('input')); })()"
    )
    page.wait_for('shown === 4')
    assert page.view()['frame'] == '4'
    assert page.evaluate("document.getElementById('time').textContent") == 'frame 5, 0.40 s'
    assert page.evaluate("document.getElementById('image').src") != image
    assert coverage(page, 'view') > 0.01
    assert page.evaluate("document.getElementById('foot_lock').disabled")
    number = page.evaluate('job.people[1].number')
    page.click('#boxes rect')
    heights = []
    for _ in range(2):  # without a floor the camera is at height 0, with it the floor
        path = download(page, 'bvh', f'clip_track_{number}.bvh', tmp_path / f'files{len(heights)}')
        names, _, _, joints = read_bvh(path)
        heights.append(joints[:, names.index('L_Foot'), 1])
        page.click('#floor')
    assert np.ptp(heights, axis=0).min() > 50
    assert page.evaluate("document.getElementById('foot_lock').disabled")
    page.click('#play')  # from the next frame to the end
    page.wait_for("shown === 5 && document.getElementById('play').textContent === 'Play'")
    assert '#job=' in page.evaluate('location.href')
    page.call('Page.reload')
    page.wait_for("document.readyState === 'complete' && !!about && job && shown === 0")
    assert page.evaluate('job.name') == 'clip.mp4'


def test_a_file_that_is_no_image_says_so(page, tmp_path):
    (tmp_path / 'a.txt').write_text('words')
    page.choose_file('#file', tmp_path / 'a.txt')
    page.wait_for("document.getElementById('status').classList.contains('failed')")
    assert 'neither an image nor a video' in page.evaluate(
        "document.getElementById('message').textContent"
    )
    assert page.evaluate("document.getElementById('result').hidden")
    page.events.clear()  # Chromium logs every answer of 4xx as an error
