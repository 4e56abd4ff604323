"""Smoke checks asked of a real HTTP server: methods, headers, bodies, redirects, certificates, tries and limits."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from promote.checklist.smoke import smoke_url_problem
from promote.config.schema import SmokeUrl
from promote.core.deadline import Clock
from promote.core.errors import UsageError
from promote.sandbox.http_server import Fault, Request, Response, World, json_response
from promote.transport.http_probe import HttpClient


class Service(World):
    """Answers by path and remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__("service")
        self.seen: list[Request] = []
        self.answers: dict[str, Response] = {}

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        found = self.answers.get(request.path, Response(body=b"ok"))
        return Response(status=found.status, body=found.body, headers=dict(found.headers))


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as world:
        assert isinstance(world, Service)
        yield world


class Asked:
    """One check asked, with its evidence and the pauses it made."""

    def __init__(self, url: SmokeUrl) -> None:
        self.evidence: dict[str, Any] = {}
        self.pauses: list[float] = []
        self.said = smoke_url_problem(HttpClient(), url, self.evidence.__setitem__, Clock(sleep=self.pauses.append))


def wanted(service: World, path: str = "/", **keys: Any) -> SmokeUrl:
    return SmokeUrl(name="a", url=service.url + path, **{"timeout": 5.0, "attempts": 1, **keys})


def test_a_right_answer_passes_with_evidence(service: Service) -> None:
    asked = Asked(wanted(service, contains="ok"))
    assert asked.said == ""
    assert asked.evidence["answer"].startswith("200 after 0.0 s")


def test_the_request_is_the_declared_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret-value")
    headers = ["Authorization: Bearer ${API_TOKEN}", "Content-Type: application/json"]
    assert Asked(wanted(service, "/login", method="POST", headers=headers, body='{"user": "smoke"}')).said == ""
    (sent,) = service.seen
    assert (sent.method, sent.path, sent.json()) == ("POST", "/login", {"user": "smoke"})
    assert (sent.headers["authorization"], sent.headers["content-type"]) == ("Bearer secret-value", "application/json")


def test_a_header_whose_variable_is_not_set_is_unknown_and_named(service: Service) -> None:
    with pytest.raises(UsageError, match="the headers name API_TOKEN, which the environment does not have"):
        Asked(wanted(service, headers=["Authorization: ${API_TOKEN}"]))
    assert service.seen == []


