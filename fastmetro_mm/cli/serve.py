# SPDX-License-Identifier: Apache-2.0
"""A page to try it on: ``fastmetro serve [options]``, then open the address it prints."""

import argparse
import ipaddress
import logging
import socket
import sys
from contextlib import suppress

from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
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
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    group.add_argument('--model', help='as for fastmetro demo (default: open_body)')
    group.add_argument('--weights', help='as for fastmetro demo')
    group.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    group.add_argument(
        '--speed', choices=['exact', 'fast'], default='exact', help='as for fastmetro demo'
    )
    group.add_argument('--detector', default='free', help='as for fastmetro demo')
    group.add_argument('--detector-weights', help='weights of the detector')
    group.add_argument('--batch-size', type=_count, default=16, help='people at once (default: 16)')
    group.add_argument(
        '--renderer',
        choices=['auto', 'pyrender', 'software'],
        default='auto',
        help='what draws overlays (default: auto)',
    )
    group = parser.add_argument_group('limits')
    for name, kind, default, text in (
        ('max-upload-mb', _positive, 200, 'size of a file, MB'),
        ('max-pixels', _count, 50_000_000, 'pixels of a photo'),
        ('max-frames', _count, 3000, 'frames of a video'),
        ('max-seconds', _positive, 600, 'time for one job'),
        ('max-jobs', _count, 100, 'jobs that are kept: waiting, running and finished'),
        ('max-disk-gb', _positive, 10, 'disk space of all jobs, GB'),
        ('keep-minutes', _positive, 60, 'how long a finished job is kept'),
    ):
        group.add_argument(
            f'--{name}', type=kind, default=default, metavar='N', help=f'{text} ({default})'
        )
    return parser.parse_args(argv)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e15:
        raise argparse.ArgumentTypeError(f'{text}: expected a number above 0')
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:16]) < 1e15):
        raise argparse.ArgumentTypeError(f'{text}: expected a whole number above 0')
    return int(text)


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
