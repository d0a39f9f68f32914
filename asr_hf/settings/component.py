"""A class that an option of a group names, with the settings that it is made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.settings.kinds import GROUP, shown
from asr_hf.settings.maker import MissingSetting

TARGET = "_target_"
# Makes the object that plain settings describe: their key, the settings, and more arguments.
Builder = Callable[[str, Mapping[str, Any], Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Component:
    """A class and the settings that it is made with.

    The class may be the user's own, so its settings are plain values and not a dataclass.

    Attributes:
        key: dotted key of the settings.
        tree: settings as plain values, with the full name of the class under `_target_`.
        builder: function that makes the object.
    """

    key: str
    tree: Mapping[str, Any]
    builder: Builder = field(repr=False, compare=False)

    @classmethod
    def of(cls, tree: Any, key: str, builder: Builder) -> Component:
        """Make a component from plain settings.

        Args:
            tree: settings with `_target_`.
            key: dotted key of the settings.
            builder: function that makes the object.

        Returns:
            The component.

        Raises:
            MissingSetting: the settings name no class.
            InputError: there are no settings.
        """
        if not isinstance(tree, Mapping):
            raise InputError(f"{key}: {shown(tree)} where {GROUP} belongs")
        if TARGET not in tree:
            raise MissingSetting(
                f"there is no {key}.{TARGET}",
                remedy=f"choose an option of {key}, or name a class",
            )
        return cls(key, tree, builder)

    @property
    def target(self) -> str:
        """The full name of the class."""
        return str(self.tree[TARGET])

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting, or `default` where it is not given."""
        return self.tree.get(name, default)

    def build(self, **more: Any) -> Any:
        """Make the object, or what makes it where its settings say `_partial_`.

        Args:
            more: further arguments of the class.

        Returns:
            The object.
        """
        return self.builder(self.key, self.tree, more)
