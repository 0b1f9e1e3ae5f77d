"""How the documentation is built: Sphinx with MyST and furo, without the network; every warning is an error."""

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import kist
from kist import errors

project = "kist"
author = "The kist authors"
project_copyright = "2026, The kist authors"
release = kist.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"kist {release}"

myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Names of kist must resolve; those of others would need their inventories from the network.
nitpick_ignore_regex = [(r"py:.*", r"(?!kist\b).*")]
# In signatures of public calls, and told there in words.
_TOLD = (
    "kist.engine.saving.Meta",
    "kist.engine.saving.Progress",
    "kist.storage.copying.Place",
    "kist.storage.files.BinaryMode",
    "kist.storage.files.TextMode",
    "kist.storage.places.Url",
    "kist.storage.working.Progress",
    "kist.stores.mounts.registry.Mount",
)
nitpick_ignore = [("py:class", name) for name in _TOLD]


def resolve_error(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement) -> nodes.reference | None:
    """Link the short name of an error, as docstrings' *Raises* have it, to its description."""
    name = node.get("reftarget")
    if node.get("refdomain") != "py" or name not in errors.__all__:
        return None
    return env.domains.python_domain.resolve_xref(env, node["refdoc"], app.builder, "exc", f"kist.errors.{name}", node, text)


def setup(app: Sphinx) -> None:
    """Sphinx calls this once."""
    app.connect("missing-reference", resolve_error)
