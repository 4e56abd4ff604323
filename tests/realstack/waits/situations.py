"""The races with one application: each function makes production ready and returns the raced change and the state that must hold in the end."""

from __future__ import annotations

from tests.contract.api import ARGO, conditions, synced
from tests.contract.place import AUTOMATED, config_map, deployment, dump, refused_service, waiting_hook
from tests.realstack.waits.scene import TAG, Race, Scene, waits_for_retry

TWO = {"app/map.yaml": config_map(key="two")}
ONCE = {**AUTOMATED, "retry": {"limit": 1, "backoff": {"duration": "4s"}}}
NEVER = {**AUTOMATED, "retry": {"limit": 0}}


def stale(s: Scene) -> Race:
    """what the status shows is from before the move"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit(TWO)
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="two")])


def rolling(s: Scene) -> Race:
    """a Deployment gets a new image"""
    s.deployed({"app/web.yaml": deployment()})
    new = s.commit({"app/web.yaml": deployment(image="web:2")})
    return Race(target=new, move=lambda: s.move(new), wants=[s.serves("web:2")])


def cached(s: Scene) -> Race:
    """Argo CD looks again just after the move, at the refs it has cached"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit(TWO)

    def move() -> None:
        s.move(new)
        s.api.patch(f"{ARGO}/applications/{s.place.name('app')}", {"spec": {"info": [{"name": "note", "value": "touched"}]}})

    return Race(target=new, move=move, wants=[s.data(key="two")])


def refreshed_before(s: Scene) -> Race:
    """a refresh that was asked for just before the move is answered after it"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit(TWO)

    def move() -> None:
        s.refresh("app")
        s.move(new)

    return Race(target=new, move=move, wants=[s.data(key="two")])


def lightweight(s: Scene) -> Race:
    """the tag is a lightweight one"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit(TWO)
    return Race(target=new, move=lambda: s.repo.ref(f"refs/tags/{TAG}", new), wants=[s.data(key="two")])


def nested(s: Scene) -> Race:
    """the tag is a tag of a tag"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit(TWO)
    return Race(target=new, move=lambda: s.repo.nested_tag(TAG, new), wants=[s.data(key="two")])


def unchanged(s: Scene) -> Race:
    """nothing that this application renders changed"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit({"elsewhere.txt": b"x"})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="one")])


def never_ready(s: Scene) -> Race:
    """the sync succeeds, the new pod never gets ready"""
    s.deployed({"app/web.yaml": deployment()})
    new = s.commit({"app/web.yaml": deployment(image="web:2", behaviour="never-ready", deadline=5)})
    return Race(target=new, move=lambda: s.move(new), wants=[s.serves("web:2")])


def crashing(s: Scene) -> Race:
    """the sync succeeds, the new pod crashes"""
    s.deployed({"app/web.yaml": deployment()})
    new = s.commit({"app/web.yaml": deployment(image="web:2", behaviour="crash-loop", deadline=5)})
    return Race(target=new, move=lambda: s.move(new), wants=[s.serves("web:2")])


def crashing_later(s: Scene) -> Race:
    """the new pod is ready, and crashes three seconds later"""
    s.deployed({"app/web.yaml": deployment()})
    new = s.commit({"app/web.yaml": deployment(image="web:2", behaviour="crash-later", deadline=600)})
    return Race(target=new, move=lambda: s.move(new), wants=[s.serves("web:2")])


def no_image(s: Scene) -> Race:
    """the new image cannot be pulled"""
    s.deployed({"app/web.yaml": deployment()})
    new = s.commit({"app/web.yaml": deployment(image="web:2", behaviour="image-pull", deadline=5)})
    return Race(target=new, move=lambda: s.move(new), wants=[s.serves("web:2")])


def refused(s: Scene) -> Race:
    """the API server refuses one object of the new commit"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit({**TWO, "app/bad.yaml": refused_service()})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="two"), s.takes("bad")])


def broken_manifest(s: Scene) -> Race:
    """a manifest of the new commit is no YAML"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit({"app/map.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n"})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="two")])


def emptied(s: Scene) -> Race:
    """nothing is left in the new commit, which Argo CD does not apply"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit({"app/map.yaml": b"# nothing\n"})
    return Race(target=new, move=lambda: s.move(new), wants=[s.gone("settings")])


def slow_hook(s: Scene) -> Race:
    """a hook of the new commit never completes"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit({**TWO, "app/hook.yaml": waiting_hook()})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="two")])


