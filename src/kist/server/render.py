"""Values to HTML: the templates, and how texts, sizes, times and links are shown.

Names and messages of a repository are hostile. Everything is escaped, and characters that can't be seen, or that turn text around, are
shown as escapes.
"""

import functools
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

__all__ = ["HIDDEN", "Templates", "address", "plain", "shown", "site_name", "size"]

# Controls, separators of lines and paragraphs, soft hyphens, zero-width spaces, marks and overrides of direction, tags;
# not the joiners that words and emoji need.
HIDDEN = re.compile(
    "([\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f])"
)
SECRETS = re.compile(r"(?<=://)[^/@]*@|\?.*", re.DOTALL)
NUMERIC = re.compile(r"\s*[-+]?[0-9][0-9,]*(\.[0-9]*)?([eE][-+]?[0-9]+)?\s*|\s*[-+]?\.[0-9]+\s*|(?i:nan)")
KILO = 1000


class Templates:
    """The pages of one repository, or those outside of any."""

    def __init__(self, place: str = "", *, base: str = "", user: str = "") -> None:
        """Take how people call the repository (a path, a URL or ``org/name``), below which path its pages are, and who looks.

        User, password and options of a URL are not shown.
        """
        shown = {"place": SECRETS.sub("", place), "site": site_name(place), "base": base, "user": user}
        self._shown = {**shown, "address": functools.partial(_address_below, base)}

    def page(self, template: str, status: int = 200, /, **context: object) -> HTMLResponse:
        """Render a page."""
        return HTMLResponse(_environment().get_template(template).render(self._shown | context), status)


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.tests["numeric"] = lambda text: NUMERIC.fullmatch(text) is not None
    made.filters |= {
        "count": count,
        "difference": difference,
        "message": lambda text: shown(text, keep="\n\t"),
        "moment": moment,
        "nanoseconds": lambda value: moment(datetime.fromtimestamp(value / 1e9).astimezone()),
        "plain": plain,
        "shown": shown,
        "size": size,
        "text": lambda text: shown(text, keep="\t"),
    }
    return made


def site_name(place: str) -> str:
    """Return the last part of a repository's path or URL: ``lab`` of ``s3://bucket/lab``."""
    place = SECRETS.sub("", place).rstrip("/")
    return place.rpartition("/")[2] or place or "kist"


def address(page: str, /, **parameters: object) -> str:
    """Return the URL of a page; values go into the query, percent-encoded once, so any name works. Empty ones are left out."""
    query = urlencode({name: value for name, value in parameters.items() if value}, quote_via=quote, safe="/:")
    return f"{page}?{query}" if query else page


def _address_below(base: str, page: str, /, **parameters: object) -> str:
    return address((base + page).rstrip("/") or "/", **parameters)


def shown(text: str, *, keep: str = "") -> Markup:
    """Return text as HTML, with each hidden character but those to `keep` as a marked escape."""
    parts = HIDDEN.split(text)
    parts[1::2] = [char if char in keep else Markup('<span class="escape">{}</span>').format(plain(char)) for char in parts[1::2]]
    return Markup("").join(parts)


def plain(text: str) -> str:
    r"""Return text with each hidden character as an escape such as ``\n``, for where no mark-up can be."""
    return HIDDEN.sub(lambda match: ascii(match[0])[1:-1], text)


def size(size_bytes: int) -> str:
    """Return a size for people: ``999 B``, ``1.2 MB``."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if round(value, 1) < KILO or unit == "PB":
            break
        value /= KILO
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def difference(size_bytes: int) -> str:
    """Return how much larger or smaller something became: ``+1.2 MB``."""
    return f"{'+' if size_bytes > 0 else '−' if size_bytes < 0 else '±'}{size(abs(size_bytes))}"  # noqa: RUF001 - a minus sign


def count(number: int, one: str, many: str = "") -> str:
    """Return a number of things: ``1 file``, ``2,000 files``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(time: datetime) -> Markup:
    """Return a time as HTML, in this machine's zone."""
    local = time.astimezone()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        local.isoformat(timespec="seconds"), local.strftime("%Y-%m-%d %H:%M:%S %Z"), local.strftime("%Y-%m-%d %H:%M")
    )
