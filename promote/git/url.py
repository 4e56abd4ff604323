"""Remote URLs: which spellings mean the same repository."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

_SCP = re.compile(r"^(?:[^@/]+@)?(\[[^\]]+\]|[^:/]+):(?!//)(.+)$")
_PORTS = {"": None, "http": 80, "https": 443, "ssh": 22, "git+ssh": 22, "git": 9418}


@lru_cache(maxsize=1024)  # called for each source of each application at each look
def normalise_repository(url: str) -> str:
    """A form in which all spellings of one repository are equal: without scheme, user, default port, `.git`, trailing slash and case of the host."""
    text = url.strip().rstrip("/")
    if (scp := _SCP.match(text)) and "://" not in text:
        return f"{scp[1].lower()}/{scp[2].strip('/').removesuffix('.git')}"
    parts = urlsplit(text)
    if not parts.netloc:
        return (parts.path if parts.scheme == "file" else text).removesuffix(".git")
    host, _, port = parts.netloc.rpartition("@")[2].partition(":") if "[" not in parts.netloc else (parts.netloc.rpartition("@")[2], "", "")
    shown = f":{port}" if port and port != str(_PORTS.get(parts.scheme)) else ""
    return f"{host.lower()}{shown}/{parts.path.strip('/').removesuffix('.git')}"
