# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have in common."""

from fastmetro_mm.engine.cli import Options, count


def add_network(parser: Options) -> None:
    """Which network, where and how: ``fastmetro demo`` and ``serve``."""
    parser.add_argument(
        '--model',
        help='name of a network (`fastmetro models` lists them), folder '
        'of a saved one, or path of a config (default: open_body, the shipped one; '
        'with --weights: the config of a released file, else quickstart)',
    )
    parser.add_argument(
        '--weights',
        help='checkpoint (.pth) or released file (.bin) (default: '
        'those of the name; a config without any is untrained)',
    )
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    parser.add_argument(
        '--speed',
        choices=['exact', 'fast'],
        default='exact',
        help='exact: crops and numbers of the official code; fast: half precision',
    )
    parser.add_argument('--batch-size', type=count, default=16, help='people at once (default: 16)')


def add_detector(parser: Options) -> None:
    """What finds people: ``fastmetro demo`` and ``serve``."""
    parser.add_argument(
        '--detector',
        default='free',
        help='free (the one inside the package), none (the whole image is one '
        'crop), rtmdet, or the path of an mmdet config (default: free, or rtmdet '
        'if --detector-weights is given)',
    )
    parser.add_argument('--detector-weights', help='weights of the detector')


def add_renderer(parser: Options) -> None:
    """What draws: ``fastmetro demo`` and ``serve``."""
    parser.add_argument(
        '--renderer',
        choices=['auto', 'pyrender', 'software'],
        default='auto',
        help='what draws overlays; software needs no OpenGL (default: auto)',
    )


def add_scene(parser: Options) -> None:
    """What is done to people before they are written: ``fastmetro demo`` and ``export``."""
    parser.add_argument(
        '--lod',
        type=int,
        metavar='VERTICES',
        help='vertices of the meshes in obj, ply, glb, html and rrd: 6890, 1723 or 431; hands '
        '778 or 195 (default: all)',
    )
    parser.add_argument(
        '--floor',
        action='store_true',
        help='smpl, bvh, amass and moving glb of a camera that does not move: gravity down, '
        'people on one floor at height 0',
    )
    parser.add_argument(
        '--foot-lock',
        action='store_true',
        help='with --floor: feet that touch it stand still; says how far the bodies were moved',
    )
