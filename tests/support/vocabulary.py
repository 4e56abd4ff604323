"""The vocabulary check: finds words this project does not use, and prints file, line and the better word.

python -m tests.support.vocabulary [FILE …] [--all]    without files: every file of the repository; --all: also the folders that are still pending
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = Path(__file__).with_suffix(".toml")
_READ = (".py", ".md", ".toml", ".yaml", ".yml", "")
_BINARY = ("go.mod", "go.sum")
_FIELD = re.compile(r"\{[^{}]*\}")  # a value within an f-string is code
_PARTS = (tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))  # from Python 3.12 on an f-string comes in parts
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """One word at one place. `forbidden`: it fails by itself; otherwise it counts towards the limit."""

    path: str
    line: int
    word: str
    better: str
    forbidden: bool


@dataclass(frozen=True, slots=True)
class List:
    """The word list as read from vocabulary.toml."""

    forbidden: dict[str, str]
    sparingly: dict[str, str]
    exceptions: dict[str, str]
    pending: tuple[str, ...]
    most: float

    @classmethod
    def read(cls, path: Path = WORDS) -> List:
        data = tomllib.loads(path.read_text())
        limits = data["limits"]
        return cls(data["forbidden"], data["sparingly"], data["exceptions"], tuple(limits["pending"]), float(limits["most"]))


def text_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of everything a reader reads: in Python the strings, the comments and the names of tests; elsewhere every line."""
    source = path.read_text()
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _PARTS:
            formatted = token.type == tokenize.STRING and "f" in token.string.partition(token.string[-1])[0].lower()
            text = _FIELD.sub("", token.string) if formatted else token.string
            yield from enumerate(text.splitlines(), token.start[0])
        elif token.type == tokenize.NAME and token.string.startswith("test_"):
            yield token.start[0], token.string.replace("_", " ")


def check(files: Sequence[Path], words: List, root: Path = ROOT) -> tuple[list[Hit], int]:
    """Every hit in these files, and how many words they have."""
    patterns = [
        (re.compile(rf"\b(?:{word})\b", re.IGNORECASE), better, forbidden)
        for table, forbidden in ((words.forbidden, True), (words.sparingly, False))
        for word, better in table.items()
    ]
    hits, count = [], 0
    for path in files:
        name = path.relative_to(root).as_posix()
        allowed = re.compile(words.exceptions.get(name, "(?!)"))
        for line, text in text_of(path):
            count += len(_WORD.findall(text))
            hits += [
                Hit(path=name, line=line, word=found[0], better=better, forbidden=forbidden)
                for pattern, better, forbidden in patterns
                for found in pattern.finditer(text)
                if not allowed.search(text)
            ]
    return hits, count


def repository_files() -> list[Path]:
    """The text files git tracks, without generated lists of modules."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in listed if (path := ROOT / name).suffix in _READ and path.is_file() and path.name not in _BINARY]


def main(argv: Sequence[str]) -> int:
    options = argparse.ArgumentParser(prog="vocabulary", description="find words this project does not use")
    options.add_argument("files", nargs="*", type=Path)
    options.add_argument("--all", action="store_true", help="also the folders that are still pending")
    args = options.parse_args(argv)
    words = List.read()
    files = [path.resolve() for path in args.files] or repository_files()
    if not (args.all or args.files):
        files = [path for path in files if not path.relative_to(ROOT).as_posix().startswith(words.pending)]
    hits, count = check(files, words)
    forbidden = [hit for hit in hits if hit.forbidden]
    rate = 1000 * len(hits) / max(1, count)
    shown = hits if args.files or rate >= words.most else forbidden
    for hit in shown:
        print(f"{hit.path}:{hit.line}: {hit.word!r}: write {hit.better}")
    if forbidden or rate >= words.most:
        print(
            f"{len(hits)} hits in {count} words: {rate:.2f} per 1,000 (below {words.most:g}), {len(forbidden)} of them never allowed (tests/support/vocabulary.toml)"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
