"""Remote URLs: which spellings mean the same repository, and the set of addresses that are ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import unquote, urlsplit

_SCP = re.compile(r"^(?:[^@/]+@)?(\[[^\]]+\]|[^:/]+):(?!//)(.+)$")
_BARE = re.compile(r"^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?/[^/]")
_PORTS = {"http": {"80"}, "https": {"443"}, "git": {"9418"}, "ssh": {"22", "7999"}}  # 7999: the ssh port of every Bitbucket Server
_ALIASES = {
    "ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com", "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com", "vs-ssh.visualstudio.com": "dev.azure.com",
}  # fmt: skip
_BITBUCKET_PORT = "7999"
# Products whose owners and repositories are unique without regard to case, as a word of the host's name: github.com, gitlab.acme.example.
_CASELESS = re.compile(r"(?:^|[.-])(?:github|gitlab|bitbucket|gitea|forgejo|codeberg)(?=[.-]|$)|^dev\.azure\.com$")
_NOT_NAMES = frozenset({"_git", "_full", "_optimized"})  # between project and repository in the URLs of Azure DevOps


@lru_cache(maxsize=1024)  # called for each source of each application at each look
def normalise_repository(url: str) -> str:
    """A form in which all spellings of one repository are equal: without scheme, user, default port, `.git`, doubled slashes and case of the host.

    The forges' second addresses (ssh over port 443, `/scm/` of Bitbucket Server, the ssh and https forms of Azure DevOps) become their first one.
    The case of a path counts on an unknown host, where a path may be a file's; on the forges that ignore it, it does not.
    """
    text = url.strip()
    if (scp := _SCP.match(text)) and "://" not in text:
        return _joined(scp[1], "", "ssh", scp[2])
    if _BARE.match(text):
        text = f"https://{text}"
    parts = urlsplit(text)
    if not parts.netloc:
        return _path(parts.path if parts.scheme == "file" else text, absolute=True)
    where = parts.netloc.rpartition("@")[2]
    host, _, port = where.partition(":") if not where.startswith("[") else _bracketed(where)
    scheme = next((s for s in ("ssh", "https", "http", "git") if s in parts.scheme.split("+")), parts.scheme)
    return _joined(host, port, scheme, unquote(parts.path))


def _bracketed(where: str) -> tuple[str, str, str]:
    """Host and port of an address with an IPv6 literal, as `str.partition` gives them."""
    host, _, port = where.partition("]")
    return f"{host}]", ":", port.removeprefix(":")


def _path(path: str, *, absolute: bool = False) -> str:
    folded = re.sub(r"/{2,}", "/", path).rstrip("/").removesuffix(".git").rstrip("/")
    return folded if absolute else folded.lstrip("/")


def _joined(host: str, port: str, scheme: str, path: str) -> str:
    host, names = host.lower().rstrip(".").removeprefix("www."), _path(path)
    if host in _ALIASES:
        host, port = _ALIASES[host], ""
    if host == "dev.azure.com" or host.endswith(".visualstudio.com"):
        return _azure(host, names.split("/"))
    segments = names.split("/")
    server = port == _BITBUCKET_PORT and scheme == "ssh"
    if segments[0] == "scm" and len(segments) == 3 and scheme in ("http", "https"):
        server, names = True, "/".join(segments[1:])
    if server or _CASELESS.search(host):
        names = names.lower()
    shown = f":{port}" if port and port not in _PORTS.get(scheme, ()) else ""
    return f"{host}{shown}/{names}"


def _azure(host: str, segments: list[str]) -> str:
    """Azure DevOps, whose repository is organisation/project/name: over ssh below `v3/`, in the older form with the organisation in the host."""
    owner = [] if host == "dev.azure.com" else [host.removesuffix(".visualstudio.com")]
    names = [*owner, *(s for s in segments if s not in _NOT_NAMES and s.lower() != "defaultcollection")]
    if names[0].lower() == "v3" and len(names) == 4:
        names = names[1:]
    if len(names) == 2:  # a project's main repository has the project's name, and a short URL
        names = [*names, names[1]]
    return f"dev.azure.com/{'/'.join(names)}".lower()


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of our repository. `shown` is the remote's URL, for messages; `ours` and `foreign` are normalised.

    `foreign` are the repositories of others that hold a ref named like our stable tag. An address that is in neither set may be an alias or a
    mirror of ours: nothing in it says.
    """

    shown: str
    ours: frozenset[str]
    foreign: frozenset[str] = frozenset()

    @classmethod
    def of(cls, url: str, *also: str, foreign: Iterable[str] = ()) -> Addresses:
        """`url`: the remote's; `also`: its other addresses."""
        return cls(url, frozenset(map(normalise_repository, (url, *also))), frozenset(map(normalise_repository, foreign)))

    def __contains__(self, url: str) -> bool:
        return normalise_repository(url) in self.ours

    def unclear(self, url: str) -> bool:
        """Whether this address is neither known as ours nor declared foreign."""
        return url not in self and normalise_repository(url) not in self.foreign

    def known(self, *, ours: Iterable[str] = (), foreign: Iterable[str] = ()) -> Addresses:
        """With further addresses of which it was found out whose they are."""
        more = frozenset(map(normalise_repository, ours)), frozenset(map(normalise_repository, foreign))
        return replace(self, ours=self.ours | more[0], foreign=self.foreign | more[1])

    def __str__(self) -> str:
        return self.shown
