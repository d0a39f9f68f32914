"""The `asr-hf` command: finds the verb, runs it, turns errors into messages and exit codes."""

from __future__ import annotations

import difflib
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence

from asr_hf import __version__
from asr_hf.cli.verbs import VERBS
from asr_hf.runtime.errors import AsrHfError, InputError
from asr_hf.runtime.interruption import (
    Interrupted,
    Interruption,
    ignore_signals,
    interrupted,
    say_nothing_of_interrupts,
)

USAGE = """\
asr-hf - Hessian-free training of DNN-HMM acoustic models

usage: asr-hf VERB [+recipe=NAME] [group=OPTION ...] [key=value ...]

{verbs}

options:
  --help        this page; after a verb, that verb's page
  --version     print the version
  --debug       show tracebacks and debug messages

a first run, on 24 minutes of English voice prompts:
  asr-hf prepare  +recipe=prompts
  asr-hf features +recipe=prompts
  asr-hf align    +recipe=prompts
  asr-hf train    +recipe=prompts name=first
  asr-hf decode   +recipe=prompts name=first
  asr-hf score    +recipe=prompts name=first

a sweep over two groups:
  asr-hf train -m +recipe=prompts preconditioner=identity,lbfgs sampling=fixed,geometric
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: verb and arguments; by default this process's, of which signals are then taken until
            it ends.

    Returns:
        The exit code: 0, 1 for a failure, 2 for bad input or configuration, 75 after SIGTERM or
        SIGUSR1, and 130 after Ctrl-C.
    """
    if argv is None:
        Interruption().__enter__()
        return _settled(_whole_process)
    with Interruption():
        return _run(list(argv))


def _whole_process() -> int:
    from asr_hf.runtime.children import LAUNCHER, die_with

    say_nothing_of_interrupts()
    if LAUNCHER in os.environ:
        die_with(int(os.environ[LAUNCHER]))
    # A terminal that cannot show λ or ρ gets a question mark, not an error.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    _distrust_working_folder()
    return _run(sys.argv[1:])


def _settled(work: Callable[[], int]) -> int:
    """The exit code of some work, after which signals change nothing any more."""
    try:
        code = work()
        ignore_signals()
    except SystemExit as left:
        # Another process of the run has said why.
        ignore_signals()
        code = left.code if isinstance(left.code, int) else 1
    except Interrupted as error:
        # At the very beginning, or when the error was being told.
        ignore_signals()
        code = _report(error, error.exit_code, debug=False)
    # A second Ctrl-C ends a process that hangs, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return code


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        return _dispatch(arguments, debug)
    except Interrupted as error:
        return _report(error, error.exit_code, debug)
    except KeyboardInterrupt:
        print("asr-hf: interrupted; the same command continues", file=sys.stderr)
        return 130
    except Exception as error:
        if (name := Interruption.raised) is not None:
            # A library that the signal came upon made another error of it.
            return _report(interrupted(name), Interrupted.exit_code, debug)
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        return _report(error, error.exit_code if isinstance(error, AsrHfError) else 1, debug)


def _distrust_working_folder() -> None:
    """Let Python processes that this one starts import nothing from the folder it was started in.

    They would look there first, and it may be a stranger's. `python -m asr_hf` was asked to.
    """
    if not {"", os.getcwd()} & set(sys.path):
        os.environ.setdefault("PYTHONSAFEPATH", "1")


def _dispatch(arguments: list[str], debug: bool) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        verbs = "\n".join(f"  {verb:<12}{what}" for verb, what in VERBS.items())
        print(USAGE.format(verbs=verbs))
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"asr-hf {__version__}")
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        raise InputError(
            f"there is no verb {verb!r}",
            expected=f"one of {', '.join(VERBS)}",
            remedy=f"did you mean {near[0]!r}?" if near else "asr-hf --help explains them",
        )
    module = importlib.import_module(f"asr_hf.cli.{verb}")
    if "--help" in rest or "-h" in rest:
        from asr_hf.cli.help import verb_help

        print(verb_help(verb, VERBS[verb], module.__doc__ or ""))
        return 0
    from asr_hf.runtime.logs import configure_logging

    configure_logging(debug)
    if verb != "train" and {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        from asr_hf.cli.processes import run_with_helpers

        run_with_helpers(module.run, rest)
    else:
        module.run(rest)
    return 0


def _report(error: BaseException, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
        return code
    ours = isinstance(error, AsrHfError | Interrupted)
    name = "" if ours else f"{type(error).__name__}: "
    print(f"asr-hf: error: {name}{error}", file=sys.stderr)
    if not ours:
        print("  remedy:   --debug shows where it happened", file=sys.stderr)
    return code
