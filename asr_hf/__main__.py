"""Run `python -m asr_hf` as `asr-hf`."""

from asr_hf.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
