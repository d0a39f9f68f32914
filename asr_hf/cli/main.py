"""The `asr-hf` command: runs a verb, and turns errors into messages and exit codes."""

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
asr-hf - trains acoustic models for speech recognition by Hessian-free optimisation

usage: asr-hf VERB [+recipe=NAME] [group=OPTION ...] [key=value ...]

a first run, on 24 minutes of English voice prompts (three to four minutes on two cores):
  asr-hf prepare  +recipe=prompts
  asr-hf features +recipe=prompts
  asr-hf align    +recipe=prompts
  asr-hf train    +recipe=prompts name=first +preset=kfac
  asr-hf decode   exp/first
  asr-hf score    exp/first

verbs (asr-hf VERB --help explains each):
{verbs}

options:
  --help        this page; after a verb, that verb's page
  --version     print the version
  --debug       show tracebacks and debug messages

a sweep over two groups:
  asr-hf train -m +recipe=prompts preconditioner=identity,lbfgs sampling=fixed,geometric
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: verb and arguments; None takes those of this process, and then handles signals until
            the process ends.

    Returns:
        Exit code: 0 for success, 1 for a failure, 2 for bad input or configuration, 75 after
        SIGTERM or SIGUSR1, and 130 after Ctrl-C.
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
    """Do some work, ignore signals from then on, and return its exit code."""
    try:
        code = work()
        ignore_signals()
    except SystemExit as ending:
        # Another process of the run has reported the failure.
        ignore_signals()
        code = ending.code if isinstance(ending.code, int) else 1
    except Interrupted as error:
        # The signal came before the command began, or while an error was reported.
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
            # A library turned the exception that a signal raised in it into an error of its own.
            return _report(interrupted(name), Interrupted.exit_code, debug)
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        return _report(error, error.exit_code if isinstance(error, AsrHfError) else 1, debug)


def _distrust_working_folder() -> None:
    """Keep Python processes that this one starts from importing from the working folder.

    They would look there first, and the folder may hold a stranger's files. Where the command is
    `python -m asr_hf`, the user has asked for imports from there, and they stay.
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
