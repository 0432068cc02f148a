# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven through the DevTools protocol."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

import cv2
import numpy as np

FLAGS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage', '--enable-unsafe-swiftshader', '--hide-scrollbars',
    '--window-size=1200,900', '--remote-debugging-pipe',
)  # fmt: skip
TIME_LIMIT = 240  # seconds; a busy machine draws slowly


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
        found = self.call(
            'Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True
        )
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
        self.evaluate(
            'new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))'
        )
        return self.evaluate("({...document.getElementById('view').dataset})")

    def image(self, canvas: str = 'view') -> np.ndarray:
        """Pixels of a canvas, RGBA, once it is drawn."""
        self.view()
        url = self.evaluate(f"document.getElementById('{canvas}').toDataURL('image/png')")
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

    def choose_file(self, selector: str, path) -> None:
        """Give a file to an input element, as the dialog of the browser does."""
        root = self.call('DOM.getDocument')['root']['nodeId']
        node = self.call('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
        self.call('DOM.setFileInputFiles', nodeId=node, files=[str(path)])

    def errors(self) -> list[dict]:
        """Exceptions and error messages of the page since it was opened."""
        return [
            event
            for event in self.events
            if event['method'] == 'Runtime.exceptionThrown'
            or event.get('params', {}).get('entry', {}).get('level') == 'error'
        ]

    def requests(self) -> list[str]:
        """Addresses that the page asked for since it was opened."""
        return [
            event['params']['request']['url']
            for event in self.events
            if event['method'] == 'Network.requestWillBeSent'
        ]

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


def find_program() -> str | None:
    """Chromium or Chrome, if it is installed."""
    names = ('chromium', 'chromium-browser', 'google-chrome')
    return next(filter(None, map(shutil.which, names)), None)
