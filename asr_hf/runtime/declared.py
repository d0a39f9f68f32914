"""The attribute `needs`, by which a class declares what it needs."""

from __future__ import annotations

from typing import TypeVar

from asr_hf.runtime.errors import InputError

NeedsT = TypeVar("NeedsT")


def declared(declarer: object, default: NeedsT) -> NeedsT:
    """Return the attribute `needs` of a class or of an object of it.

    Args:
        declarer: class, or an object of it.
        default: value that holds where the class has no such attribute.

    Raises:
        InputError: the attribute is not of the default's type.
    """
    needs: object = getattr(declarer, "needs", default)
    if isinstance(needs, type(default)):
        return needs
    kind, cls = type(default), declarer if isinstance(declarer, type) else type(declarer)
    raise InputError(
        f"{cls.__module__}.{cls.__qualname__}: its needs are {needs!r}",
        expected=f"needs = {kind.__name__}(...), a {kind.__module__}.{kind.__name__}",
        remedy="docs/your-classes.md has an example; without the attribute defaults hold",
    )
