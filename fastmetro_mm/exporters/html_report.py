# SPDX-License-Identifier: Apache-2.0
"""Results as one HTML file: images, a scene that can be turned, and a table of the people.

The file holds everything it shows and loads nothing (a content security policy forbids it), so
it can be mailed, archived and opened without a network. The scene is drawn with WebGL, or on a
plain canvas where there is none.
"""

import base64
import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters import html_viewer
from fastmetro_mm.exporters.html_page import PAGE, SCRIPT, STYLE
from fastmetro_mm.exporters.scene import AXES, check_ending, frame_meshes, mean_color, person_names
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.result_marks import MARK
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.frame_drawing import draw_frame
from fastmetro_mm.visualization.render_types import Renderer, RenderMesh
from fastmetro_mm.visualization.renderer_factory import build_renderer

JPEG_QUALITY = 88
LARGEST_MESH = 65536
"""Vertices a mesh of the viewer may have: indices are 16 bits wide."""


@dataclass
class ReportFrame:
    """What the report shows of one image or frame.

    Args:
        title: Heading, for instance the file name.
        images: Caption and RGB image (H, W, 3) uint8, in order.
        meshes: People in the camera frame; a mesh coloured by vertex shows its mean colour.
        rows: One row of the table a mesh: column to text. The first row names the columns.
    """

    title: str
    images: list[tuple[str, np.ndarray]] = field(default_factory=list)
    meshes: list[RenderMesh] = field(default_factory=list)
    rows: list[Mapping[str, str]] = field(default_factory=list)


def report_frame(
    frame: FrameResult,
    images: Sequence[tuple[str, np.ndarray]] | None = None,
    title: str | None = None,
    renderer: Renderer | None = None,
    lod: int | None = None,
) -> ReportFrame:
    """Report entry of a result.

    Args:
        frame: The result. People without a place in the scene are left out.
        images: Caption and RGB image. If None and the frame still has its image, an overlay
            is drawn and the input shown below it.
        title: Heading; made from file name and frame number if not given.
        renderer: What draws the overlay; chosen automatically if None.
        lod: Vertices of the meshes, see ``scene.frame_meshes``.

    Returns:
        The entry.
    """
    if images is None and frame.image is not None:
        overlay = draw_frame(frame, renderer or build_renderer('auto'))
        images = [('Overlay', overlay), ('Input', frame.image)]
    images = list(images or [])
    if title is None:
        name = Path(frame.image_path).name if frame.image_path else 'Image'
        name = os.fsencode(name).decode('utf-8', 'replace')  # names may hold any bytes
        title = f'{name}, frame {frame.frame_index}' if frame.frame_index else name
    placed = [person for person in frame.people if person.is_placed]
    rows = []
    for name, person in zip(person_names(frame), placed, strict=True):
        x, y, z = person.translation
        left, top, right, bottom = person.bbox
        extent = np.ptp(person.vertices, axis=0)
        rows.append({
            'Person': name,
            'Score': f'{person.bbox_score:.2f}',
            'Box (px)': f'{left:.0f}, {top:.0f} to {right:.0f}, {bottom:.0f}',
            'Place x, y, z (m)': f'{x:.2f}, {y:.2f}, {z:.2f}',
            'Size x, y, z (m)': ', '.join(f'{side:.2f}' for side in extent),
        })  # fmt: skip
    return ReportFrame(title, images, frame_meshes(frame, lod=lod), rows)


