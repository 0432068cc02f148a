# SPDX-License-Identifier: Apache-2.0
"""The report of a test as one HTML file: tables, and images of the worst."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fastmetro_mm.fileio import write_atomically

_STYLE = """body{font:15px/1.5 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}
table{border-collapse:collapse;margin:0 0 1.5em}td,th{padding:.15em .8em;text-align:right}
td:first-child,th:first-child{text-align:left}thead{border-bottom:1px solid}
figure{display:inline-block;margin:.4em;max-width:31%}img{max-width:100%}
figcaption{font-size:12px}meter{width:9em}"""


def write_report_page(
    path: str | Path,
    title: str,
    report: Mapping[str, Any],
    images: Sequence[tuple[str, np.ndarray]] = (),
) -> Path:
    """Write the page. It holds everything it shows and loads nothing.

    Args:
        path: File to write.
        title: Heading.
        report: What ``AttributeReport`` wrote.
        images: Caption and RGB image (H, W, 3) uint8 of the worst.
    """
    everybody, joints = report['everybody'], report['joints']
    tables = [('All', everybody), ('By joint', joints)]
    tables += [(f'By {name}', rows) for name, rows in report['attributes'].items()]
    most = max((row['PA-MPJPE'] or 0 for _, rows in tables for row in rows), default=0)
    parts = [f'<h2>{html.escape(name)}</h2>{_table(rows, most)}' for name, rows in tables]
    figures = ''.join(
        f'<figure><img alt="" src="data:image/jpeg;base64,{_jpeg(image)}">'
        f'<figcaption>{html.escape(caption)}</figcaption></figure>'
        for caption, image in images
    )
    if figures:
        parts.append(f'<h2>The worst</h2><p>Truth and prediction.</p>{figures}')
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv='
        '"Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        f"style-src 'unsafe-inline'\"><title>{html.escape(title)}</title>"
        f'<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>'
        '<p>Millimetres. MPJPE: centred on the middle of the hips (hands: the wrist); PA-MPJPE: '
        'after the best similarity.</p>' + ''.join(parts) + '</body></html>\n'
    )
    return write_atomically(path, page.encode())


def read_report(path: str | Path) -> dict[str, Any]:
    """Read ``report.json``."""
    return json.loads(Path(path).read_text(encoding='utf-8'))


def _table(rows: Sequence[Mapping[str, Any]], most: float) -> str:
    body = ''.join(
        f'<tr><td>{html.escape(row["name"])}</td><td>{row["count"]}</td>'
        f'<td>{_shown(row["MPJPE"])}</td><td>{_shown(row["PA-MPJPE"])}</td>'
        f'<td><meter max="{most:.1f}" value="{row["PA-MPJPE"] or 0:.1f}"></meter></td></tr>'
        for row in rows
    )
    head = ''.join(f'<th>{name}</th>' for name in ('', 'people', 'MPJPE', 'PA-MPJPE', ''))
    return f'<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _shown(value: float | None) -> str:
    return 'not a number' if value is None else f'{value:.1f}'


def _jpeg(image: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode('.jpg', image[..., ::-1])[1].tobytes()).decode()
