# SPDX-License-Identifier: Apache-2.0
"""A page to try it on: ``fastmetro serve [options]``, then open the address it prints."""

import argparse
import ipaddress
import logging
import socket
import sys
from contextlib import suppress

from fastmetro_mm.cli.shared_options import add_detector, add_network, add_renderer
from fastmetro_mm.engine.cli import OneLineParser, count, factor, friendly_errors
from fastmetro_mm.errors import CliError, MissingPackageError

EPILOG = """examples:
  this machine only, http://127.0.0.1:8000
    fastmetro serve
  everybody in the local network: whoever reaches the address can use it
    fastmetro serve --host 0.0.0.0 --port 8080
  from a program (docs/serve.md)
    curl --data-binary @photo.jpg 'http://127.0.0.1:8000/api/jobs?name=photo.jpg'

Ctrl-C ends it; uploads and results are deleted then, or an hour after a job has ended."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = OneLineParser(
        description='Serve a page that takes photos and videos and shows and saves the meshes.',
        epilog=EPILOG,
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen at (default: this machine only)'
    )
    parser.add_argument('--port', type=int, default=8000, help='port (default: 8000)')
    parser.add_argument(
        '--allow-host',
        action='append',
        default=[],
        metavar='NAME',
        help='name beside addresses and localhost that the server is called by; repeat it',
    )
    group = parser.add_argument_group('network')
    add_network(group)
    add_detector(group)
    add_renderer(group)
    group = parser.add_argument_group('limits')
    for name, kind, default, text in (
        ('max-upload-mb', factor, 200, 'size of a file, MB'),
        ('max-pixels', count, 50_000_000, 'pixels of a photo'),
        ('max-frames', count, 3000, 'frames of a video'),
        ('max-seconds', factor, 600, 'time for one job'),
        ('max-jobs', count, 100, 'jobs that are kept: waiting, running and finished'),
        ('max-disk-gb', factor, 10, 'disk space of all jobs, GB'),
        ('keep-minutes', factor, 60, 'how long a finished job is kept'),
    ):
        group.add_argument(
            f'--{name}', type=kind, default=default, metavar='N', help=f'{text} ({default})'
        )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    with friendly_errors():
        args = parse_args(argv)
        if not 0 <= args.port < 65536:
            raise CliError(f'--port {args.port}: expected 0 to 65535')
        try:
            import starlette  # noqa: F401
            import uvicorn
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"fastmetro serve needs {error.name}: pip install 'fastmetro_mm[serve]'"
            ) from None
        from fastmetro_mm.apis.mesh_inferencer import MeshInferencer
        from fastmetro_mm.serve.app import build_app
        from fastmetro_mm.serve.limits import Limits

        limits = Limits(
            upload_bytes=int(args.max_upload_mb * 1e6),
            image_pixels=args.max_pixels,
            frames=args.max_frames,
            job_seconds=args.max_seconds,
            jobs=args.max_jobs,
            keep_seconds=60 * args.keep_minutes,
            disk_bytes=int(args.max_disk_gb * 1e9),
        )
        # first the address: a network takes seconds to load
        with _listening(args.host, args.port) as place, suppress(KeyboardInterrupt):
            inferencer = MeshInferencer(
                args.model,
                args.weights,
                args.device,
                args.detector,
                args.detector_weights,
                args.speed,
            )
            app = build_app(
                inferencer,
                limits,
                [*args.allow_host, args.host],
                args.renderer,
                batch_size=args.batch_size,
            )
            if not _is_loopback(args.host):
                print(
                    f'note: everybody who reaches {args.host}:{args.port} can use this server',
                    file=sys.stderr,
                )
            logging.getLogger('fastmetro_mm.serve').setLevel(logging.INFO)
            config = uvicorn.Config(
                app,
                log_level='warning',
                limit_concurrency=500,
                ws='none',
                timeout_graceful_shutdown=3,
            )
            host = f'[{args.host}]' if ':' in args.host else args.host
            print(f'open http://{host}:{place.getsockname()[1]} (Ctrl-C ends)', flush=True)
            uvicorn.Server(config).run(sockets=[place])
        return 0


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(' (')[0]  # the address follows
        raise CliError(
            f'--host {host} --port {port}: {reason}: choose another port (0 takes a free one) or '
            'address'
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'
