"""Options are composed once by each of pytest's processes, and each file of ours is read once.

What Hydra makes of a file, and then throws away, is kept too.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from asr_hf.cli import compose
from asr_hf.cli.groups import config_dirs, key_of
from asr_hf.runtime.resources import conf_dir

_compose, _load = compose._compose, OmegaConf.load
_parse = ConfigRepository.load_config
_choices_for_references = defaults_list._create_interpolation_map
_trees: dict[tuple[Any, ...], bytes] = {}
_files: dict[str, bytes] = {}
_parsed: dict[str, bytes] = {}


def composed(overrides: list[str]) -> DictConfig:
    """Compose overrides as Hydra does: the options first, then the values that change them.

    The options are composed only where none of the same files were before.
    """
    folders = config_dirs(overrides)
    files = (conf_dir(), *(file for folder in folders[1:] for file in _contents(folder)))
    values = [o for o in overrides if not _chooses(o, folders)]
    options = [o for o in overrides if o not in values]
    try:
        parsed = OverridesParser.create().parse_overrides(values)
    except HydraException:
        return _compose(overrides)
    if any(override.is_sweep_override() for override in parsed):
        return _compose(overrides)
    tree = _kept((files, *options), options)
    ConfigLoaderImpl._apply_overrides_to_config(parsed, tree)
    return tree


def _contents(folder: Path) -> list[tuple[Path, bytes]]:
    """The files of a folder of one's own, which may change between two tests."""
    return [(path, path.read_bytes()) for path in sorted(folder.rglob("*.yaml"))]


def _chooses(override: str, folders: list[Path]) -> bool:
    """Whether an override may choose an option, or is about Hydra itself."""
    key = key_of(override)
    return key.startswith("hydra") or any((folder / key).is_dir() for folder in folders)


def _kept(key: tuple[Any, ...], options: list[str]) -> DictConfig:
    """Copy the tree that options gave before, or compose it."""
    if key not in _trees:
        _trees[key] = pickle.dumps(_compose(options))
    tree: DictConfig = pickle.loads(_trees[key])
    return tree


def loaded(file: Any) -> Any:
    """Read a file of the built-in tree, or copy what it held before."""
    name = str(getattr(file, "name", file))
    if not name.startswith(f"{conf_dir()}/"):
        return _load(file)
    if name not in _files:
        _files[name] = pickle.dumps(_load(file))
    return pickle.loads(_files[name])


def parsed(repository: ConfigRepository, config_path: str) -> ConfigResult | None:
    """Make a file of the built-in tree ready for Hydra, or copy what it was made into before."""
    source = repository._find_object_source(config_path, ObjectType.CONFIG)
    if source is None or source.path != str(conf_dir()):
        return _parse(repository, config_path)
    if config_path not in _parsed:
        _parsed[config_path] = pickle.dumps(_parse(repository, config_path))
    found: ConfigResult = pickle.loads(_parsed[config_path])
    return found


def choices(overrides: Any, defaults: list[Any], self_added: bool) -> DictConfig:
    """Collect what references in a list of defaults may name; mostly there are none."""
    if any(not one.is_self() and one.is_interpolation() for one in defaults):
        return _choices_for_references(overrides, defaults, self_added)
    return OmegaConf.create()


def use() -> None:
    """Have commands that run in this process compose so."""
    compose._compose = composed
    OmegaConf.load = staticmethod(loaded)
    ConfigRepository.load_config = parsed
    defaults_list._create_interpolation_map = choices
