"""Rules, links and changelogs, as text."""

from __future__ import annotations

import pytest

from promote.candidate.docs import broken_links, document_of, mentions, relative_links, undocumented


@pytest.mark.parametrize(
    ("path", "paths", "document", "wanted"),
    [
        ("apps/grafana/base/x.yaml", "apps/{app}/**", "docs/apps/{app}.md", "docs/apps/grafana.md"),
        ("apps/x.yaml", "apps/{app}/**", "docs/{app}.md", None),
        ("apps/a/b/c.yaml", "apps/*/c.yaml", "d.md", None),
        ("apps/b/c.yaml", "apps/*/c.yaml", "d.md", "d.md"),
        ("c.yaml", "**/*.yaml", "d.md", "d.md"),
        ("a.b/c.yaml", "a.b/*.yaml", "d.md", "d.md"),
        ("axb/c.yaml", "a.b/*.yaml", "d.md", None),
        ("apps/a/a.yaml", "apps/{app}/{app}.yaml", "{app}.md", "a.md"),
        ("apps/a/b.yaml", "apps/{app}/{app}.yaml", "{app}.md", None),
    ],
)
def test_a_rule_names_the_document(path: str, paths: str, document: str, wanted: str | None) -> None:
    assert document_of(path, paths, document) == wanted


def test_a_change_without_its_document_is_found() -> None:
    rules = [("apps/{app}/**", "docs/{app}.md")]
    changed = {"apps/a/x.yaml", "apps/a/y.yaml", "apps/b/x.yaml", "docs/b.md"}
    assert undocumented(changed, rules, changed) == {"docs/a.md": ["apps/a/x.yaml", "apps/a/y.yaml"]}


def test_a_deleted_document_covers_only_files_deleted_with_it() -> None:
    rules = [("apps/{app}/**", "docs/{app}.md")]
    changed = {"apps/a/x.yaml", "apps/a/gone.yaml", "docs/a.md"}
    assert undocumented(changed, rules, {"apps/a/x.yaml"}) == {"docs/a.md": ["apps/a/gone.yaml", "apps/a/x.yaml"]}
    assert undocumented({"apps/a/gone.yaml", "docs/a.md"}, rules, {"apps/a/x.yaml"}) == {"docs/a.md": ["apps/a/gone.yaml"]}
    assert undocumented(changed, rules, set()) == {}, "the whole application went, and its page with it"


PAGE = """# Page [top](top.md "Title") ![shot](img/a%20b.png) <https://x.example> [mail](mailto:a@b)
[there](../up.md#part) [web](https://x.example/y.md) [here](#part) [paren](a_(b).md) [angle](<with space.md>)
`[code](no.md)` and

```sh
[fenced](no.md)
```

<!-- [comment](no.md) -->

[defined]: folder/ 'x'
"""


def test_links_of_a_page() -> None:
    assert relative_links(PAGE) == ["top.md", "img/a b.png", "../up.md", "a_(b).md", "with space.md", "folder/"]


def test_links_that_lead_nowhere() -> None:
    files = {"docs/top.md", "docs/img/a b.png", "up.md", "docs/folder/x.md", "docs/page.md"}
    assert broken_links("docs/page.md", PAGE, files) == ["a_(b).md", "with space.md"]
    assert broken_links("README.md", "[issues](../../issues) [root](/docs/top.md) [no](/docs/no.md)", files) == ["/docs/no.md"]


def test_what_lies_behind_a_symbolic_link_is_not_looked_into() -> None:
    page = "[a](latest) [b](vendor/x/README.md) [c](vendored.md)"
    assert broken_links("README.md", page, {"README.md"}, {"latest": "", "vendor": ""}) == ["vendored.md"]


@pytest.mark.parametrize(
    ("text", "present"),
    [
        ("# Changelog\n\n## v1.8.0\n- a", True),
        ("## [1.8.0] - 2026-11-23\n", True),
        ("### 1.8.0 (2026-11-23)\n", True),
        ("* 1.8.0\n", True),
        ("## v1.8.01\n", False),
        ("## v1.8.0-rc.1\n", False),
        ("## v11.8.0\n", False),
        ("## Unreleased\n- since v1.8.0\n", False),
    ],
)
def test_a_changelog_has_an_entry_for_the_version(text: str, present: bool) -> None:
    assert mentions(text, "v1.8.0") is present
