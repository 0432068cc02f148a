# SPDX-License-Identifier: Apache-2.0
"""The report, opened and clicked in a headless Chromium through the DevTools protocol."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

import cv2
import numpy as np
import pytest

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.html_report import ReportFrame, report_frame, write_html_report
from fastmetro_mm.exporters.scene import frame_meshes
from fastmetro_mm.visualization.render_types import RenderMesh

FLAGS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage', '--enable-unsafe-swiftshader', '--hide-scrollbars',
    '--window-size=1200,900', '--remote-debugging-pipe',
)  # fmt: skip
TIME_LIMIT = 60


class Browser:
    """A page in Chromium; commands go through a pipe, messages end with a zero byte."""

    def __init__(self, program: str, profile) -> None:
        to_read, self.output = os.pipe()
        self.input, to_write = os.pipe()

        def connect() -> None:  # Chromium reads from 3 and writes to 4
            spare = [os.dup(to_read), os.dup(to_write)]
            os.dup2(spare[0], 3)
            os.dup2(spare[1], 4)

        self.process = subprocess.Popen(
            [program, *FLAGS, f'--user-data-dir={profile}', 'about:blank'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=connect,
            close_fds=False,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self.rest, self.number, self.session, self.events = b'', 0, None, []
        targets = self.call('Target.getTargets')['targetInfos']
        target = next(t['targetId'] for t in targets if t['type'] == 'page')
        attached = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self.session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.call(f'{domain}.enable')

    def call(self, method: str, **parameters):
        """Send a command and wait for its answer."""
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.output, json.dumps(message).encode() + b'\0')
        end = time.monotonic() + TIME_LIMIT
        while time.monotonic() < end:
            while b'\0' in self.rest:
                raw, self.rest = self.rest.split(b'\0', 1)
                answer = json.loads(raw)
                if answer.get('id') == self.number:
                    assert 'error' not in answer, answer
                    return answer['result']
                self.events.append(answer)
            if select.select([self.input], [], [], 1)[0]:
                data = os.read(self.input, 1 << 16)
                assert data, 'the browser went away'
                self.rest += data
        raise TimeoutError(method)

    def evaluate(self, script: str):
        """Value of an expression in the page."""
        found = self.call('Runtime.evaluate', expression=script, returnByValue=True,
                          awaitPromise=True)  # fmt: skip
        assert 'exceptionDetails' not in found, found
        return found['result'].get('value')

    def open(self, address: str) -> None:
        """Load a report and wait until it is drawn."""
        self.events.clear()
        self.call('Page.navigate', url='about:blank')  # a new '#' alone would not load the page
        self.call('Page.navigate', url=address)
        self.wait_for(
            "document.readyState === 'complete' && "
            "!!document.getElementById('view')?.dataset.painter"
        )

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + TIME_LIMIT
        while not self.evaluate(condition):
            assert time.monotonic() < end, f'never true: {condition}'
            time.sleep(0.05)

    def view(self) -> dict:
        """What the 3D view says of itself, once it is drawn."""
        self.evaluate('new Promise(done => requestAnimationFrame(() => '
                      'requestAnimationFrame(done)))')  # fmt: skip
        return self.evaluate("({...document.getElementById('view').dataset})")

    def image(self) -> np.ndarray:
        """Pixels of the 3D view, RGBA."""
        url = self.evaluate("document.getElementById('view').toDataURL('image/png')")
        data = np.frombuffer(base64.b64decode(url.split(',')[1]), np.uint8)
        return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)

    def middle(self, selector: str) -> dict:
        """Scroll to an element; gives its middle on the screen."""
        return self.evaluate(
            f'(() => {{ const e = document.querySelector({json.dumps(selector)}); '
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); "
            'const r = e.getBoundingClientRect(); '
            'return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()'
        )

    def mouse(self, kind: str, place: dict, **more) -> None:
        """A real mouse event."""
        self.call('Input.dispatchMouseEvent', type=kind, **place, **more)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        place = self.middle(selector)
        for kind in ('mousePressed', 'mouseReleased'):
            self.mouse(kind, place, button='left', clickCount=1)

    def close(self) -> None:
        """End the browser."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.input)
        os.close(self.output)


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    program = next(
        filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
    )
    if program is None:
        pytest.skip('no Chromium found: apt-get install -y chromium')
    browser = Browser(program, tmp_path_factory.mktemp('profile'))
    yield browser
    browser.close()


@pytest.fixture(scope='module')
def report(make_frame, tmp_path_factory):
    """A report of two frames with two people and one person."""
    image = np.full((48, 64, 3), (200, 40, 40), np.uint8)
    frames = [make_frame(0, people=2), make_frame(1, people=1)]
    entries = [report_frame(frame, [('Overlay <b>', image)]) for frame in frames]
    path = tmp_path_factory.mktemp('report') / 'report.html'
    return write_html_report(path, entries, title='People & <things>')