def write_html_report(
    path: str | os.PathLike, frames: Sequence[ReportFrame | FrameResult], title: str = 'Meshes'
) -> Path:
    """Write the report.

    A person takes about 110 kB, its faces another 110 kB once a file; images are JPEG.

    Args:
        path: File to write, ending in ``.html``.
        frames: What to show, results as :func:`report_frame` shows them; with more than one a
            slider chooses.
        title: Title of the page.

    Returns:
        The path.

    Raises:
        ExportError: No frames, another ending, an image or mesh the page cannot hold, or rows
            that do not fit the meshes.
        OSError: The file cannot be written.
    """
    path = check_ending(path, '.html', '.htm')
    if not frames:
        raise ExportError('nothing to report: give at least one frame')
    frames = [report_frame(f) if isinstance(f, FrameResult) else f for f in frames]
    faces: dict[bytes, int] = {}
    data = [{'people': [_person(mesh, faces) for mesh in frame.meshes]} for frame in frames]
    content = {'faces': [_encode(raw) for raw in faces], 'frames': data}
    text = PAGE.format(
        title=html.escape(title),
        mark=MARK,
        style=STYLE + html_viewer.STYLE,
        script=html_viewer.VIEWER + SCRIPT,
        count=len(frames),
        last=len(frames) - 1,
        chooser_hidden=' hidden' if len(frames) == 1 else '',
        frames='\n'.join(_article(number, frame) for number, frame in enumerate(frames)),
        # '<' could end the script element
        data=json.dumps(content, separators=(',', ':')).replace('<', '\\u003c'),
    )
    return write_atomically(path, text.encode())


def _person(mesh: RenderMesh, faces: dict[bytes, int]) -> dict:
    if len(mesh.vertices) > LARGEST_MESH:
        raise ExportError(
            f'a mesh has {len(mesh.vertices)} vertices, the viewer of the report takes '
            f'{LARGEST_MESH}: export it as .glb'
        )
    corners = mesh.faces.astype('<u2').tobytes()
    return {
        'vertices': _encode((mesh.vertices @ AXES['y_up'].T).astype('<f4').tobytes()),
        'faces': faces.setdefault(corners, len(faces)),  # people share them
        'color': [round(float(part), 4) for part in mean_color(mesh)],
    }


def _article(number: int, frame: ReportFrame) -> str:
    """Images and table of one frame."""
    if len(frame.rows) != len(frame.meshes):
        raise ExportError(
            f'{frame.title}: {len(frame.rows)} rows for {len(frame.meshes)} meshes: give one each'
        )
    parts = [f'<article id="frame_{number}"{" hidden" if number else ""}>']
    parts.append(f'<h2>{html.escape(frame.title)}</h2>')
    for caption, image in frame.images:
        text = html.escape(caption)
        parts.append(
            f'<figure><img alt="{text}" src="data:image/jpeg;base64,{_jpeg(caption, image)}">'
            f'<figcaption>{text}</figcaption></figure>'
        )
    parts.append(_table(frame) if frame.rows else '<p>No people.</p>')
    parts.append('</article>')
    return '\n'.join(parts)


def _table(frame: ReportFrame) -> str:
    columns = list(frame.rows[0])
    head = ''.join(f'<th>{html.escape(column)}</th>' for column in ['Show', *columns])
    lines = []
    for number, (row, mesh) in enumerate(zip(frame.rows, frame.meshes, strict=True)):
        shade = ','.join(str(round(float(part) * 255)) for part in mean_color(mesh))
        cells = ''.join(f'<td>{html.escape(str(row.get(c, "")))}</td>' for c in columns)
        lines.append(
            f'<tr><td><label><input type="checkbox" checked data-person="{number}" '
            f'aria-label="show person {number}"> <span class="chip" '
            f'style="background:rgb({shade})"></span></label></td>{cells}</tr>'
        )
    return (
        f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>'
        + '\n'.join(lines)
        + '</tbody></table></div>'
    )


def _jpeg(caption: str, image: np.ndarray) -> str:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ExportError(
            f'image {caption!r} is {image.dtype} {image.shape}: pass uint8 (H, W, 3) RGB'
        )
    flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    done, data = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]), flags)
    if not done:
        raise ExportError(f'image {caption!r} of shape {image.shape} cannot be encoded')
    return _encode(data.tobytes())


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode('ascii')
