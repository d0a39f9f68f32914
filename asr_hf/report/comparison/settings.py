"""The settings in which runs differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from asr_hf.report.comparison.runs import ComparedRun
from asr_hf.report.run_data import RunData
from asr_hf.report.settings import shown, unused_groups
from asr_hf.runtime.run_folder import flattened

_CLASS = "._target_"
# What differs between any two runs, or belongs to no run: names and folders.
_OWN = ("name", "run_dir", "command", "paths", "export")


def differing_settings(runs: Sequence[ComparedRun]) -> dict[str, dict[str, Any]]:
    """Return the settings that are not the same in all runs with a configuration.

    Left out are groups that a run's optimiser makes no use of, the trainer's copies of the groups
    solver, preconditioner and so on, and settings that some runs lack because they have another
    class there, which is listed.

    Args:
        runs: the runs.

    Returns:
        The values by whole key, and by label of the run. A run without the setting has no entry.
    """
    settings = {run.label: _settings(run.data) for run in runs if run.data.config}
    keys = dict.fromkeys(key for values in settings.values() for key in values)
    values = {key: {n: s[key] for n, s in settings.items() if key in s} for key in keys}
    classes = {
        key.removesuffix(_CLASS)
        for key, by_run in values.items()
        if key.endswith(_CLASS) and _differs(by_run, len(settings))
    }
    return {
        key: by_run
        for key, by_run in values.items()
        if _differs(by_run, len(by_run) if _below(key, classes) else len(settings))
    }


def _below(key: str, classes: Collection[str]) -> bool:
    """Return whether a key is a setting of one of the groups whose class differs."""
    # The class of a group is a setting of the group above.
    group = key.removesuffix(_CLASS).rpartition(".")[0]
    return any(f"{group}.".startswith(f"{one}.") for one in classes)


def _differs(by_run: Mapping[str, Any], count: int) -> bool:
    """Return whether values differ, or fewer than `count` runs have one."""
    values = list(by_run.values())
    return len(values) < count or any(_other(value, values[0]) for value in values)


def _other(value: Any, first: Any) -> bool:
    # 1 == True, but not as a setting.
    return bool(value != first) or isinstance(value, bool) != isinstance(first, bool)


def _settings(run: RunData) -> dict[str, Any]:
    left_out = {*_OWN, *(unused_groups(run) if run.optimiser else ())}
    tree = {key: value for key, value in run.config.items() if key not in left_out}
    if isinstance(trainer := tree.get("trainer"), dict):
        groups = {key for key, value in run.config.items() if isinstance(value, dict)}
        tree["trainer"] = {key: value for key, value in trainer.items() if key not in groups}
    return flattened(tree, keep_all=True)


def shown_setting(key: str, value: Any) -> tuple[str, str]:
    """Return key and value of a setting as tables show them: of a class its group and its name."""
    if key.endswith(_CLASS):
        return key.removesuffix(_CLASS), shown(value).rpartition(".")[2]
    return key, shown(value)
