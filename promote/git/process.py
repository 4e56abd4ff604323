"""Running one git command: its environment, its deadline, how it is killed. Independent of tags.

GitPython starts the process, but we enforce the deadline: GitPython's own kills direct children only, and a push works in grandchildren
(git → git-remote-https → git send-pack). Every command has its own process group, a closed stdin and no way to prompt the user.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from promote.core.errors import UsageError
from promote.core.in_flight import in_flight
from promote.core.retry import retry_transient
from promote.core.signals import defer_signals
from promote.transport.programs import apart, kill_and_collect

# The variables of `git rev-parse --local-env-vars`, except the GIT_CONFIG_COUNT family, which carries credentials in CI. When an outer git
# (a hook, an alias) has set them, they would silently point our commands at another repository.
LOCAL_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX",
    "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE",
)  # fmt: skip

# The user's configuration must change neither the effect of a push nor the format of an answer: each of these settings was seen to do so.
_NEUTRAL_SETTINGS = (
    "push.followTags=false", "push.gpgSign=false", "push.recurseSubmodules=no", "push.pushOption=", "tag.gpgSign=false", "commit.gpgSign=false",
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.quotePath=false", "color.ui=false", "log.showSignature=false",
    "i18n.logOutputEncoding=UTF-8", "submodule.recurse=false", "fetch.recurseSubmodules=false", "gc.auto=0",
)  # fmt: skip
_NEUTRAL = tuple(word for setting in _NEUTRAL_SETTINGS for word in ("-c", setting))
# Only the remote's own host gets the token: git asks for credentials of every host that an answer redirects to.
_TOKEN_HELPER = (
    '!f() { test "$1" = get || return 0; while read -r line; do case "$line" in'
    ' "protocol=$PROMOTE_GIT_PROTOCOL") p=1;; "host=$PROMOTE_GIT_HOST") h=1;; esac; done;'
    ' test "$p$h" = 11 && echo username=x-access-token && echo "password=$PROMOTE_GIT_TOKEN"; }; f'
)

# Git's messages for a lost connection and for a gateway's fault: the same read may succeed a moment later.
_PASSING = re.compile(
    r"returned error: (?:429|50[234])|Empty reply from server|Recv failure|Connection reset|early EOF|hung up unexpectedly|unexpected disconnect"
    r"|RPC failed|transfer closed|end of response with|not closed cleanly|SSL_read|GnuTLS recv error"
)
_QUOTED = re.compile(r"'[^'\n]*'")
_READS = frozenset({"ls-remote", "fetch"})
_URL_HELPER = '!f() { test "$1" = get && echo "username=$PROMOTE_URL_USER" && echo "password=$PROMOTE_URL_PASSWORD"; }; f'
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_WITH_USER = re.compile(r"(https?://)([^/@:\s]*)(?::([^/@\s]*))?@([^/\s]+)")


def password_aside(url: str) -> dict[str, str]:
    """Environment variables that let git use this URL without user and password in it. Empty for a URL that has none."""
    # Git passes the whole URL to its helpers on their command lines, where every user of the machine can read it; the user part may be a token.
    found = _WITH_USER.match(url)
    if found is None or not (found[2] or found[3]):
        return {}
    scheme, user, password, host = found.groups()
    clean, count = f"{scheme}{host}", _config_count(os.environ.get("GIT_CONFIG_COUNT", ""))
    pairs = [(f"url.{clean}.insteadOf", found[0])]
    if password is None:  # the configured credential helpers still find the password of this user
        pairs += [(f"credential.{clean}.username", unquote(user))]
    else:
        pairs += [(f"credential.{clean}.helper", ""), (f"credential.{clean}.helper", _URL_HELPER)]
    env = {f"GIT_CONFIG_{part}_{count + n}": text for n, pair in enumerate(pairs) for part, text in zip(("KEY", "VALUE"), pair, strict=True)}
    return env | {"GIT_CONFIG_COUNT": str(count + len(pairs)), "PROMOTE_URL_USER": unquote(user), "PROMOTE_URL_PASSWORD": unquote(password or "")}


def token_place(url: str) -> dict[str, str]:
    """Environment variables that name the protocol and host which get the token: those of this URL. Empty for a URL that takes none."""
    parts = urlsplit(url) if _HTTP.match(url) else None
    if parts is None or not parts.netloc:
        return {}
    return {"PROMOTE_GIT_PROTOCOL": parts.scheme, "PROMOTE_GIT_HOST": parts.netloc.rpartition("@")[2]}


def forget_local_variables(environ: MutableMapping[str, str]) -> None:
    """Remove the variables that an outer git set for *its* repository. Called once at each entry point of the program."""
    for name in LOCAL_VARIABLES:
        environ.pop(name, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A finished command. `killed`: the deadline ended it, so the outcome of its remote operation is unknown."""

    code: int
    out: str
    err: str
    killed: bool = False
    raw: bytes = b""  # stdout undecoded, for output that is not text

    @property
    def unquoted_err(self) -> str:
        """Stderr without quoted text: URLs and ref names could contain the words that we search for."""
        return _QUOTED.sub("", self.err)

    @property
    def why(self) -> str:
        """How it ended, for a command without output: its exit code, or the signal that ended it (SIGXFSZ: a file size limit)."""
        try:
            return f"exit {self.code}" if self.code >= 0 else f"ended by {signal.Signals(-self.code).name}"
        except ValueError:
            return f"ended by signal {-self.code}"


