"""Documentation rules: which document a change requires, which links of a page are broken, whether a changelog mentions a version.

Pure: paths and texts in, paths and links out.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from urllib.parse import unquote

MARKDOWN = (".md", ".markdown")
_NAME = re.compile(r"\\\{(\w+)\\\}")
# Links in code blocks, code spans and comments are no links to a reader.
_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,}).*?(?:^ {0,3}\2[`~]* *$|\Z)", re.MULTILINE | re.DOTALL)
_TICKS = re.compile(r"`+")
# A URL may contain a pair of brackets without <>, as in CommonMark: docs/page_(old).md.
_INLINE = re.compile(
    r"\]\(\s*+(?:<([^>\n]{0,2000}+)>|([^()\s]*+(?:\([^()\s]*+\)[^()\s]*+)*+))(?:\s++(?:\"[^\"]*+\"|'[^']*+'))?\s*+\)"  # possessive: linear
)
_DEFINED = re.compile(r"^ {0,3}\[[^\]\n]+\]:\s*(?:<([^>\n]*)>|(\S+))", re.MULTILINE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@lru_cache(maxsize=256)
def _pattern(paths: str) -> re.Pattern[str]:
    """The regular expression for a path pattern: `*` and `{name}` match within one folder, `**` across folders; a repeated name matches the same
    text."""
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>[^/]+)"

    text = _NAME.sub(group, re.escape(paths))
    text = text.replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.compile(text)


def document_of(path: str, paths: str, document: str) -> str | None:
    """The document that a rule requires to change together with `path`; None when the rule does not match it."""
    match = _pattern(paths).fullmatch(path)
    if match is None:
        return None
    for name, word in match.groupdict().items():
        document = document.replace(f"{{{name}}}", word)
    return document


def undocumented(changed: Collection[str], rules: Iterable[tuple[str, str]], files: Collection[str]) -> dict[str, list[str]]:
    """Documents that had to change and did not, each with the changed files that require it. A deleted document counts as changed only when no file
    that it documents is left in `files`."""
    missing: dict[str, list[str]] = {}
    for paths, document in rules:
        for path in sorted(changed):
            wanted = document_of(path, paths, document)
            if wanted is None or wanted == path:
                continue
            left = wanted not in files and any(document_of(file, paths, document) == wanted for file in files)
            if wanted not in changed or left:
                missing.setdefault(wanted, []).append(path)
    return missing


def relative_links(text: str) -> list[str]:
    """The link targets of a Markdown page within the repository, as written, without their anchors. Ignores links in code."""
    # Blocks first: a backtick or `<!--` inside of one begins nothing.
    text = _without_code(without_comments(_FENCE.sub("", text)))
    found = [a or b for pattern in (_INLINE, _DEFINED) for a, b in pattern.findall(text)]
    plain = [unquote(link.partition("#")[0].partition("?")[0]) for link in found if not _SCHEME.match(link) and not link.startswith("//")]
    return list(dict.fromkeys(link for link in plain if link))


def without_comments(text: str) -> str:
    """A Markdown text without its comments."""
    kept, at = list[str](), 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    return "".join([*kept, text[at:]])


def _without_code(text: str) -> str:
    """A text without its code spans: from a run of backticks to the next one of the same length."""
    runs = list(_TICKS.finditer(text))
    closing, later = dict[int, int](), dict[int, int]()  # by index of a run: the next of its length
    for i in range(len(runs) - 1, -1, -1):
        if (length := len(runs[i][0])) in later:
            closing[i] = later[length]
        later[length] = i
    kept, at, i = list[str](), 0, 0
    while i < len(runs):
        if i in closing:
            kept.append(text[at : runs[i].start()])
            i = closing[i]
            at = runs[i].end()
        i += 1
    return "".join([*kept, text[at:]])


def broken_links(page: str, text: str, files: Collection[str], links: Collection[str] = ()) -> list[str]:
    """Links of a page (its path, its text) that lead to no file or folder.

    Not judged: targets outside the repository (../../issues), which the forge serves, and targets at or behind one of `links` (symbolic links,
    submodules).
    """
    folders = _folders(frozenset(files))
    broken = []
    for link in relative_links(text):
        base = "" if link.startswith("/") else posixpath.dirname(page)
        where = posixpath.normpath(posixpath.join(base, link.lstrip("/") or "."))
        behind = any(f"{where}/".startswith(f"{link}/") for link in links)
        if not where.startswith("..") and where not in files and where not in folders and not behind:
            broken.append(link)
    return broken


@lru_cache(maxsize=4)
def _folders(files: frozenset[str]) -> frozenset[str]:
    found = {"."}
    for path in files:
        while (path := posixpath.dirname(path)) and path not in found:
            found.add(path)
    return frozenset(found)


def mentions(changelog: str, version: str) -> bool:
    """Whether a heading or the beginning of a line names the version: `## v1.8.0`, `## [1.8.0] - 2026-11-23`, `1.8.0 (2026-11-23)`."""
    number = re.escape(version.removeprefix("v"))
    return re.search(rf"^(?:[#\[*=-]|[^\S\n])*+v?{number}(?![\w.+-]*\w)", changelog, re.MULTILINE | re.IGNORECASE) is not None