def held_back(s: Scene) -> Race:
    """the fix of a commit whose sync is still being retried: it has to wait until the retries end"""
    s.deployed({"app/map.yaml": config_map()}, syncPolicy=ONCE)
    s.move(s.commit({"app/bad.yaml": refused_service()}))
    s.refresh("app")
    s.api.wait(s.place.name("app"), waits_for_retry)
    fixed = s.commit({**TWO, "app/bad.yaml": None})
    return Race(target=fixed, move=lambda: s.move(fixed), wants=[s.data(key="two")])


def rolled_back_retrying(s: Scene) -> Race:
    """rollback while the sync of the bad commit waits for its retry"""
    old = s.deployed({"app/map.yaml": config_map()})
    before, t_before = s.snapshot()
    s.move(s.commit({**TWO, "app/bad.yaml": refused_service()}))
    s.refresh("app")
    s.api.wait(s.place.name("app"), waits_for_retry)
    return Race(target=old, move=lambda: s.move(old), wants=[s.data(key="one")], rollback=True, before=before, t_before=t_before)


def rolled_back_retrying_addition(s: Scene) -> Race:
    """the same, where the bad commit only added objects: nothing differs after the move back, and the retry adds them again"""
    old = s.deployed({"app/map.yaml": config_map()})
    before, t_before = s.snapshot()
    s.move(s.commit({"app/more.yaml": config_map("more"), "app/bad.yaml": refused_service()}))
    s.refresh("app")
    s.api.wait(s.place.name("app"), waits_for_retry)
    return Race(target=old, move=lambda: s.move(old), wants=[s.data(key="one"), s.gone("more")], rollback=True, before=before, t_before=t_before)


def rolled_back_stuck(s: Scene) -> Race:
    """rollback while the bad commit is retried: it reads Synced and Healthy, and when the obstacle goes, the bad commit is applied after all"""
    retry = {"limit": 5, "backoff": {"duration": "3s", "factor": 1}}
    old = s.deployed({"app/map.yaml": config_map()}, syncPolicy={**AUTOMATED, "retry": retry})
    before, t_before = s.snapshot()
    elsewhere, leak = f"{s.place.namespace}-later", {"apiVersion": "v1", "kind": "ConfigMap", "data": {"key": "bad"}}
    s.move(s.commit({"app/leak.yaml": dump({**leak, "metadata": {"name": "leak", "namespace": elsewhere}})}))
    s.refresh("app")
    s.api.wait(s.place.name("app"), waits_for_retry)

    def move() -> None:
        s.move(old)
        s.later(4, lambda: s.api.create("/api/v1/namespaces", {"metadata": {"name": elsewhere}}))

    wants = [s.data(key="one"), s.gone("leak", elsewhere)]
    return Race(target=old, move=move, wants=wants, rollback=True, before=before, t_before=t_before)


def rolled_back_hook(s: Scene) -> Race:
    """rollback while a hook of the bad commit hangs"""
    old = s.deployed({"app/map.yaml": config_map()})
    before, t_before = s.snapshot()
    s.move(s.commit({**TWO, "app/hook.yaml": waiting_hook()}))
    s.refresh("app")
    s.api.wait(s.place.name("app"), lambda a: "waiting for completion of hook" in ((a["status"].get("operationState") or {}).get("message") or ""))
    return Race(target=old, move=lambda: s.move(old), wants=[s.data(key="one")], rollback=True, before=before, t_before=t_before)


def rolled_back(s: Scene) -> Race:
    """rollback of a commit that never got ready"""
    old = s.deployed({"app/web.yaml": deployment()})
    before, t_before = s.snapshot()
    s.move(bad := s.commit({"app/web.yaml": deployment(image="web:2", behaviour="never-ready", deadline=3)}))
    s.refresh("app")
    s.api.wait(s.place.name("app"), synced(bad, "Degraded"))
    return Race(target=old, move=lambda: s.move(old), wants=[s.serves("web:1")], rollback=True, before=before, t_before=t_before)


def tried_before(s: Scene) -> Race:
    """a commit whose sync failed once, after a rollback, again: auto-sync does not try it again"""
    old = s.deployed({"app/map.yaml": config_map()}, syncPolicy=NEVER)
    name, bad = s.place.name("app"), s.commit({**TWO, "app/bad.yaml": refused_service()})
    s.move(bad)
    s.api.wait(name, lambda a: "SyncError" in conditions(a), refresh=True)
    s.move(old)
    s.api.wait(name, lambda a: a["status"]["sync"]["revision"] == old, refresh=True)
    return Race(target=bad, move=lambda: s.move(bad), wants=[s.data(key="two"), s.takes("bad")])