@pytest.mark.parametrize('painter', ['', 'canvas'])
def test_it_opens_and_can_be_clicked(painter, browser, report, make_frame):
    browser.open(report.as_uri() + ('#canvas' if painter else ''))
    view = browser.view()
    # WebGL needs SwiftShader, which some builds of Chromium lack; then the page falls back.
    assert view['painter'] == 'canvas' if painter else view['painter'] in ('webgl', 'canvas')
    assert (view['shown'], view['frame'], view['yaw']) == ('2', '0', '0.0000')
    assert browser.evaluate('document.title') == 'People & <things>'
    assert browser.evaluate('document.images[0].naturalWidth') == 64

    front = browser.image()
    seen = front[..., 3] > 0
    assert 0.05 < seen.mean() < 0.9
    # Heads are up: the lowest rows are narrower (feet) and colours are those of the table.
    meshes = frame_meshes(make_frame(0, people=2))
    columns = [np.mean(np.nonzero(near(front, mesh.color))[1]) for mesh in meshes]
    assert columns[0] < columns[1]  # the first person stands on the left

    place = browser.middle('#view')
    browser.mouse('mousePressed', place, button='left', buttons=1, clickCount=1)
    moved = {'x': place['x'] + 80, 'y': place['y'] + 20}
    browser.mouse('mouseMoved', moved, button='left', buttons=1)
    browser.mouse('mouseReleased', moved, button='left', clickCount=1)
    view = browser.view()
    assert float(view['yaw']) == pytest.approx(0.8) and float(view['pitch']) == pytest.approx(0.2)
    assert np.abs(browser.image().astype(int) - front).mean() > 1

    browser.mouse('mouseWheel', place, deltaX=0, deltaY=-400)
    browser.wait_for("document.getElementById('view').dataset.zoom > 1.3")
    assert (browser.image()[..., 3] > 0).mean() > seen.mean()

    browser.click('button[data-view="back"]')
    assert float(browser.view()['yaw']) == pytest.approx(np.pi, abs=1e-3)
    back = browser.image()
    columns = [np.mean(np.nonzero(near(back, mesh.color))[1]) for mesh in meshes]
    assert columns[0] > columns[1]

    browser.click('#frame_0 input[data-person="0"]')
    assert browser.view()['shown'] == '1'
    assert not near(browser.image(), meshes[0].color).any()

    browser.evaluate("(() => { const s = document.getElementById('frame'); s.value = 1; "
                     "s.dispatchEvent(new Event('input')); })()")  # fmt: skip
    view = browser.view()
    assert (view['frame'], view['shown']) == ('1', '1')
    assert browser.evaluate("document.getElementById('frame_0').hidden")

    errors = [event for event in browser.events if event['method'] == 'Runtime.exceptionThrown'
              or event.get('params', {}).get('entry', {}).get('level') == 'error']  # fmt: skip
    assert not errors, errors
    addresses = [event['params']['request']['url'] for event in browser.events
                 if event['method'] == 'Network.requestWillBeSent']  # fmt: skip
    assert all(url.split(':')[0] in ('file', 'data', 'about') for url in addresses), addresses


def near(image: np.ndarray, color) -> np.ndarray:
    """Where an image (H, W, 4) shows a shade of a colour: the same hue, any brightness."""
    values = image[..., :3].astype(float)
    brightest = values.max(-1, keepdims=True)
    shade = values / np.maximum(brightest, 1)
    wanted = np.asarray(color) / np.max(color)
    return (
        (np.abs(shade - wanted).max(-1) < 0.04) & (image[..., 3] == 255) & (brightest[..., 0] > 60)
    )


def test_text_is_escaped_and_nothing_is_linked(report):
    text = report.read_text()
    assert '<things>' not in text and 'People &amp; &lt;things&gt;' in text
    assert 'Overlay &lt;b&gt;' in text
    for word in ('http://', 'https://', 'src="//', '<link', '@import'):
        assert word not in text
    # Two meshes and then one: faces are stored once.
    assert text.count('"faces":[') == 1 and len(json.loads(
        text.split('id="data">')[1].split('</script>')[0])['faces']) == 1  # fmt: skip


def test_a_frame_without_people_is_a_page_too(make_frame, tmp_path):
    frame = make_frame(people=1)
    frame.people.clear()
    path = write_html_report(tmp_path / 'a.html', [report_frame(frame, title='nobody')])
    assert '<p>No people.</p>' in path.read_text()


@pytest.mark.parametrize(
    ('frames', 'name', 'message'),
    [
        ([], 'a.html', 'give at least one frame'),
        ([ReportFrame('a')], 'a.pdf', r'must end with \.html'),
        ([ReportFrame('a', [('x', np.zeros((2, 2), np.uint8))])], 'a.html', "image 'x' is uint8"),
        ([ReportFrame('a', rows=[{'Person': 'b'}])], 'a.html', '1 rows for 0 meshes'),
        ([ReportFrame('a', meshes=[RenderMesh(np.zeros((70000, 3)), np.zeros((0, 3)))],
                      rows=[{}])], 'a.html', 'a mesh has 70000 vertices'),
    ],
)  # fmt: skip
def test_mistakes_are_named(frames, name, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        write_html_report(tmp_path / name, frames)
    assert not list(tmp_path.iterdir())
