"""Sphinx's configuration of the site; scripts/site/assemble.py lays it beside the pages."""

import asr_hf

project = "asr-hf"
author = "the asr-hf developers"
release = asr_hf.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "asr-hf"
html_static_path = ["static"]
html_css_files = ["site.css"]
# Blocks that name no language are commands and what they print.
highlight_language = "none"
exclude_patterns = ["files"]
# Headings are addressed as GitHub addresses them.
myst_heading_anchors = 4
autodoc_typehints = "description"
autodoc_member_order = "bysource"
nitpicky = False
