"""pkt-lines of a push's answer (gitprotocol-common, gitprotocol-pack): the one thing of git's wire format this world touches."""

from __future__ import annotations

from collections.abc import Iterator

HOOK, RULE = b"pre-receive hook declined", b"push declined due to repository rule violations"


def in_githubs_words(answer: bytes) -> bytes:
    """The answer to a push, with the reason of a refused ref as GitHub's rulesets give it; any other answer as it is.

    The reason stands in pkt-lines inside the pkt-lines of side band 1, so both lengths change.
    """
    if HOOK not in answer:
        return answer
    inner, outer = b"", b""
    for line in packets(answer):
        if line[:1] == b"\x01":
            inner += line[1:]
        elif line:
            outer += packet(line)
    report = b"".join(packet(line.replace(HOOK, RULE)) if line else b"0000" for line in packets(inner))
    return outer + packet(b"\x01" + report) + b"0000"


def packets(data: bytes) -> Iterator[bytes]:
    """The payloads of a run of pkt-lines; b"" for a flush."""
    at = 0
    while at + 4 <= len(data):
        length = int(data[at : at + 4], 16)
        yield data[at + 4 : at + length] if length else b""
        at += length or 4


def packet(payload: bytes) -> bytes:
    """One pkt-line."""
    return b"%04x%s" % (len(payload) + 4, payload)
