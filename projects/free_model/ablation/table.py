# SPDX-License-Identifier: Apache-2.0
"""The table of the comparison, as Markdown and as numbers."""

import numpy as np

from projects.free_model.ablation.plainer import ADDITIONS
from projects.free_model.ablation.trial import Trial, Variant, verdict

REAL = 'real people'


def markdown(
    trial: Trial, fits: dict[str, Variant], groups: dict[str, list[str]]
) -> tuple[str, dict]:
    """The table, and the same as numbers.

    Args:
        trial: The comparison.
        fits: Name of a variant to its errors; ``'all'`` is what the others are compared with.
        groups: How real people are shown, to names of sources.

    Returns:
        Text: errors of ``'all'``, then how much each variant changes them, with one standard
        deviation; and name of a variant to name of a column to [change, deviation].
    """
    base = fits['all']
    columns = _columns(trial, groups)
    exact = {head: trial.mean(base.exact, names, error) for head, (error, names) in columns.items()}
    alone = {
        head: trial.by_keypoints(names)
        for head, (error, names) in columns.items()
        if error == 'beside'
    }
    lines = [
        '| left out | ' + ' | '.join(columns) + ' | verdict |',
        '|---' * (len(columns) + 2) + '|',
        '| nothing | ' + ' | '.join(f'{value:.1f}' for value in exact.values()) + ' | |',
    ]
    scores: dict = {'all': exact, 'key points alone': alone}
    for name, variant in fits.items():
        if name == 'all':
            continue
        changes = {
            head: trial.change(variant, base, names, error)
            for head, (error, names) in columns.items()
        }
        row = ' | '.join(f'{change:+.1f} ± {spread:.1f}' for change, spread in changes.values())
        looks = [REAL, *list(groups)[1:]]
        judged = verdict({look: changes[look] for look in looks})
        lines.append(f'| {ADDITIONS.get(name, "everything")} | {row} | {judged} |')
        scores[name] = {head: list(pair) for head, pair in changes.items()}
    lines += [f'{head}, key points alone: {value:.1f}' for head, value in alone.items()]
    return '\n'.join(lines), scores


def _columns(trial: Trial, groups: dict[str, list[str]]) -> dict[str, tuple[str, list[str]]]:
    """Head of a column to an error and names of sets."""
    drawn = [name for name in trial.sets if ', ' not in name]
    sets = {look: [f'{name}, {look}' for name in names] for look, names in groups.items()}
    real = next(iter(sets.values()), drawn)
    found = {REAL: ('map', real)}
    if len(real) > 1:
        found |= {name.split(', ')[0]: ('map', [name]) for name in real}
    found |= {look: ('map', names) for look, names in list(sets.items())[1:]}
    if groups:
        found['drawn'] = ('map', drawn)
    placed = [name for name in real if np.isfinite(trial.sets[name].places).any()]
    if placed:
        found['PCK@0.2'] = ('close', placed)
    found[f'{REAL}, beside key points'] = ('beside', real)
    return found