def _environment(token: str | None, extra: dict[str, str] | None) -> dict[str, str]:
    # GIT_NO_REPLACE_OBJECTS, GIT_GRAFT_FILE: replacement objects and grafts of this clone would make its history differ from the remote's.
    env = {"GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "false", "GCM_INTERACTIVE": "never", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
    env["GIT_GRAFT_FILE"] = f"{os.devnull}/none"
    # A trace on stderr would be mistaken for git's error text; a trace to a file is harmless.
    env |= {name: "0" for name, value in os.environ.items() if name.startswith("GIT_TRACE") and "/" not in value} | (extra or {})
    count = _config_count(env.get("GIT_CONFIG_COUNT") or os.environ.get("GIT_CONFIG_COUNT", ""))
    if token and env.get("PROMOTE_GIT_HOST"):
        # Appended to the list of helpers, so that the user's own are asked first. In the environment, never on a command line.
        env |= {f"GIT_CONFIG_KEY_{count}": "credential.helper", f"GIT_CONFIG_VALUE_{count}": _TOKEN_HELPER, "GIT_CONFIG_COUNT": str(count + 1)}
        env["PROMOTE_GIT_TOKEN"] = token
    return env


def _config_count(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise UsageError(f"GIT_CONFIG_COUNT is {text!r} in the environment, which is not a number", hint="unset GIT_CONFIG_COUNT, or correct it")
    return int(text or 0)


def run_git(
    folder: Path,
    *args: str,
    stdin: bytes | None = None,
    timeout_s: float = 60.0,
    token: str | None = None,
    env: dict[str, str] | None = None,
) -> Done:
    """Run `git <args>` in `folder` and return its result; a non-zero exit is not an exception. Raises UsageError when git is missing."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git on PATH the import itself would fail
    from git.cmd import Git
    from git.exc import GitCommandNotFound

    process: subprocess.Popen[bytes] | None = None
    killed = False
    try:
        with defer_signals():  # a stop request during the start would leave a child that we have no handle for
            handle = Git(str(folder)).execute(
                ["git", *_NEUTRAL, *args],
                istream=subprocess.PIPE if stdin is not None else None,
                as_process=True,
                env=_environment(token, env),
                **apart(),
            )
            process = handle.proc
        assert process is not None  # AutoInterrupt drops it only after it ended
        out, err = process.communicate(stdin, timeout=timeout_s)
    except GitCommandNotFound as error:
        raise UsageError("git is not on PATH", hint="install git 2.30 or newer") from error
    except subprocess.TimeoutExpired:
        assert process is not None
        killed = process.poll() is None  # it may have ended while a descendant still holds its pipes
        out, err = kill_and_collect(process)
    except BaseException:
        if process is not None:
            kill_and_collect(process)
        raise
    code = -signal.SIGKILL if process.returncode is None else process.returncode  # None: it survived even SIGKILL so far
    return Done(code=code, out=out.decode(errors="replace"), err=err.decode(errors="replace"), killed=killed, raw=out)


def run_git_with_retries(
    folder: Path,
    *args: str,
    stdin: bytes | None = None,
    timeout_s: float = 60.0,
    token: str | None = None,
    env: dict[str, str] | None = None,
) -> Done:
    """`run_git` that retries reads of the remote after a passing fault, within `timeout_s` in total."""

    def run(left_s: float) -> Done:
        return run_git(folder, *args, stdin=stdin, timeout_s=left_s, token=token, env=env)

    reads = bool(args) and args[0] in _READS
    with in_flight(f"git {args[0]}" if args else "git"):
        return retry_transient(run, passing=lambda done: reads and _is_passing(done), within_s=timeout_s, service="git")


def _is_passing(done: Done) -> bool:
    return done.code != 0 and not done.killed and bool(_PASSING.search(done.err))