def no_auto_sync(s: Scene) -> Race:
    """auto-sync is off"""
    s.deployed({"app/map.yaml": config_map()})
    s.api.patch(f"{ARGO}/applications/{s.place.name('app')}", {"spec": {"syncPolicy": {"automated": None}}})
    new = s.commit(TWO)
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="two")])


def denied(s: Scene) -> Race:
    """a sync window denies it"""
    anything = {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}], "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}
    project = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": s.word, "namespace": "argocd"}, "spec": anything}
    s.api.create(f"{ARGO}/appprojects", project)
    s.deployed({"app/map.yaml": config_map()}, project=s.word)
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    s.api.patch(f"{ARGO}/appprojects/{s.word}", {"spec": {"syncWindows": [window]}})
    new = s.commit(TWO)
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="two")])


def absent_for_a_moment(s: Scene) -> Race:
    """the tag was deleted and pushed again, and Argo CD looked in between"""
    s.deployed({"app/map.yaml": config_map()})
    new = s.commit(TWO)

    def move() -> None:
        s.repo.ref(f"refs/tags/{TAG}", "")
        s.refresh("app")
        s.api.wait(s.place.name("app"), lambda a: "ComparisonError" in conditions(a))
        s.move(new)

    return Race(target=new, move=move, wants=[s.data(key="two")])


def shadowed(s: Scene) -> Race:
    """a branch has the tag's name: Argo CD follows either, decided again at every look"""
    old = s.deployed({"app/map.yaml": config_map()})
    new = s.commit(TWO)

    def move() -> None:
        s.repo.ref(f"refs/heads/{TAG}", old)
        s.move(new)

    return Race(target=new, move=move, wants=[s.data(key="two")], stir=lambda: s.refresh("app"))


def moved_on(s: Scene) -> Race:
    """another user moves the tag on a second later"""
    s.deployed({"app/map.yaml": config_map()})
    new, theirs = s.commit(TWO), s.commit({"app/map.yaml": config_map(key="three")})

    def move() -> None:
        s.move(new)
        s.later(1, lambda: s.move(theirs))

    return Race(target=new, move=move, wants=[s.data(key="two")], stir=lambda: s.refresh("app"))


def drifted(s: Scene) -> Race:
    """a live object was changed by hand, and nothing heals it"""
    s.deployed({"app/map.yaml": config_map()}, syncPolicy={**AUTOMATED, "automated": {"prune": True}})
    path = f"/api/v1/namespaces/{s.place.namespace}/configmaps/settings"
    s.api.patch(path, {"data": {"key": "by hand"}})
    new = s.commit({"elsewhere.txt": b"x"})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data(key="one")])


def deleted(s: Scene) -> Race:
    """the application is deleted during the wait, with what it deployed"""
    s.deployed({"app/web.yaml": deployment(), "app/map.yaml": config_map()})
    new = s.commit(TWO)

    def move() -> None:
        s.move(new)
        s.later(0.5, lambda: s.api.delete(f"{ARGO}/applications/{s.place.name('app')}"))

    return Race(target=new, move=move, wants=[s.data(key="two"), s.serves("web:1")])


def two_sources(s: Scene) -> Race:
    """two sources, one of which follows the tag"""
    old = s.commit({"one/map.yaml": config_map("one"), "two/map.yaml": config_map("two")})
    s.move(old)
    sources = [s.place.source("main", "two"), s.place.source(TAG, "one")]
    s.api.wait(s.app("app", "", sources=sources), synced(old))
    new = s.commit({"one/map.yaml": config_map("one", key="two")})
    return Race(target=new, move=lambda: s.move(new), wants=[s.data("one", key="two")])


ALONE = (
    stale, rolling, cached, refreshed_before, lightweight, nested, unchanged, never_ready, crashing, crashing_later, no_image, refused,
    broken_manifest, emptied, slow_hook, held_back, rolled_back_retrying, rolled_back_retrying_addition, rolled_back_stuck, rolled_back_hook, rolled_back, tried_before,
    no_auto_sync, denied, absent_for_a_moment, shadowed, moved_on, drifted, deleted, two_sources,
)  # fmt: skip