def test_a_service_that_echoes_a_credential_does_not_get_it_into_the_report(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret-value")
    service.answers["/"] = Response(status=401, body=b"bad token: secret-value")
    asked = Asked(wanted(service, headers=["Authorization: Bearer ${API_TOKEN}"]))
    assert "bad token: ***" in asked.said
    assert "secret-value" not in asked.said + str(asked.evidence)


WRONG: dict[str, tuple[Response, dict[str, Any], str]] = {
    "status": (Response(status=503, body=b"db migration pending"), {}, 'got       503 after 0.0 s, body "db migration pending"'),
    "contains": (Response(body=b"hello"), {"contains": "world"}, 'the body does not contain "world"'),
    "json value": (json_response({"db": "down"}), {"json": ['db == "ok"']}, 'db is "down"'),
    "json path": (json_response({}), {"json": ["checks.0.ok == true"]}, "checks.0.ok is not there"),
    "no json": (Response(body=b"<html>"), {"json": ["db"]}, "the body is not JSON"),
    "redirect elsewhere": (Response(status=302, headers={"Location": "/maintenance"}), {"status": 302, "redirect": "x"}, "/maintenance"),
    "redirect nowhere": (Response(status=302), {"status": 302, "redirect": "https://a.example/"}, "it leads to nowhere"),
    "redirect not wanted": (Response(status=301, headers={"Location": "/"}), {}, "more than 10 redirects"),
    "no TLS": (Response(), {"min_tls_days": 7}, "an address without TLS"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_shows_expected_and_got(service: Service, name: str) -> None:
    service.answers["/"], keys, said = WRONG[name]
    asked = Asked(wanted(service, **keys))
    assert said in asked.said
    assert "expected  " in asked.said


@pytest.mark.parametrize("kind", ["refuse", "hang", "drip", "drop_before"])
def test_no_whole_answer_in_time_fails(service: Service, kind: Any) -> None:
    service.answers["/"] = Response(body=b"x" * 1000)
    service.fault(Fault(kind=kind))
    assert "got       " in Asked(wanted(service, timeout=0.3)).said


def test_it_is_asked_again_as_often_as_declared(service: Service) -> None:
    service.fault(Fault(kind="status", times=2))
    asked = Asked(wanted(service, attempts=3, interval=2.5))
    assert (asked.said, asked.pauses) == ("", [2.5, 2.5])
    service.fault(Fault(kind="status", times=3))
    assert "(3 attempts in" in Asked(wanted(service, attempts=3, interval=2.5)).said


def test_what_may_have_an_effect_is_sent_once(service: Service) -> None:
    service.fault(Fault(kind="drop_after", method="POST"))
    assert "(1 attempt in" in Asked(wanted(service, method="POST", attempts=3)).said
    assert len(service.seen) == 1


def test_redirects_are_followed_unless_one_is_expected(service: Service) -> None:
    service.answers["/"] = Response(status=302, headers={"Location": "/there"})
    service.answers["/there"] = Response(body=b"arrived")
    assert Asked(wanted(service, contains="arrived")).said == ""
    assert Asked(wanted(service, status=302, redirect=f"{service.url}/there")).said == ""


def test_a_redirect_to_another_host_goes_without_the_declared_headers(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret-value")
    with Service() as other:
        assert isinstance(other, Service)
        service.answers["/"] = Response(status=302, headers={"Location": other.url + "/"})
        assert Asked(wanted(service, headers=["X-Api-Key: ${API_TOKEN}"])).said == ""
        assert "x-api-key" in service.seen[0].headers
        assert "x-api-key" not in other.seen[0].headers
    service.seen.clear()
    service.answers["/"] = Response(status=302, headers={"Location": "/there"})
    Asked(wanted(service, headers=["X-Api-Key: ${API_TOKEN}"]))
    assert "x-api-key" in service.seen[1].headers, "the same host"


def test_a_slow_answer_passes_with_a_warning(service: Service) -> None:
    service.fault(Fault(kind="drip"))
    asked = Asked(wanted(service, warn_after=0.01))
    assert asked.said == ""
    assert asked.evidence["warning"].startswith("slow: 0.")


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a HTTPS service whose certificate, trusted here, ends after so many days."""
    running: list[World] = []

    def begin(days: float) -> World:
        certificate, key = _certificate(tmp_path, days)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        world = Service()
        running.append(world)
        world.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        assert world._server is not None
        world._server.socket = context.wrap_socket(world._server.socket, server_side=True)
        world.url = world.url.replace("http://", "https://")
        return world

    yield begin
    for world in running:
        world.stop()


def _certificate(folder: Path, days: float) -> tuple[Path, Path]:
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize(("days", "least", "passes"), [(30.5, 30, True), (30.5, 31, False), (2.5, 14, False)])
def test_a_certificate_must_be_valid_for_long_enough(secure: Any, days: float, least: int, passes: bool) -> None:
    asked = Asked(wanted(secure(days), min_tls_days=least))
    assert (asked.said == "") is passes, asked.said
    assert f"{int(days)} days" in asked.evidence["certificate"]
    if not passes:
        assert f"expected  a certificate valid for {least} days" in asked.said


def test_an_expired_or_untrusted_certificate_never_passes(secure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the certificate does not verify" in Asked(wanted(secure(-1))).said
    world = secure(30)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert "the certificate does not verify" in Asked(wanted(world, min_tls_days=1)).said


def test_limits_are_not_stretched_by_redirects_that_each_take_their_time(service: Service) -> None:
    service.answers["/"] = Response(status=302, headers={"Location": "/"}, body=b"")
    service.fault(Fault(kind="drip"))
    url = wanted(service, timeout=0.3)
    assert "got       " in Asked(replace(url, attempts=1)).said
