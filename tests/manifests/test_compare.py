"""Trees against each other: rendering, followed revisions, removed or immutable parts. Files in memory; kustomize is tried elsewhere."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import yaml

from promote.git.url import Addresses
from promote.manifests.compare import Comparison, Expected, compare
from promote.manifests.differences import immutable, keyed, removed
from promote.manifests.inputs import inputs_of
from promote.manifests.tree import Blobs, NotYaml, Tree, objects, parse

URL = "https://github.com/acme/gitops.git"
EXPECTED = Expected(repository=Addresses.of(URL), stable="prod-stable", branch="main")


def tree(files: dict[str, str]) -> Tree:
    ids = {path: hashlib.sha1(text.encode()).hexdigest() for path, text in files.items()}
    contents = {ids[path]: text.encode() for path, text in files.items()}
    return Tree(commit="c" * 40, files=ids, blobs=Blobs(read=lambda oids: {o: contents[o] for o in oids}))


def application(name: str, path: str, revision: str, **more: Any) -> str:
    source = {"repoURL": URL, "path": path, "targetRevision": revision} | more
    body = {"source": source, "destination": {"namespace": name}}
    return yaml.safe_dump({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name}, "spec": body})


def manifest(kind: str, name: str, api: str = "v1", **spec: Any) -> str:
    return yaml.safe_dump({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})


def repository(**changes: str | None) -> dict[str, str]:
    files = {
        "argocd/prod/a.yaml": application("a", "apps/a/prod", "prod-stable"),
        "argocd/prod/b.yaml": application("b", "apps/b", "prod-stable"),
        "argocd/prod/c.yaml": application("c", "apps/b", "prod-stable"),
        "argocd/dev/a.yaml": application("a", "apps/a/dev", "main"),
        "argocd/dev/b.yaml": application("b", "apps/b", "HEAD"),
        "argocd/dev/c.yaml": application("c", "apps/b", "main"),
        "apps/a/base/kustomization.yaml": "resources: [pvc.yaml]\n",
        "apps/a/base/pvc.yaml": manifest("PersistentVolumeClaim", "data", storageClassName="fast"),
        "apps/a/prod/kustomization.yaml": "resources: [../base]\n",
        "apps/a/dev/kustomization.yaml": "resources: [../base]\n",
        "apps/b/deployment.yaml": manifest("Deployment", "b", "apps/v1", selector={"matchLabels": {"a": "b"}}),
        "README.md": "# x\n",
    }
    for path, text in changes.items():
        if text is None:
            del files[path]
        else:
            files[path] = text
    return files


def against(changes: dict[str, str | None], **kwargs: Any) -> Comparison:
    return compare(tree(repository(**changes)), tree(repository()), EXPECTED, kwargs.get("build"))


def test_nothing_changed_nothing_is_rendered() -> None:
    seen = against({"README.md": "# y\n"})
    assert (seen.applications, seen.prod, seen.dev, seen.rendered, seen.unchanged) == (6, 3, 3, (), 3)
    assert not (seen.wrong or seen.unknown or seen.strays or seen.breaking or seen.unsorted)


def test_only_what_reaches_the_change_is_rendered() -> None:
    seen = against({"apps/a/base/pvc.yaml": manifest("PersistentVolumeClaim", "data", storageClassName="fast", x=1)})
    assert seen.rendered == ("apps/a/dev", "apps/a/prod") and seen.unchanged == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"apps/b/deployment.yaml": "apiVersion: v1\nkind: X\nmetadata: {name: a\n"}, "apps/b/deployment.yaml: line 4"),
        ({"apps/b/deployment.yaml": "apiVersion: v1\nkind: X\n"}, "apps/b/deployment.yaml: an object without metadata.name"),
        ({"apps/a/base/pvc.yaml": None}, "apps/a/base/kustomization.yaml: pvc.yaml does not exist"),
        ({"apps/a/prod/kustomization.yaml": "resources: [../base\n"}, "apps/a/prod/kustomization.yaml: line 2"),
        ({"argocd/prod/b.yaml": application("b", "apps/nope", "prod-stable")}, "apps/nope: the folder does not exist"),
    ],
)
def test_what_does_not_build_is_named_with_its_place(changes: dict[str, str | None], message: str) -> None:
    assert any(line.startswith(message) for line in against(changes).wrong), against(changes).wrong


def test_a_file_that_only_looks_like_yaml_is_passed_over_as_argo_cd_does() -> None:
    assert not against({"apps/b/values.yaml": "{{ if .x }}\n"}).wrong


@pytest.mark.parametrize("revision", ["main", "HEAD", "v1", "refs/heads/main"])
def test_a_production_application_that_follows_something_else_is_found(revision: str) -> None:
    seen = against({"argocd/prod/b.yaml": application("b", "apps/b", revision)})
    assert seen.strays == (f"b (argocd/prod) follows {revision}, production follows prod-stable",)


def test_a_dev_application_that_follows_production_is_found() -> None:
    assert against({"argocd/dev/b.yaml": application("b", "apps/b", "prod-stable")}).strays == (
        "b (argocd/dev) follows prod-stable, dev follows main",
    )


def test_the_long_form_of_the_tag_is_the_tag() -> None:
    assert against({"argocd/prod/b.yaml": application("b", "apps/b", "refs/tags/prod-stable")}).strays == ()


def test_a_folder_of_both_belongs_to_neither_unless_the_settings_decide() -> None:
    files = {"all/a.yaml": application("a", "apps/b", "prod-stable"), "all/b.yaml": application("b", "apps/b", "main"), "apps/b/x.yaml": ""}
    assert compare(tree(files), None, EXPECTED, None).unsorted == ("all",)
    expected = Expected(repository=Addresses.of(URL), stable="prod-stable", branch="main", prod=["all"])
    assert compare(tree(files), None, expected, None).strays == ("b (all) follows main, production follows prod-stable",)


def test_applications_that_kustomize_composes_are_read_from_what_it_builds() -> None:
    """The base has main; only the overlay's patch makes it production's."""
    files = {
        "argocd/base/kustomization.yaml": "resources: [a.yaml]\n",
        "argocd/base/a.yaml": application("a", "apps/a", "main"),
        "argocd/prod/kustomization.yaml": "resources: [../base]\npatches: [{path: p.yaml}]\n",
        "argocd/prod/p.yaml": "x: 1\n",
        "apps/a/x.yaml": "",
    }
    built = application("a", "apps/a", "prod-stable")
    assert compare(tree(files), None, EXPECTED, lambda _commit, folder: built if folder == "argocd/prod" else "").prod == 1
    assert compare(tree(files), None, EXPECTED, None).unknown == ("argocd/prod: its kustomization needs `kustomize` (or kubectl) on PATH",)


def test_argo_cds_own_definitions_are_no_applications_and_nothing_is_built_for_them() -> None:
    """A repository that installs Argo CD holds them; building every folder that takes them in cost half a minute a check."""
    definition = manifest(
        "CustomResourceDefinition", "applications.argoproj.io", "apiextensions.k8s.io/v1", group="argoproj.io", names={"kind": "Application"}
    )
    assert "kind: Application\n" in definition
    files = {"install/kustomization.yaml": "resources: [crd.yaml]\nnamePrefix: x-\n", "install/crd.yaml": definition}
    built: list[str] = []

    def build(commit: str, folder: str) -> str:
        built.append(folder)
        return ""

    assert against(files, build=build).applications == 6
    assert built == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"apps/a/prod/kustomization.yaml": "resources: ['https://x.example/y.yaml']\n"}, "fetches https://x.example/y.yaml"),
        ({"apps/a/prod/kustomization.yaml": "helmCharts: [{name: x}]\n"}, "inflates Helm charts"),
        ({"apps/a/prod/kustomization.yaml": None, "apps/a/prod/Chart.yaml": "name: x\n"}, "a Helm chart"),
        ({"apps/b/x.jsonnet": "{}"}, "contains Jsonnet"),
        ({"argocd/prod/b.yaml": application("b", "apps/b", "prod-stable", plugin={"name": "x"})}, ""),
    ],
)
def test_an_unrenderable_application_is_unknown_and_the_reason_is_named(files: dict[str, str | None], message: str) -> None:
    seen = against(files)
    assert not seen.wrong
    if message:
        assert len(seen.unknown) == 1 and message in seen.unknown[0]


def test_removed_applications_and_volumes_and_changed_immutable_fields_break() -> None:
    assert against({"argocd/prod/b.yaml": None}).breaking == ("application b is removed: Argo CD deletes what it deployed",)
    assert against({"argocd/dev/b.yaml": None}).breaking == (), "dev may lose what it likes"
    gone = against({"apps/a/base/kustomization.yaml": "resources: []\n"})
    assert gone.breaking == ("a: PersistentVolumeClaim a/data is removed: its volume may be deleted with it",)
    slow = against({"apps/a/base/pvc.yaml": manifest("PersistentVolumeClaim", "data", storageClassName="slow")})
    assert slow.breaking == ("a: PersistentVolumeClaim a/data: spec.storageClassName changes, which the API server refuses",)


def test_a_first_promotion_breaks_nothing_and_renders_everything() -> None:
    seen = compare(tree(repository()), None, EXPECTED, None)
    assert seen.breaking == () and seen.rendered == ("apps/a/dev", "apps/a/prod", "apps/b") and seen.unchanged == 0


def objs(*documents: dict[str, Any]) -> Any:
    return keyed(documents, "ns")


def test_differences_of_objects() -> None:
    secret = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "immutable": True, "data": {"a": "1"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIP": "10.0.0.1"}}
    free = {**service, "spec": {}}
    assert immutable(objs(secret), objs({**secret, "data": {"a": "2"}})) == ["ConfigMap ns/c: data changes, which the API server refuses"]
    assert immutable(objs(service), objs(free)) == [], "what a manifest leaves out is not changed"
    crd = {"apiVersion": "x", "kind": "CustomResourceDefinition", "metadata": {"name": "foos.x"}}
    assert removed(objs(crd), {}) == ["CustomResourceDefinition foos.x is removed: every object of that kind is deleted with it"]
    assert removed(objs(service), {}) == [], "a service holds nothing"


def test_lists_are_their_items() -> None:
    text = b"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n- {apiVersion: v1, kind: B, metadata: {generateName: b-}}\n"
    assert [o["kind"] for o in objects("x", parse("x", text))] == ["A", "B"]
    with pytest.raises(NotYaml, match="contains a str"):
        list(objects("x", parse("x", b"just words\n")))


def test_everything_a_kustomization_names_is_an_input() -> None:
    files = {
        "o/kustomization.yaml": "resources: [../b]\npatches: [{path: ../shared/p.yaml}]\nconfigMapGenerator: [{name: c, files: [k=../shared/c.txt]}]\n",
        "b/kustomization.yaml": "resources: [x.yaml]\n",
        "b/x.yaml": "",
        "shared/p.yaml": "",
        "shared/c.txt": "",
        "shared/other.txt": "",
    }
    assert inputs_of(tree(files), "o").files == ("b/kustomization.yaml", "b/x.yaml", "o/kustomization.yaml", "shared/c.txt", "shared/p.yaml")


def test_what_lies_behind_a_link_or_in_a_submodule_is_unknown() -> None:
    files = tree(
        repository(
            **{"argocd/prod/b.yaml": application("b", "apps/b", "prod-stable"), "argocd/prod/s.yaml": application("s", "vendor/s", "prod-stable")}
        )
    )
    files.links = {"vendor": "f" * 40}
    assert compare(files, None, EXPECTED, None).unknown == ("vendor/s: lies in vendor, a link or a submodule",)


def test_a_folder_with_a_link_is_never_taken_for_unchanged() -> None:
    now, before = tree(repository()), tree(repository())
    now.commit, now.links, before.links = "d" * 40, {"apps/b/values.yaml": "e" * 40}, {"apps/b/values.yaml": "e" * 40}
    assert compare(now, before, EXPECTED, None).rendered == ("apps/b",)


FAR = "resources: [pvc.yaml, 'https://x.example/y.yaml']\n"


def test_an_unrenderable_application_of_production_is_reported_as_not_compared() -> None:
    """The candidate renders; the volume that goes away is behind something production's commit fetches."""
    before = tree(repository(**{"apps/a/prod/kustomization.yaml": FAR, "apps/a/prod/pvc.yaml": manifest("PersistentVolumeClaim", "old")}))
    seen = compare(tree(repository()), before, EXPECTED, None)
    assert not (seen.breaking or seen.unknown)
    assert seen.uncompared == ("a: production's apps/a/prod: its kustomization fetches https://x.example/y.yaml",)


