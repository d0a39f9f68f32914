"""Numbers and strings inside an entry of queen.1c, each read only where the entry has them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from asr_hf.runtime.errors import InputError

# Entries begin with 20 bytes that name the kind of file; places are counted from behind them.
START = 20
# The remedy for a damaged file.
FETCH = "fetch the package flight-of-the-amazon-queen again"
_ENCODING = "latin-1"


@dataclass(frozen=True)
class Fields:
    """The content of an entry.

    Args:
        source: file and entry, for messages.
        content: bytes of the entry.
    """

    source: str
    content: bytes

    def numbers(self, at: int, count: int) -> tuple[int, ...]:
        """Read numbers of 16 bits with a sign, big-endian.

        Returns:
            The numbers.

        Raises:
            InputError: the entry ends before.
        """
        return self._unpack(f">{count}h", at)

    def places(self, at: int, count: int) -> tuple[int, ...]:
        """Read where parts of the entry begin, each given as 16 bits without a sign.

        Returns:
            Places from the beginning of the entry.

        Raises:
            InputError: the entry ends before.
        """
        return tuple(START + place for place in self._unpack(f">{count}H", at))

    def text(self, at: int, alignment: int) -> tuple[str, int]:
        """Read a string.

        Its first byte is its length. What follows a string that is not empty begins at a multiple
        of `alignment`.

        Returns:
            The string, and where what follows it begins.

        Raises:
            InputError: the entry ends before.
        """
        (size,) = self._unpack(">B", at)
        (string,) = self._unpack(f">{size}s", at + 1)
        end = at + 1 + size
        return string.decode(_ENCODING), end + (-end % alignment if size else 0)

    def _unpack(self, form: str, at: int) -> tuple[Any, ...]:
        size = struct.calcsize(form)
        if not 0 <= at <= len(self.content) - size:
            raise InputError(
                f"{self.source}: {size} bytes from {at} on",
                expected=f"a place within its {len(self.content)} bytes",
                remedy=FETCH,
            )
        return struct.unpack_from(form, self.content, at)
