# SPDX-License-Identifier: Apache-2.0
"""Puts the server together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from fastmetro_mm.apis.mesh_inferencer import MeshInferencer
from fastmetro_mm.serve.downloads import FileMaker
from fastmetro_mm.serve.engine import Engine
from fastmetro_mm.serve.guard import Guard
from fastmetro_mm.serve.job_store import JobStore
from fastmetro_mm.serve.limits import Limits
from fastmetro_mm.serve.refusals import Refusal
from fastmetro_mm.serve.routes import Routes, fault, refuse, refuse_http

_EXPIRY_SECONDS = 30


def build_app(
    inferencer: MeshInferencer,
    limits: Limits | None = None,
    hosts: Collection[str] = (),
    renderer: str = 'auto',
    folder: Path | None = None,
    batch_size: int = 16,
) -> Starlette:
    """The server as an ASGI application; its threads live as long as its lifespan.

    Args:
        inferencer: The network. From then on the server's own thread uses it, nobody else.
        limits: What is allowed.
        hosts: Names beside addresses and ``localhost`` that the server is called by.
        renderer: What draws: ``auto``, ``pyrender`` or ``software``.
        folder: Where to make the temporary folder of the jobs.
        batch_size: People that go through the network at once.

    Returns:
        The application; ``app.state.engine`` and ``app.state.store`` are its parts.
    """
    limits = limits or Limits()
    store = JobStore(limits, folder)
    engine = Engine(inferencer, limits, batch_size)
    maker = FileMaker(limits, renderer, inferencer.has_parameters)

    async def expire() -> None:
        while True:
            await asyncio.sleep(_EXPIRY_SECONDS)
            await asyncio.to_thread(store.expire)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine.start()
        task = asyncio.create_task(expire())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.to_thread(engine.close)
            await asyncio.to_thread(maker.close)
            store.close()

    app = Starlette(
        routes=Routes(engine, store, maker).routes(),
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={Refusal: refuse, HTTPException: refuse_http, Exception: fault},
        lifespan=lifespan,
    )
    app.state.engine, app.state.store = engine, store
    return app
