# SPDX-License-Identifier: Apache-2.0
"""Who may ask: requests that other web pages send in a user's name are refused.

A page from elsewhere can point its own name at this machine (DNS rebinding), or post forms to an
address it cannot read. Names that are not ours, and changes asked for by another origin, end here.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b'content-security-policy', PAGE_POLICY.encode()),
    (b'x-content-type-options', b'nosniff'),
    (b'referrer-policy', b'no-referrer'),
    (b'cache-control', b'no-store'),
)


class Guard:
    """Middleware that checks ``Host`` and ``Origin`` and adds the headers of every answer.

    Args:
        app: What answers.
        hosts: Names that this server is called by. Addresses and ``localhost`` always are.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = {'localhost', *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                message['headers'] = [*message.get('headers', ()), *_HEADERS]
            await send(message)

        reason = self._refused(scope['method'], Headers(scope=scope))
        answer = self._app if reason is None else JSONResponse({'error': reason}, 403)
        await answer(scope, receive, with_headers)

    def _refused(self, method: str, headers: Headers) -> str | None:
        host = headers.get('host', '')
        name = _name_of(host)
        if name is None or not (name in self._hosts or _is_address(name)):
            return 'this server does not go by that name: start it with --allow-host NAME'
        origin = headers.get('origin')
        if method not in ('GET', 'HEAD', 'OPTIONS') and origin is not None:
            try:
                from_here = urlsplit(origin).netloc.lower() == host.lower()
            except ValueError:
                from_here = False
            if not from_here:
                return 'pages of other addresses may not use this server'
        return None


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f'//{host}').hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
