# SPDX-License-Identifier: Apache-2.0
"""What is answered to which request; ``openapi.py`` describes the same."""

from __future__ import annotations

import asyncio
import logging
import time
from importlib.resources import files
from typing import Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from fastmetro_mm import __version__
from fastmetro_mm.exporters.html_viewer import STYLE, VIEWER
from fastmetro_mm.serve.arguments import read_flag, read_options, read_people
from fastmetro_mm.serve.downloads import FileMaker, remove
from fastmetro_mm.serve.engine import Engine
from fastmetro_mm.serve.frame_json import face_sets, frame_content
from fastmetro_mm.serve.job import ENDED, Job
from fastmetro_mm.serve.job_store import JobStore
from fastmetro_mm.serve.openapi import description
from fastmetro_mm.serve.refusals import Refusal
from fastmetro_mm.serve.uploads import check_upload, safe_name

log = logging.getLogger('fastmetro_mm.serve')


class Routes:
    """The handlers, and what they share.

    Args:
        engine: Runs the network.
        store: Keeps the jobs.
        maker: Makes downloads.
    """

    def __init__(self, engine: Engine, store: JobStore, maker: FileMaker) -> None:
        self._engine, self._store, self._maker = engine, store, maker
        body = engine.inferencer.body
        self._levels = body.num_vertices
        page = files('fastmetro_mm.serve') / 'page'
        texts = {name: (page / name).read_text('utf-8') for name in _PAGE_FILES}
        texts['page.css'] += STYLE
        self._files = {**texts, 'viewer.js': VIEWER}
        self._about = dict(
            version=__version__,
            body=body.name,
            is_hand=body.is_hand,
            faces=face_sets(body),
            formats=list(maker.kinds),
            levels=list(self._levels),
            limits={
                name: getattr(store.limits, name)
                for name in ('upload_bytes', 'image_pixels', 'frame_pixels', 'frames')
            },
        )
        self._openapi = description(maker.kinds, self._levels)

    def routes(self) -> list[Route]:
        """All of them."""
        one = '/api/jobs/{job}'
        get = ['GET']
        return [
            Route('/', self.page, methods=get),
            Route('/{name:str}', self.page, methods=get),
            Route('/api/openapi.json', self.openapi, methods=get),
            Route('/api/about', self.about, methods=get),
            Route('/api/jobs', self.upload, methods=['POST']),
            Route(one, self.job, methods=['GET', 'DELETE']),
            Route(one + '/frames/{frame:int}', self.frame, methods=get),
            Route(one + '/frames/{frame:int}/image', self.image, methods=get),
            Route(one + '/files/{kind}', self.download, methods=get),
        ]

    async def page(self, request: Request) -> Response:
        """The page and its parts: fixed texts, no names of files."""
        name = request.path_params.get('name', 'index.html')
        if name not in self._files:
            raise Refusal(404, 'there is nothing here')
        kind = _PAGE_TYPES[name.rpartition('.')[2]]
        return Response(self._files[name], media_type=kind)

    async def openapi(self, request: Request) -> Response:
        """The description of this interface."""
        return JSONResponse(self._openapi)

    async def about(self, request: Request) -> Response:
        """Version, network, triangles, formats and limits."""
        return JSONResponse(self._about)

    async def upload(self, request: Request) -> Response:
        """A new job of the file in the body."""
        name = safe_name(request.query_params.get('name', ''))
        smooth = read_flag(request.query_params, 'smooth')
        most = self._store.limits.upload_bytes
        length = request.headers.get('content-length', '0')
        if not (length.isascii() and length.isdigit() and len(length) < 19 and int(length) <= most):
            raise Refusal(413, f'the file has more than {most} bytes: send a smaller one')
        job = await run_in_threadpool(self._store.new, name, smooth)
        try:
            await asyncio.wait_for(self._receive(request, job), self._store.limits.upload_seconds)
            job.kind = await run_in_threadpool(check_upload, job.upload, self._store.limits)
            self._engine.submit(job)
        except BaseException as error:
            self._store.remove(job)
            if isinstance(error, asyncio.TimeoutError):
                raise Refusal(408, 'sending the file took too long') from None
            raise
        return JSONResponse(job.to_dict(), 201, {'location': f'/api/jobs/{job.id}'})

    async def job(self, request: Request) -> Response:
        """How far a job is; or, with DELETE, cancel and forget it."""
        job = self._job(request)
        if request.method == 'DELETE':
            await run_in_threadpool(self._store.remove, job)
            return Response(status_code=204)
        return JSONResponse(job.to_dict())

    async def frame(self, request: Request) -> Response:
        """People of a frame."""
        job, index = self._job(request), request.path_params['frame']

        def read() -> Response:
            with job.held():
                return JSONResponse(frame_content(job.frame(index)))

        return await run_in_threadpool(read)

    async def image(self, request: Request) -> Response:
        """Image of a frame."""
        job, index = self._job(request), request.path_params['frame']

        def read() -> bytes:
            with job.held():
                return job.image(index)

        return Response(await run_in_threadpool(read), media_type='image/jpeg')

    async def download(self, request: Request) -> Response:
        """A file of some people."""
        job, kind = self._job(request), request.path_params['kind']
        if kind not in self._maker.kinds:
            raise Refusal(404, f'there is no such format: use {", ".join(self._maker.kinds)}')
        people = read_people(request.query_params)
        options = read_options(request.query_params, self._levels)
        if job.state not in ENDED:
            raise Refusal(409, 'the job is not done yet')
        made = self._maker.make(job, kind, people, options)
        path = await asyncio.wrap_future(made)
        return FileResponse(
            path,
            media_type='application/octet-stream',
            # names of uploads are plain ASCII without quotes: see safe_name
            headers={'content-disposition': f'attachment; filename="{path.name}"'},
            background=BackgroundTask(remove, path),
        )

    def _job(self, request: Request) -> Job:
        return self._store.get(request.path_params['job'])

    async def _receive(self, request: Request, job: Job) -> None:
        most, begin = self._store.limits.upload_bytes, time.monotonic()
        with open(job.upload, 'wb') as file:
            try:
                async for part in request.stream():
                    job.bytes += len(part)
                    if job.bytes > most:
                        raise Refusal(413, f'the file has more than {most} bytes')
                    await run_in_threadpool(file.write, part)
            except ClientDisconnect:
                seconds = time.monotonic() - begin
                log.info('an upload was given up after %.1f s', seconds)
                raise Refusal(400, 'the file did not come whole') from None


_PAGE_FILES = ('index.html', 'page.css', 'page.js')
_PAGE_TYPES = {'html': 'text/html', 'css': 'text/css', 'js': 'text/javascript'}


async def refuse(request: Request, error: Any) -> Response:
    """The answer to a :class:`Refusal`."""
    headers = {'retry-after': '10'} if error.status == 503 else None
    return JSONResponse({'error': str(error)}, error.status, headers)


async def refuse_http(request: Request, error: Exception) -> Response:
    """The answer where no route fits, or not this method."""
    assert isinstance(error, HTTPException)
    return JSONResponse({'error': error.detail}, error.status_code, error.headers)


async def fault(request: Request, error: Exception) -> Response:
    """The answer to a fault of ours; Starlette logs it."""
    return JSONResponse({'error': 'a fault of the server; its log tells more'}, 500)
