"""Logging to standard error, in lines that leave progress bars whole."""

from __future__ import annotations

import logging
import sys

from tqdm import tqdm


class _BesideBars(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def configure_logging(debug: bool) -> None:
    """Send log lines to standard error: all of asr-hf's, and the warnings of libraries.

    Args:
        debug: whether asr-hf's debug messages are logged as well.
    """
    handler = _BesideBars()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("asr_hf").setLevel(logging.DEBUG if debug else logging.INFO)
    logging.captureWarnings(True)


def be_silent() -> None:
    """Log nothing more and show no progress bars: the first rank does."""
    logging.disable(logging.CRITICAL)