def test_unreadable_applications_of_production_are_reported_too() -> None:
    before = tree(repository(**{"argocd/prod/kustomization.yaml": "resources: [a.yaml, b.yaml, c.yaml, 'https://x.example/y.yaml']\n"}))
    seen = compare(tree(repository(**{"argocd/prod/b.yaml": None})), before, EXPECTED, None)
    assert seen.uncompared == ("production's argocd/prod: its kustomization fetches https://x.example/y.yaml",)


def test_an_unrenderable_application_of_the_candidate_is_reported_once() -> None:
    far = {"apps/a/prod/kustomization.yaml": FAR}
    seen = compare(tree(repository(**far, **{"apps/a/prod/pvc.yaml": "a: 1\n"})), tree(repository(**far)), EXPECTED, None)
    assert seen.unknown and not seen.uncompared


SET = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "ApplicationSet",
    "metadata": {"name": "all"},
    "spec": {"generators": [{"git": {"repoURL": URL, "directories": [{"path": "apps/*"}]}}], "template": {}},
}


def test_what_a_set_makes_is_unknown_and_its_removal_breaks() -> None:
    with_set: dict[str, str | None] = {"argocd/sets/all.yaml": yaml.safe_dump(SET)}
    assert against(with_set).unknown == ("argocd/sets: only the cluster can generate the applications of ApplicationSet all",)
    gone = compare(tree(repository()), tree(repository(**with_set)), EXPECTED, None)
    assert gone.breaking == ("ApplicationSet all is removed: Argo CD deletes the applications it made",)
    far = yaml.safe_dump(SET).replace("acme/gitops", "acme/other")
    assert against({"argocd/sets/all.yaml": far}).unknown == (), "it has nothing to do with this repository"


