"""Options of verbs that have such beside overrides."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from asr_hf.runtime.errors import InputError

# The long and the short name of an option that may be given several times.
CONFIG_DIR = dict.fromkeys(("--config-dir", "-cd"), "a folder with groups of your own")


def split_options(
    verb: str,
    arguments: Sequence[str],
    known: Mapping[str, str | Sequence[str]],
) -> tuple[dict[str, str], list[str], list[str]]:
    """Part `--option value` and `--option=value` from other arguments.

    Args:
        verb: verb, for messages.
        arguments: arguments of the verb.
        known: what each option takes: the values that it may have, or words that describe them;
            with `CONFIG_DIR` among them, if the verb takes folders of configuration.

    Returns:
        The options given; the folders of configuration, each behind its option; and the other
        arguments in their order, of which a single "-" is one.

    Raises:
        InputError: there is no such option, or it has another value.
    """
    options: dict[str, str] = {}
    folders, others, rest = [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-") or argument == "-":
            others.append(argument)
            continue
        option, equals, value = argument.partition("=")
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            raise InputError(
                f"asr-hf {verb}: there is no option {option}",
                expected=f"one of {', '.join(known)}",
                remedy=f"did you mean {near[0]}?" if near else f"asr-hf {verb} --help",
            )
        if not equals:
            value = rest.pop(0) if rest else ""
        wanted = known[option]
        if not value or not (isinstance(wanted, str) or value in wanted):
            raise InputError(
                f"asr-hf {verb}: {option} {value}".rstrip(),
                expected=wanted if isinstance(wanted, str) else f"one of {', '.join(wanted)}",
            )
        if option in CONFIG_DIR:
            folders += [option, value]
        else:
            options[option] = value
    return options, folders, others
