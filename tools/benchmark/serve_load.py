# SPDX-License-Identifier: Apache-2.0
"""Load on ``fastmetro serve``: many users at once, round after round; none lost, memory flat.

    python tools/benchmark/serve_load.py --users 50 --rounds 4

Starts a server of its own. Every user of a round sends another photo, waits for its job, fetches a
frame and removes the job. Prints what came back, how long it took, and the server's memory.
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.benchmark.drawn_video import draw_frames


def photos(count: int, size: tuple[int, int]) -> list[bytes]:
    """Photos of two drawn people; each has its own width, by which its answer is known."""
    width, _ = size
    drawn = list(draw_frames(min(count, 10), size, 5))
    made = []
    for number in range(count):
        image = np.ascontiguousarray(drawn[number % len(drawn)][:, : width - number, ::-1])
        made.append(cv2.imencode('.jpg', image)[1].tobytes())
    return made


class User:
    """Sends one photo.

    Args:
        port: Of the server.
        number: Which photo; its width is ``width - number``.
        photo: Its bytes.
    """

    def __init__(self, port: int, number: int, photo: bytes) -> None:
        self.port, self.number, self.photo = port, number, photo
        self.seconds, self.fault, self.people = 0.0, 'no answer', 0

    def ask(self, method: str, path: str, body: bytes | None = None):
        """One request; JSON of the answer, None for an empty one."""
        connection = HTTPConnection('127.0.0.1', self.port, timeout=1200)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= 400:
                raise RuntimeError(f'{method} {path}: {answer.status} {content[:200]!r}')
            return json.loads(content) if content else None
        finally:
            connection.close()

    def run(self, width: int) -> None:
        """From the upload to the removal."""
        begin = time.monotonic()
        try:
            job = self.ask('POST', f'/api/jobs?name={self.number}.jpg', self.photo)
            while job['state'] not in ('done', 'failed'):
                time.sleep(2)  # the server has better things to do than to answer
                job = self.ask('GET', f'/api/jobs/{job["id"]}')
            place = f'/api/jobs/{job["id"]}'
            self.people = len(self.ask('GET', f'{place}/frames/0')['people'])
            mine = job['size'][0] == width - self.number and job['name'] == f'{self.number}.jpg'
            self.fault = job['error'] if mine else 'the answer to another photo'
            self.ask('DELETE', place)
        except Exception as error:
            self.fault = f'{type(error).__name__}: {error}'
        self.seconds = time.monotonic() - begin


def memory(process: int) -> int:
    """Resident memory of a process, MB."""
    text = Path(f'/proc/{process}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+)', text)[1]) // 1024


def main() -> None:
    """Run the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--users', type=int, default=50)
    parser.add_argument('--rounds', type=int, default=4)
    parser.add_argument('--size', type=int, nargs=2, default=(320, 240))
    args = parser.parse_args()
    width = args.size[0]
    sent = photos(args.users, tuple(args.size))
    command = [sys.executable, '-m', 'fastmetro_mm', 'serve', '--port', '0']
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r':(\d+) ', server.stdout.readline())[1])
        first = User(port, 0, sent[0])
        first.run(width)  # the network is made ready by the first photo
        print(f'ready: {first.seconds:.1f} s, {memory(server.pid)} MB, fault: {first.fault}')
        for number in range(args.rounds):
            users = [User(port, place, photo) for place, photo in enumerate(sent)]
            threads = [threading.Thread(target=user.run, args=(width,)) for user in users]
            begin = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took = time.monotonic() - begin
            faults = [f'{user.number}: {user.fault}' for user in users if user.fault]
            slow = sorted(user.seconds for user in users)
            print(
                f'round {number + 1}: {len(users) - len(faults)} of {len(users)} answered in '
                f'{took:.1f} s (median {slow[len(slow) // 2]:.1f} s, slowest {slow[-1]:.1f} s), '
                f'{sum(user.people for user in users)} people, {memory(server.pid)} MB',
                *faults,
                sep='\n  ',
                flush=True,
            )
    finally:
        server.terminate()
        server.wait(60)


if __name__ == '__main__':
    main()