def test_a_quoted_kind_is_a_kind() -> None:
    text = application("b", "apps/b", "main").replace("kind: Application", 'kind:  "Application"')
    assert against({"argocd/prod/b.yaml": text}).strays == ("b (argocd/prod) follows main, production follows prod-stable",)


def test_an_application_alone_in_its_folder_that_leaves_production_is_found() -> None:
    """Each folder has one Application, so each votes for itself."""

    def files(revision: str) -> Tree:
        return tree({"apps/web/app.yaml": application("web", "apps/web/m", revision), "apps/web/m/x.yaml": manifest("ConfigMap", "x")})

    seen = compare(files("main"), files("prod-stable"), EXPECTED, None)
    assert seen.strays == ("web (apps/web) follows main, in production's commit it follows prod-stable",)
    assert seen.breaking == (), "it is not removed"
    assert compare(files("main"), files("main"), EXPECTED, None).strays == ()


def several(*values: str, **helm: Any) -> str:
    chart = {"repoURL": "https://charts.example", "chart": "loki", "targetRevision": "6.0.0", "helm": {"valueFiles": list(values), **helm}}
    body = {"sources": [chart, {"repoURL": URL, "ref": "v", "targetRevision": "prod-stable"}], "destination": {"namespace": "loki"}}
    return yaml.safe_dump({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "loki"}, "spec": body})


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        (several("$v/values/loki.yaml"), "a: 1\n", ()),
        (several("$v/values/gone.yaml"), "a: 1\n", ("loki (argocd/prod): its values file values/gone.yaml does not exist",)),
        (several("$v/values/gone.yaml", ignoreMissingValueFiles=True), "a: 1\n", ()),
        (several("$other/values/gone.yaml", "values.yaml"), "a: 1\n", ()),
        (several("$v/values/loki.yaml"), "a: [1\n", ("values/loki.yaml: line 2, column 1: did not find expected ',' or ']'",)),
    ],
)
def test_the_values_that_a_chart_takes_from_here_must_be_there_and_parse(text: str, values: str, message: tuple[str, ...]) -> None:
    assert against({"argocd/prod/loki.yaml": text, "values/loki.yaml": values}).wrong == message


