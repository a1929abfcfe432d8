"""Imports of a plugin: its files under a package name of its own, whatever way its modules import one another.

The real modules are `<package_name>.…`. The plugin's own name (`my_extractor.pipeline`) and bare siblings (`manifest`,
`processors.core`) are further names of the same modules, so a class exists once. Bare names are looked up after the
standard library and site-packages, and only for code of the plugin: no library ever gets a plugin's module by accident.
Folders are packages with and without `__init__.py`. Only `.py` files are code: no bytecode, no native module, nothing in a
zip.

Finders and loaders here have the methods of `importlib.abc` without its classes: importing those takes 12 ms at start.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import FrameType, ModuleType
from typing import Any


class PluginFileMissing(Exception):
    """The archive lacks a file that the plugin must have."""


class Plugin:
    """A plugin's directory, registered for import. Imports nothing of it by itself."""

    def __init__(self, path: str, name: str, package_name: str) -> None:
        self.path = os.path.abspath(path)
        self.name = name
        self.package_name = package_name
        _refuse_zipped_modules()
        # First for what is ours already, or Python's own finder would load it from the package's path a second time.
        sys.meta_path.insert(0, _OwnModules(self))
        sys.meta_path.append(_OtherNames(self))

    def has(self, module: str) -> bool:
        return self.locate(module) is not None

    def load(self, module: str) -> ModuleType:
        """`module` ("manifest", "processors.core") of the plugin. Raises PluginFileMissing, or what its code raises."""
        if not self.has(module):
            raise PluginFileMissing(f"The plugin has no {module.replace('.', '/')}.py.")
        return importlib.import_module(f"{self.package_name}.{module}")

    def owns(self, module_name: str | None) -> bool:
        """True for the real name of a module of this plugin."""
        return module_name is not None and (module_name + ".").startswith(self.package_name + ".")

    def locate(self, module: str) -> tuple[str | None, str | None] | None:
        """(source file, directory) of a dotted name inside the plugin ("" is its root); None when there is neither."""
        parts = module.split(".") if module else []
        if not all(part.isidentifier() for part in parts):
            return None
        base = os.path.join(self.path, *parts)
        if os.path.isdir(base) and os.path.isfile(os.path.join(base, "__init__.py")):
            return os.path.join(base, "__init__.py"), base
        if parts and os.path.isfile(base + ".py"):
            return base + ".py", None
        return (None, base) if os.path.isdir(base) else None


def _refuse_zipped_modules() -> None:
    """A zip on `sys.path`, perhaps inside another file of the plugin, would bring modules that no scan has read."""
    sys.path_hooks[:] = [hook for hook in sys.path_hooks if getattr(hook, "__module__", None) != "zipimport"]
    for path, finder in list(sys.path_importer_cache.items()):
        if type(finder).__module__ == "zipimport":
            del sys.path_importer_cache[path]


class _SourceOnly(SourceFileLoader):
    """What was scanned is what runs: bytecode beside the source is neither read nor written."""

    def path_stats(self, path: str) -> Any:
        raise OSError("bytecode is not used")


class _OneMoreName:
    """Gives a module that is imported under its real name a further name."""

    def __init__(self, real_name: str) -> None:
        self._real_name = real_name
        self._real_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._real_name)
        self._real_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just put this name's spec on the shared module.
        module.__spec__ = self._real_spec


class _OwnModules:
    """The real names, and submodules of packages that are known under another name."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        plugin = self._plugin
        if plugin.owns(fullname):
            return self._real_spec(fullname)
        parent, _, last = fullname.rpartition(".")
        module = sys.modules.get(parent) if parent else None
        real_parent = getattr(module, "__name__", None)
        if module is None or real_parent == parent or not plugin.owns(real_parent):
            return None
        real_name = f"{real_parent}.{last}"
        return _further_name(fullname, real_name, self._located(fullname, real_name))

    def _real_spec(self, fullname: str) -> ModuleSpec:
        file, directory = self._located(fullname, fullname)
        if file is None:
            folder = ModuleSpec(fullname, None, is_package=True)
            folder.submodule_search_locations = [directory or ""]
            return folder
        loader = _SourceOnly(fullname, file)
        spec = spec_from_file_location(
            fullname, file, loader=loader, submodule_search_locations=None if directory is None else [directory]
        )
        if spec is None:
            raise ImportError(f"{os.path.basename(file)} cannot be imported.", name=fullname)
        return spec

    def _located(self, fullname: str, real_name: str) -> tuple[str | None, str | None]:
        inside = real_name[len(self._plugin.package_name) + 1 :]
        located = self._plugin.locate(inside)
        if located is None:
            # Ends the search: Python's own finder would go on to bytecode and native modules in the same directory.
            raise ModuleNotFoundError(f"The plugin has no module {inside!r}.", name=fullname)
        return located


class _OtherNames:
    """The plugin's own name and its top-level siblings, for what nobody else could find."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        plugin = self._plugin
        if "." in fullname or not plugin.owns(_importing_module()):
            return None
        if fullname == plugin.name:
            return _further_name(fullname, plugin.package_name, plugin.locate(""))
        located = plugin.locate(fullname)
        return _further_name(fullname, f"{plugin.package_name}.{fullname}", located) if located else None


def _further_name(fullname: str, real_name: str, located: tuple[str | None, str | None] | None) -> ModuleSpec:
    loader: Any = _OneMoreName(real_name)
    return ModuleSpec(fullname, loader, is_package=located is not None and located[1] is not None)


def _importing_module() -> str | None:
    """Name of the module whose code asks for an import, below the frames of the import system."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if name != __name__ and not str(name).startswith("importlib"):
            return name if isinstance(name, str) else None
        frame = frame.f_back
    return None
