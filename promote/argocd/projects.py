"""AppProjects as Argo CD applies them: read in Argo CD's own namespace, with the sync windows of the global projects that they inherit.

An Application may live in another namespace than Argo CD; its project never does. A project inherits from every entry of `globalProjects` in the
ConfigMap argocd-cm whose label selector it matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promote.core.errors import NotFound
from promote.kube.client import Kube

API = "/apis/argoproj.io/v1alpha1"
INHERITED = "globalProject"  # key added to a window that comes from a global project: its name
_SIGNATURES = ("signatureKeys", "sourceIntegrity")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """One AppProject. `windows`: the raw syncWindows that apply, its own first. `signatures`: the field that demands signed revisions, or ""."""

    name: str
    namespace: str
    windows: tuple[Mapping[str, Any], ...] = ()
    signatures: str = ""


def read_projects(kube: Kube, namespace: str, names: Iterable[str]) -> dict[str, Project]:
    """The projects by name. `namespace`: Argo CD's own.

    Raises NotFound when Argo CD is not in that namespace or a project does not exist there: then it is unknown which rules apply.
    """
    wanted = sorted(set(names))
    if not wanted:
        return {}
    inherits = _global_projects(kube, namespace)
    found = {name: _get(kube, namespace, name) for name in {*wanted, *(str(entry.get("projectName")) for entry in inherits)}}
    if missing := [name for name in wanted if found[name] is None]:
        raise NotFound(
            f"cluster {kube.name}",
            f"there is no AppProject {', '.join(missing)} in namespace {namespace}: its sync windows are unknown",
            hint="set argocd.namespace in promotion.toml to Argo CD's own namespace, or correct spec.project of the applications",
        )
    return {name: _project(name, namespace, found, inherits) for name in wanted}


def _get(kube: Kube, namespace: str, name: str) -> Mapping[str, Any] | None:
    try:
        return kube.get(f"{API}/namespaces/{namespace}/appprojects/{name}")
    except NotFound:
        return None


def _global_projects(kube: Kube, namespace: str) -> list[Mapping[str, Any]]:
    """The entries of `globalProjects`; [] when the text is invalid, which Argo CD ignores too."""
    import yaml

    try:
        data = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/argocd-cm").get("data") or {}
    except NotFound as error:
        raise NotFound(
            f"cluster {kube.name}",
            f"there is no ConfigMap argocd-cm in namespace {namespace}: Argo CD does not run there",
            hint="set argocd.namespace in promotion.toml to Argo CD's own namespace",
        ) from error
    try:
        entries = yaml.safe_load(data.get("globalProjects") or "")
    except yaml.YAMLError:
        return []
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _project(name: str, namespace: str, found: Mapping[str, Mapping[str, Any] | None], inherits: Sequence[Mapping[str, Any]]) -> Project:
    own = found[name] or {}
    spec = own.get("spec") or {}
    windows: list[Mapping[str, Any]] = list(spec.get("syncWindows") or ())
    for entry in inherits:
        parent = str(entry.get("projectName"))
        if parent == name:
            continue
        chosen = selects(entry.get("labelSelector") or {}, (own.get("metadata") or {}).get("labels") or {})
        if chosen is None or (chosen and found[parent] is None):
            break  # Argo CD ignores the entries after a faulty one as well
        if chosen:
            windows += [{**window, INHERITED: parent} for window in ((found[parent] or {}).get("spec") or {}).get("syncWindows") or ()]
    signatures = next((key for key in _SIGNATURES if spec.get(key)), "")
    return Project(name=name, namespace=namespace, windows=tuple(windows), signatures=signatures)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool | None:
    """Whether a Kubernetes label selector selects these labels; None when it has an unknown operator. An empty one selects everything."""
    verdicts: list[bool | None] = [labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()]
    verdicts += [_matches(expression, labels) for expression in selector.get("matchExpressions") or ()]
    return None if None in verdicts else all(verdicts)


def _matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool | None:
    key, values = str(expression.get("key")), expression.get("values") or ()
    meanings = {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }
    return meanings.get(str(expression.get("operator")))
