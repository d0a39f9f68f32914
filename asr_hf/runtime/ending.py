"""How commands beside asr-hf itself end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from asr_hf.runtime.errors import AsrHfError

Given = ParamSpec("Given")


def with_exit_code(main: Callable[Given, None]) -> Callable[Given, int]:
    """Make a command return its exit code: 0, or that of an error, which is told on stderr.

    Args:
        main: the command.

    Returns:
        The command with an exit code.
    """

    @wraps(main)
    def command(*given: Given.args, **named: Given.kwargs) -> int:
        try:
            main(*given, **named)
        except AsrHfError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        return 0

    return command
