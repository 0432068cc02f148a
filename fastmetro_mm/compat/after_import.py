# SPDX-License-Identifier: Apache-2.0
"""Calls a function as soon as a module of somebody else has been imported.

Importing ``fastmetro_mm`` must not import mmpose and torch (seconds), yet things have to be done to
mmpose and mmengine before their first user sees them. A function registered here runs at the end of
the module's own import, or at once if the module is there already.
"""

import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

_actions: dict[str, list[Callable[[ModuleType], None]]] = {}


class _ActionFinder:
    """Import hook that adds the actions to the ordinary loader of a watched module."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The ordinary spec, whose loader runs the actions; None to stay out of the way."""
        if fullname not in _actions:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_act(module: ModuleType) -> None:
            load(module)
            for action in _actions[fullname]:
                action(module)

        # the loader of this one spec, so that its other methods (source, resources) stay
        spec.loader.exec_module = load_and_act
        return spec


def after_import(name: str, action: Callable[[ModuleType], None]) -> None:
    """Run ``action(module)`` once the module ``name`` has been imported; at once if it has been.

    Args:
        name: Full name of a module that lies in a file.
        action: Called with the module. Must be cheap, and must bear that the packages above the
            module are not imported to their end.
    """
    actions = _actions.setdefault(name, [])
    if action in actions:
        return
    actions.append(action)
    if not any(isinstance(finder, _ActionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ActionFinder())
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, '_initializing', False):
        action(module)
