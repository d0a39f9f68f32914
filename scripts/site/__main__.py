"""Build the site: `make docs`, or python -m scripts.site [folder]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.site.assemble import assemble

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Lay the pages out and let Sphinx build them; any warning is an error."""
    parser = argparse.ArgumentParser(prog="make docs", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "build/site")
    out = parser.parse_args().out
    sources = out.with_name(f"{out.name}-sources")
    assemble(ROOT, sources)
    from sphinx.cmd.build import build_main

    code = build_main(["-q", "-W", "--keep-going", "-b", "html", str(sources), str(out)])
    if code == 0:
        print(f"the site: {out / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
