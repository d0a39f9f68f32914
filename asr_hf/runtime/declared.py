"""What classes say of themselves, in an attribute `needs`."""

from __future__ import annotations

from typing import TypeVar

from asr_hf.runtime.errors import InputError

NeedsT = TypeVar("NeedsT")


def declared(thing: object, default: NeedsT) -> NeedsT:
    """Return the attribute `needs` of a class or of an object of it.

    Args:
        thing: the class, or the object.
        default: what holds where the class has no such attribute.

    Raises:
        InputError: the attribute is of another type than the default.
    """
    needs: object = getattr(thing, "needs", default)
    if isinstance(needs, type(default)):
        return needs
    kind, owner = type(default), thing if isinstance(thing, type) else type(thing)
    raise InputError(
        f"{owner.__module__}.{owner.__qualname__}: its needs are {needs!r}",
        expected=f"needs = {kind.__name__}(...), a {kind.__module__}.{kind.__name__}",
        remedy="docs/your-classes.md has an example; without the attribute defaults hold",
    )
