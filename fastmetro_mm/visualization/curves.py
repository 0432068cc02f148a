# SPDX-License-Identifier: Apache-2.0
"""Loss and metric curves from the scalars that mmengine logs (``vis_data/scalars.json``)."""

import json
import math
import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from fastmetro_mm.errors import InputError, MissingFileError
from fastmetro_mm.fileio import write_atomically

NOT_CURVES = ('iter', 'epoch', 'step', 'time', 'data_time', 'memory')


def read_scalars(source: str | os.PathLike) -> list[dict[str, Any]]:
    """Logged scalars of one run, or of all runs in a work directory (a resumed training).

    Args:
        source: A scalars file of mmengine (one JSON object a line) or a work directory.

    Returns:
        Records in the order they were logged; a later run replaces the steps it repeats.

    Raises:
        FileNotFoundError: If there is no such file, or none in the directory.
        ValueError: If a line is not a JSON object, unless it is the last of a running training.
    """
    source = Path(source)
    files = [source]
    if source.is_dir():
        files = sorted(source.glob('**/vis_data/scalars.json'))
    if not files or not files[0].is_file():
        raise MissingFileError(
            f'{source}: no scalars found; give a work directory in which a training has logged, or '
            'a vis_data/scalars.json'
        )
    records: dict[tuple, dict[str, Any]] = {}
    for file in files:
        lines = file.read_text(encoding='utf-8').splitlines()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                if number == len(lines):
                    break  # being written right now
                raise InputError(f'{file}, line {number}: not JSON ({error})') from error
            if not isinstance(record, dict):
                raise InputError(f'{file}, line {number}: expected a JSON object, got {line[:40]}')
            kind = 'train' if 'iter' in record else 'val'
            # Repeated after a resume: the newer value counts, at its place in time.
            records[kind, record.get('step', record.get('iter'))] = record
    return sorted(records.values(), key=lambda record: record.get('step', record.get('iter', 0)))


def curves_of(records: Sequence[dict[str, Any]]) -> dict[str, tuple[list[float], list[float]]]:
    """Curve of every logged number.

    Args:
        records: Records of :func:`read_scalars`.

    Returns:
        Name -> steps and values. Training is counted in iterations, validation in what mmengine
        gives as its step (epochs, or iterations in iteration-based training).
    """
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for record in records:
        step = record.get('iter', record.get('step'))
        for name, value in record.items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if name in NOT_CURVES or step is None or not is_number or not math.isfinite(value):
                continue
            steps, values = curves.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)
    return curves


def plot_curves(
    source: str | os.PathLike,
    out_file: str | os.PathLike,
    names: Sequence[str] | None = None,
    title: str = '',
) -> Path:
    """Plot curves of a run, one panel a number, into a PNG (or what the ending says).

    Args:
        source: A scalars file of mmengine or a work directory.
        out_file: Image file to write.
        names: Numbers to plot; the losses, the metrics and the learning rate if not given.
        title: Line above the panels.

    Returns:
        The file written.

    Raises:
        FileNotFoundError: If nothing was logged there.
    """
    records = read_scalars(source)
    curves = curves_of(records)
    training = {name for record in records if 'iter' in record for name in record}
    if names is None:
        losses = [name for name in curves if 'loss' in name]
        metrics = [name for name in curves if name not in training]
        names = [*losses, *metrics, *[name for name in ('lr',) if name in curves]]
    missing = [name for name in names if name not in curves]
    if missing or not names:
        raise InputError(
            f'{source}: {", ".join(missing) or "nothing to plot"} not logged; there are '
            f'{", ".join(curves) or "no numbers"}'
        )

    # Imported here so that importing the package stays light; Agg needs no screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows + 0.3), layout='constrained')
    FigureCanvasAgg(figure)
    for index, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, index + 1)
        steps, values = curves[name]
        marker = 'o' if len(steps) < 40 else None
        axes.plot(steps, values, linewidth=1.2, marker=marker, markersize=3)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel('iteration' if name in training else 'validation', fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    if title:
        figure.suptitle(title)
    out_file = Path(out_file)
    buffer = BytesIO()
    figure.savefig(buffer, format=out_file.suffix.lstrip('.') or 'png', dpi=110)
    write_atomically(out_file, buffer.getvalue())
    return out_file
