# SPDX-License-Identifier: Apache-2.0
"""The table of the comparison, as Markdown and as numbers."""

import numpy as np

from projects.free_model.ablation.plainer import ADDITIONS
from projects.free_model.ablation.trial import Trial, Variant, verdict

COLUMNS = {'map': 'maps alone', 'beside': 'beside the key points', 'close': 'PCK@0.2 by maps'}


def markdown(trial: Trial, fits: dict[str, Variant], judges: list[str]) -> tuple[str, dict]:
    """The table, and the same as numbers.

    Args:
        trial: The comparison.
        fits: Name of a variant to its errors; ``'all'`` is what the others are compared with.
        judges: Names of the sets that decide: the real ones.

    Returns:
        Text: errors of ``'all'``, then how much each variant changes them, with one standard
        deviation; and name of a variant to name of a column to [change, deviation].
    """
    base, sets = fits['all'], list(trial.sets)
    cells = [('map', [name]) for name in sets] + [('beside', judges)]
    if len(judges) > 1:
        cells.insert(len(judges), ('map', judges))
    if placed := [name for name in judges if np.isfinite(trial.sets[name].places).any()]:
        cells.append(('close', placed))
    heads = [
        f'{names[0] if len(names) == 1 else "mean of real sets"}, {COLUMNS[error]}'
        for error, names in cells
    ]
    lines = [
        '| left out | ' + ' | '.join(heads) + ' | verdict |',
        '|---' * (len(heads) + 2) + '|',
        '| nothing | '
        + ' | '.join(f'{trial.mean(base.exact, names, error):.1f}' for error, names in cells)
        + ' | |',
    ]
    scores: dict = {
        'all': {h: trial.mean(base.exact, n, e) for h, (e, n) in zip(heads, cells, strict=True)}
    }
    for name, variant in fits.items():
        if name == 'all':
            continue
        changes = {
            head: trial.change(variant, base, names, error)
            for head, (error, names) in zip(heads, cells, strict=True)
        }
        judged = trial.change(variant, base, judges, 'map')
        row = ' | '.join(f'{change:+.1f} ± {spread:.1f}' for change, spread in changes.values())
        lines.append(f'| {ADDITIONS.get(name, "everything")} | {row} | {verdict(*judged)} |')
        scores[name] = {head: list(pair) for head, pair in changes.items()}
    return '\n'.join(lines), scores
