"""The documentation: pages in MyST, reference pages made from the program, results copied from results/."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import pages  # noqa: E402

from actbench import __version__  # noqa: E402

pages.write(HERE / "made")

project, author, version, release = "actbench", "the actbench developers", __version__, __version__
copyright = "the actbench developers, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # `make test-all` runs the notebooks
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "furo"
html_static_path, html_css_files = ["_static"], ["lines.css"]
highlight_language = "none"  # of blocks that name none: commands
html_title = f"actbench {__version__}"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
suppress_warnings = ["myst.header"]  # reports begin some sections at the third level


def _point_to_copies(app: object, page: str, source: list[str]) -> None:
    """Pages link to results/ where it lies in the repository; here its copies are in made/."""
    if not page.startswith("made/"):
        source[0] = source[0].replace("../results/", "made/")


def setup(app: object) -> None:
    app.connect("source-read", _point_to_copies)  # type: ignore[attr-defined]
