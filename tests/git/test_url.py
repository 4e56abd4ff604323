"""Which spellings of an address mean the same repository, and which do not."""

from __future__ import annotations

import pytest

from promote.git.url import Addresses, normalise_repository

GITHUB = "https://github.com/acme/gitops.git"
SAME = [
    (GITHUB, "https://github.com/acme/gitops"),
    (GITHUB, "https://github.com/Acme/GitOps.git/"),
    (GITHUB, "https://GitHub.com:443/acme/gitops"),
    (GITHUB, "https://www.github.com/acme/gitops"),
    (GITHUB, "http://github.com/acme/gitops"),
    (GITHUB, "https://x-access-token:secret@github.com/acme/gitops.git"),
    (GITHUB, "https://github.com//acme//gitops.git"),
    (GITHUB, "https://github.com/acme/git%6Fps.git"),
    (GITHUB, "git@github.com:acme/gitops.git"),
    (GITHUB, "git@github.com:/ACME/gitops"),
    (GITHUB, "ssh://git@github.com/acme/gitops.git"),
    (GITHUB, "ssh://git@github.com:22/acme/gitops"),
    (GITHUB, "ssh://git@ssh.github.com:443/acme/gitops.git"),
    (GITHUB, "git+ssh://git@github.com/acme/gitops"),
    (GITHUB, "git://github.com./acme/gitops"),
    (GITHUB, "github.com/acme/gitops"),
    ("https://gitlab.com/acme/platform/gitops.git", "ssh://git@altssh.gitlab.com:443/Acme/platform/gitops"),
    ("https://gitlab.acme.example/acme/gitops.git", "git@gitlab.acme.example:ACME/gitops"),
    ("https://bitbucket.org/acme/gitops.git", "ssh://git@altssh.bitbucket.org:443/acme/gitops.git"),
    ("https://ada@bitbucket.org/acme/gitops.git", "git@bitbucket.org:Acme/gitops.git"),
    ("https://git.acme.example/scm/ops/gitops.git", "ssh://git@git.acme.example:7999/OPS/gitops.git"),
    ("https://git.acme.example/scm/~ada/gitops.git", "ssh://git@git.acme.example:7999/~ada/gitops.git"),
    ("https://acme@dev.azure.com/acme/shop/_git/gitops", "git@ssh.dev.azure.com:v3/acme/shop/gitops"),
    ("https://dev.azure.com/acme/My%20Shop/_git/gitops", "ssh://git@ssh.dev.azure.com/v3/Acme/My%20Shop/gitops"),
    ("https://dev.azure.com/acme/shop/_git/gitops", "https://acme.visualstudio.com/DefaultCollection/shop/_git/gitops"),
    ("https://dev.azure.com/acme/shop/_git/gitops", "acme@vs-ssh.visualstudio.com:v3/acme/shop/gitops"),
    ("https://dev.azure.com/acme/gitops/_git/gitops", "https://dev.azure.com/acme/_git/gitops"),
    ("https://git.example.org/acme/gitops.git", "ssh://git@git.example.org/acme/gitops"),
    ("https://git.example.org:8443/acme/gitops.git", "https://GIT.example.org:8443//acme/gitops/"),
    ("ssh://git@[2001:DB8::7]:22/acme/gitops.git", "git@[2001:db8::7]:acme/gitops"),
    ("/srv/git/gitops.git", "file:///srv/git//gitops"),
]  # fmt: skip
DIFFERENT = [
    (GITHUB, "https://github.com/ada/gitops.git"),  # a fork
    (GITHUB, "https://github.com/acme/gitops2"),
    (GITHUB, "https://github.com/acme/gitops/wiki"),
    (GITHUB, "https://gitlab.com/acme/gitops.git"),
    (GITHUB, "https://github.acme.example/acme/gitops.git"),
    (GITHUB, "https://github.com:8443/acme/gitops.git"),
    (GITHUB, "https://github.com.evil.example/acme/gitops.git"),
    (GITHUB, "https://evil.example/github.com/acme/gitops.git"),
    (GITHUB, "https://github.com@evil.example/acme/gitops.git"),
    ("https://github.com/scm/gitops", "https://github.com/gitops"),
    ("https://git.example.org/acme/gitops", "https://git.example.org/acme/GitOps"),  # files of a plain server
    ("https://git.example.org/acme/gitops", "https://git.example.org:8443/acme/gitops"),
    ("ssh://git@git.example.org:2222/acme/gitops", "ssh://git@git.example.org:2223/acme/gitops"),
    ("https://git.example.org/acme/gitops", "https://git.example.org/gitops"),
    ("https://gitlab.com/acme/platform/gitops", "https://gitlab.com/acme/gitops"),
    ("https://git.example.org/scm/gitops", "https://git.example.org/gitops"),  # an owner named scm
    ("https://dev.azure.com/acme/shop/_git/gitops", "https://dev.azure.com/acme/store/_git/gitops"),
    ("https://dev.azure.com/acme/shop/_git/gitops", "https://other.visualstudio.com/shop/_git/gitops"),
    ("ssh://git@[2001:db8::7]:2222/acme/gitops", "ssh://git@[2001:db8::7]/acme/gitops"),
    ("http://127.0.0.1:4000/acme/gitops", "http://localhost:4000/acme/gitops"),  # nothing in the address says that they are one
    ("/srv/git/gitops", "/srv/git/GitOps"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_repository_compare_equal(one: str, other: str) -> None:
    assert normalise_repository(one) == normalise_repository(other)
    assert other in Addresses.of(one) and one in Addresses.of(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_repositories_stay_two(one: str, other: str) -> None:
    assert normalise_repository(one) != normalise_repository(other)
    assert other not in Addresses.of(one)


def test_an_alias_is_ours_a_declared_foreign_one_is_not_and_any_other_is_unclear() -> None:
    ours = Addresses.of(GITHUB, "https://mirror.corp.example/gitops", foreign=["https://github.com/ada/gitops"])
    assert "git@mirror.corp.example:gitops.git" in ours
    assert not ours.unclear("git@mirror.corp.example:gitops.git")
    assert "https://github.com/ada/gitops.git" not in ours
    assert not ours.unclear("git@github.com:Ada/gitops")
    assert ours.unclear("http://gitea.svc.cluster.local/acme/gitops")
    assert "http://gitea.svc.cluster.local/acme/gitops" in ours.known(ours=["http://gitea.svc.cluster.local/acme/gitops"])
