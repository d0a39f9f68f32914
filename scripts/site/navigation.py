"""Which pages the site has, and in which order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A part of the navigation.

    Args:
        title: its heading.
        pages: paths of its pages in the repository, or in the site for those that are made.
    """

    title: str
    pages: tuple[str, ...]


def _docs(*names: str) -> tuple[str, ...]:
    return tuple(f"docs/{name}.md" for name in names)


SECTIONS = (
    Section(
        "Tutorials",
        _docs(
            *("tutorials/first-model", "tutorials/own-recordings", "tutorials/from-kaldi"),
            *("tutorials/to-vosk", "tutorials/sequence-training", "tutorials/cluster"),
        ),
    ),
    Section(
        "How do I …",
        _docs(
            *("your-data", "options", "presets", "settings", "transcribe", "adapt", "alignment"),
            *("decoding", "compare", "sequence", "lf-mmi", "kaldi", "vosk", "sweeps"),
            *("distributed", "large-data", "your-classes", "python"),
        ),
    ),
    Section("Reference", ("reference/settings.md", "reference/commands.md", "reference/python.md")),
    Section(
        "Explanations",
        _docs("optimiser", "models", "baselines", "artefacts", "durability", "architecture"),
    ),
    Section(
        "Results",
        (
            *_docs("results", "race", "acceleration", "acceleration-augmented", "sequence-results"),
            *_docs("paper-table", "speed", "scaling"),
            "benchmarks/results/cg-steps.md",
        ),
    ),
    Section("Corpora", tuple(f"recipes/{n}/README.md" for n in (
        "prompts", "prompts5x", "queen", "fillets", "switchboard"
    ))),
    Section("Project", ("CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md")),
)  # fmt: skip


def place_of(file: str) -> str:
    """Return where a page of the repository lies in the site."""
    if file == "README.md":
        return "index.md"
    if file.startswith("recipes/"):
        return f"corpora/{file.split('/')[1]}.md"
    if file.startswith("benchmarks/"):
        return file.rpartition("/")[2]
    return file.removeprefix("docs/") if "/" in file else file.lower()


def contents() -> str:
    """Return the tables of contents that stand at the end of the first page."""
    blocks = []
    for section in SECTIONS:
        names = "\n".join(place_of(page).removesuffix(".md") for page in section.pages)
        blocks.append(f"```{{toctree}}\n:hidden:\n:caption: {section.title}\n\n{names}\n```\n")
    return "\n".join(blocks)
