"""Converts GitHub's failing answers and lost connections into this project's errors. Sends nothing and imports no GitHub library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from promote.core.errors import Denied, NotFound, Rejected, ServiceError, Unreachable

TOKEN_VARIABLES = "GITHUB_TOKEN (or GH_TOKEN)"
STATUS_PAGE = "GitHub's own state: githubstatus.com"
_UNDECLARED = re.compile(r"unexpected inputs? provided", re.IGNORECASE)


def refused(status: int, data: object, headers: Mapping[str, object] | None, *, doing: str, where: str) -> ServiceError:
    """The error for an answer with a failing status. `doing` is a verb phrase, `where` the repository."""
    reason = message(data)
    what = f"could not {doing} in {where}: {status} {reason}".rstrip()
    if status == 401:
        return Denied("GitHub", what, hint=f'the token in {TOKEN_VARIABLES} is wrong or expired: export GITHUB_TOKEN="$(gh auth token)"')
    if status == 429 or (status == 403 and _limited(reason, headers)):
        return Unreachable("GitHub", what, hint=f"GitHub's rate limit is reached; try again {_when(headers)}")
    if status == 403:
        scopes = "`actions: write` and `contents: read` on this repository (a classic token: `repo` and `workflow`)"
        return Denied("GitHub", what, hint=f"the token in {TOKEN_VARIABLES} needs {scopes}; an organisation may also require SSO approval of it")
    if status == 404:
        hint = "check github.repository and that the token may read it (GitHub answers 404 for everything that a token may not read)"
        return NotFound("GitHub", what, hint=hint)
    if status == 407:
        return Denied("GitHub", what, hint="the proxy requires credentials: correct HTTPS_PROXY, or exclude the host with NO_PROXY")
    if status in (400, 409, 410, 422):
        return Rejected("GitHub", what, hint=_correction(reason))
    if status < 400 or not isinstance(data, dict):
        return Unreachable("GitHub", what, hint=f"another server than GitHub answered; check the proxy and github.api_url. {STATUS_PAGE}")
    return Unreachable("GitHub", what, hint=f"try again; {STATUS_PAGE}")


def silent(error: Exception, *, doing: str, api_url: str) -> Unreachable:
    """The error for a request without an answer. Omits the library's own text, full of addresses and objects, except for a certificate's fault."""
    import requests

    host = urlsplit(api_url).hostname or "the API"
    chain = " ".join(f"{type(e).__name__}: {e}" for e in _causes(error))
    if isinstance(error, requests.exceptions.SSLError):
        fault = re.search(r"certificate verify failed: [^(\]]+|hostname mismatch[^(\]]*|wrong version number", chain, re.IGNORECASE)
        what = f"the TLS connection to {host} failed ({fault[0].strip() if fault else 'see the certificate'})"
        hint = "does a proxy inspect the connection? trust its authority: export REQUESTS_CA_BUNDLE=/path/to/ca.pem"
    elif isinstance(error, requests.exceptions.ProxyError):
        what, hint = f"the proxy did not connect to {host}", "correct HTTPS_PROXY, or exclude the host with NO_PROXY"
    elif "NameResolutionError" in chain or "getaddrinfo" in chain or "Name or service not known" in chain:
        what, hint = f"the name {host} does not resolve", "check the network (VPN, DNS) and github.api_url"
    elif isinstance(error, requests.exceptions.RetryError):
        what, hint = f"{host} kept answering with errors ({_last_status(chain)})", f"try again; {STATUS_PAGE}"
    elif isinstance(error, requests.Timeout) or "TimeoutError: " in chain:  # after retries, requests raises a ConnectionError instead
        what, hint = f"{host} did not answer in time", f"try again; {STATUS_PAGE}"
    elif "TooLarge: " in chain:
        what, hint = f"{host} sent an answer without an end", "is github.api_url the address of the API? check the proxy in between"
    else:
        what, hint = f"the connection to {host} failed or was cut", f"check the network and github.api_url; {STATUS_PAGE}"
    return Unreachable("GitHub", f"could not {doing}: {what}", hint=hint)


def may_have_happened(error: BaseException | None) -> bool:
    """Whether a request that failed with `error` may have taken effect: yes for a 5xx and a lost or silent connection, no when refused or never
    sent."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status >= 500
    never_sent = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ConnectTimeout", "SSLCertVerificationError")
    return not any(type(cause).__name__ in never_sent for cause in _causes(error))


def message(data: object) -> str:
    """GitHub's own message; for a proxy's page only the fact that it was one."""
    if not isinstance(data, dict):
        return "(the answer is not GitHub's)" if data else ""
    text = " ".join(str(data.get("message", "")).split())
    return f"(a page, not GitHub's answer: {len(text)} characters)" if text.lower().startswith(("<!doctype", "<html")) else text[:256]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, the errors it wraps (arguments, urllib3's `reason`) and its causes, outermost first."""
    todo, seen = [error], set[int]()
    while todo:
        here = todo.pop(0)
        if isinstance(here, BaseException) and id(here) not in seen:
            seen.add(id(here))
            yield here
            todo += [*(a for a in here.args if isinstance(a, BaseException)), getattr(here, "reason", None), here.__cause__]


def _last_status(chain: str) -> str:
    found = re.search(r"too many (\d{3}) error responses", chain)
    return found[1] if found else "of its own"


def _header(headers: Mapping[str, object] | None, name: str) -> str:
    return next((str(v) for k, v in (headers or {}).items() if k.lower() == name), "")


def _limited(reason: str, headers: Mapping[str, object] | None) -> bool:
    return "rate limit" in reason.lower() or bool(_header(headers, "retry-after")) or _header(headers, "x-ratelimit-remaining") == "0"


def _when(headers: Mapping[str, object] | None) -> str:
    after = _header(headers, "retry-after")
    return f"in {after} s" if after.isdigit() else "in a minute"


def _correction(reason: str) -> str:
    if _UNDECLARED.search(reason):
        return (
            "the workflow on the trunk must declare these inputs: copy them from the template promote-prod.yaml, "
            'or push the tags directly with promotion.via = "git"'
        )
    if "no ref found" in reason.lower():
        return "the workflow is dispatched on the trunk: check repository.branch"
    if "workflow_dispatch" in reason:
        return "the workflow on the trunk needs `on: workflow_dispatch:`; compare it with the template promote-prod.yaml"
    return "compare the workflow on the trunk with the template promote-prod.yaml"
