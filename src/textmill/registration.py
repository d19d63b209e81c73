"""Lets ``transformers`` know our models after ``import textmill``, without importing it.

Registering a model needs its class, and that needs torch: seconds that a process which only reads
parameters should not pay. So the registration waits until somebody imports the module in which
``transformers`` keeps its Auto classes, and happens at once where that is already there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

AUTO_CLASSES = "transformers.models.auto.modeling_auto"
AUTO_CONFIG = "transformers.models.auto.configuration_auto"


def _register_configs() -> None:
    from textmill.models.configuration import CONFIGS

    auto_config = sys.modules[AUTO_CONFIG].AutoConfig
    for config in CONFIGS.values():
        auto_config.register(config.model_type, config, exist_ok=True)


def _register_models() -> None:
    from textmill.models.auto import register

    register()


AFTER = {AUTO_CONFIG: _register_configs, AUTO_CLASSES: _register_models}


class _Loader(Loader):
    """The module's own loader, and the registration after it."""

    def __init__(self, loader: Loader, name: str) -> None:
        self._loader = loader
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._loader, attribute)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does; None lets Python make it."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, then register what waits for it."""
        self._loader.exec_module(module)
        AFTER[self._name]()


class _Finder(MetaPathFinder):
    """Finds the modules of ``AFTER`` where Python does, and hands them over with our loader around theirs."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Python's own spec with our loader; None, which asks the next finder, for any other module."""
        if name not in AFTER:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, name)
        return spec


def install() -> None:
    """Register now what can be registered, and the rest as soon as its module is imported."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name, register in AFTER.items():
        if name in sys.modules:
            register()