def test_another_version_of_a_chart_from_elsewhere_is_named() -> None:
    old = tree(repository(**{"argocd/prod/loki.yaml": several()}))
    new = tree(repository(**{"argocd/prod/loki.yaml": several().replace("6.0.0", "7.0.0")}))
    assert compare(new, old, EXPECTED, None).unseen == ("loki: loki 6.0.0 → loki 7.0.0",)


@pytest.mark.parametrize(
    ("notes", "breaks"),
    [({}, True), ({"argocd.argoproj.io/hook": "PreSync"}, False), ({"argocd.argoproj.io/sync-options": "Prune=false, Force=true"}, False)],
)
def test_a_job_that_is_recreated_at_every_sync_may_change(notes: dict[str, str], breaks: bool) -> None:
    def job(image: str) -> Any:
        return objs({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "annotations": notes}, "spec": {"template": image}})

    assert bool(immutable(job("a:1"), job("a:2"))) is breaks


def noted(kind: str, name: str, **annotations: str) -> str:
    notes = {f"argocd.argoproj.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return yaml.safe_dump({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "annotations": notes}})


def test_objects_that_the_candidate_drops_are_known_with_what_keeps_them() -> None:
    earlier = {
        "apps/b/plain.yaml": noted("ConfigMap", "plain"),
        "apps/b/kept.yaml": noted("ConfigMap", "kept", sync_options="Replace=true, Prune=false"),
        "apps/b/asks.yaml": noted("ConfigMap", "asks", sync_options="Prune=confirm"),
        "apps/b/hook.yaml": noted("Job", "hook", hook="PreSync"),
        "apps/b/ignored.yaml": noted("ConfigMap", "ignored", compare_options="IgnoreExtraneous"),
    }
    seen = compare(tree(repository()), tree(repository(**earlier)), EXPECTED, None)
    expected = (("ConfigMap b/asks", "Prune=confirm"), ("ConfigMap b/kept", "Prune=false"), ("ConfigMap b/plain", ""))
    assert seen.dropped == {"b": expected, "c": tuple((what.replace(" b/", " c/"), option) for what, option in expected)}
    assert seen.compared == {"a", "b", "c"}


def test_what_was_not_compared_is_not_among_the_compared() -> None:
    chart = application("b", "apps/b", "1.2.3", chart="web", repoURL="https://charts.example.org")
    newer = application("b", "apps/b", "1.2.4", chart="web", repoURL="https://charts.example.org")
    assert compare(tree(repository(**{"argocd/prod/b.yaml": newer})), tree(repository(**{"argocd/prod/b.yaml": chart})), EXPECTED, None).compared == {
        "a",
        "c",
    }
    broken = against({"apps/b/kustomization.yaml": "resources: [gone.yaml]\n"})
    assert not {"b", "c"} & broken.compared
    assert against({"argocd/prod/b.yaml": None}).removed_applications == ("b",)
