"""The races with a root and its children: what the root adds, drops and re-points is not there while the status reads well."""

from __future__ import annotations

from tests.contract.place import AUTOMATED, config_map, dump
from tests.realstack.waits.scene import Race, Scene

KEEPS = {**AUTOMATED, "automated": {"selfHeal": True}}
MAPS = {f"{path}/map.yaml": config_map(key=path) for path in ("one", "two", "three")}


def re_pointed(s: Scene) -> Race:
    """the root gives a child another path: the child reads well until the root is synced"""
    root, _ = s.rooted({**MAPS, "root/a.yaml": s.child("a", "one")}, ["a"])
    new = s.commit({"root/a.yaml": s.child("a", "two")})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="two")], root=root)


def re_pointed_late(s: Scene) -> Race:
    """the same, and the child was looked at before the root was"""
    root, _ = s.rooted({**MAPS, "root/a.yaml": s.child("a", "one")}, ["a"])
    new = s.commit({"root/a.yaml": s.child("a", "two")})

    def move() -> None:
        s.move(new)
        s.refresh("a")

    return Race(target=new, move=move, wants=[s.data(key="two")], root=root)


def added(s: Scene) -> Race:
    """the root adds an application, whose pod takes its time"""
    root, _ = s.rooted({**MAPS, "root/a.yaml": s.child("a", "one")}, ["a"])
    more = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "more", "annotations": {"argocd.argoproj.io/sync-wave": "1"}},
        "data": {"key": "c"},
    }
    new = s.commit({"root/c.yaml": s.child("c", "more"), "more/map.yaml": dump(more)})
    s.place.track("c")
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="one"), s.data("more", key="c")], root=root)


def added_broken(s: Scene) -> Race:
    """the root adds an application whose path does not exist"""
    root, _ = s.rooted({**MAPS, "root/a.yaml": s.child("a", "one")}, ["a"])
    new = s.commit({"root/c.yaml": s.child("c", "nowhere")})
    s.place.track("c")
    return Race(target=new, move=lambda: s.move(new), wants=[s.data("more", key="c")], root=root)


def dropped(s: Scene) -> Race:
    """the root drops an application, and what that deployed goes with it"""
    files = {**MAPS, "four/map.yaml": config_map("other", key="four"), "root/a.yaml": s.child("a", "one"), "root/b.yaml": s.child("b", "four")}
    root, _ = s.rooted(files, ["a", "b"])
    new = s.commit({"root/b.yaml": None})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="one"), s.dropped("b"), s.gone("other")], root=root)


def not_pruned(s: Scene) -> Race:
    """the root drops an application and does not prune"""
    files = {**MAPS, "four/map.yaml": config_map("other", key="four"), "root/a.yaml": s.child("a", "one"), "root/b.yaml": s.child("b", "four")}
    root, _ = s.rooted(files, ["a", "b"], syncPolicy=KEEPS)
    new = s.commit({"root/b.yaml": None})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="one"), s.dropped("b")], root=root)


def child_broken(s: Scene) -> Race:
    """the root is well, a child's new path does not exist"""
    root, _ = s.rooted({**MAPS, "root/a.yaml": s.child("a", "one")}, ["a"])
    new = s.commit({"root/a.yaml": s.child("a", "nowhere")})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="two")], root=root)


def root_broken(s: Scene) -> Race:
    """the root's own manifests are broken, its children are well"""
    root, _ = s.rooted({**MAPS, "root/a.yaml": s.child("a", "one")}, ["a"])
    new = s.commit({"root/z.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n", "one/map.yaml": config_map(key="later")})
    z = s.data("z", key="z")
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="later"), z], root=root)


def new_chart(s: Scene) -> Race:
    """the root gives a child another chart: a chart shows no commit"""

    def chart(name: str, version: str) -> bytes:
        source = {"repoURL": s.charts.url, "chart": name, "targetRevision": version}
        return s.child("chart", "", source=source)

    root, _ = s.rooted({"root/chart.yaml": chart("cert-manager", "v1.14.4")}, ["chart"])
    new = s.commit({"root/chart.yaml": chart("trust-manager", "v0.9.0")})
    return Race(target=new, move=lambda: s.move(new), wants=[s.serves("trust-manager:v0.9.0", s.place.name("chart"))], root=root)


ROOTED = (re_pointed, re_pointed_late, added, added_broken, dropped, not_pruned, child_broken, root_broken, new_chart)
