"""Builds the real stack's programs from the Go modules pinned here, once for each content of the module files.

    python3 tests/realstack/build.py [--with-gitea] [--argocd VERSION] [--into DIR] [--where]

Prints the folder of binaries: ~/.cache/promote-realstack/KEY (or $XDG_CACHE_HOME), KEY being the hash of the module files.
Another version of Argo CD has a folder of its own, KEY-argocd-VERSION, in which everything else leads to KEY.
Each module stands alone: kwok and helm would raise versions that Argo CD pins. Everything comes through Go's own module proxy setting, nothing else.
Needs go >= 1.25.5 (Gitea: 1.26.2 and a C compiler for SQLite). Only the standard library, so that it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
GO = (1, 25)
# program → (module folder, package)
PROGRAMS = {
    "etcd": ("argocd", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": ("argocd", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": ("argocd", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": ("argocd", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kustomize": ("argocd", "sigs.k8s.io/kustomize/kustomize/v5"),
    "argocd": ("argocd", "github.com/argoproj/argo-cd/v3/cmd"),
    "kwok": ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    "helm": ("helm", "helm.sh/helm/v3/cmd/helm"),
}
GITEA = ("gitea", "code.gitea.io/gitea")
ARGO = "github.com/argoproj/argo-cd/v3"
ARGOCD_PARTS = ("argocd", "crds", "argo-cd-source")  # the parts with Argo CD's own version
# other versions of Argo CD that the tests can be run on → their module folder
OTHERS = {"3.1": "argocd-3.1"}


def key() -> str:
    """The first 16 digits of the hash of the module files: go.mod of every module, then go.sum of every module. Other versions do not count."""
    return _hash("argocd", "gitea", "helm", "kwok")


def _hash(*modules: str) -> str:
    files = [HERE / module / name for name in ("go.mod", "go.sum") for module in modules]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "promote-realstack"


def binaries(argocd: str = "") -> Path:
    """Where the programs of these module files are, or will be; with another version of Argo CD when one is named."""
    return cache() / (f"{key()}-argocd-{argocd}-{_hash(OTHERS[argocd])[:8]}" if argocd else key())


def missing(folder: Path, *, gitea: bool = False) -> list[str]:
    return [n for n in [*PROGRAMS, "crds", "argo-cd-source", *(["gitea", "gitea-static"] if gitea else [])] if not (folder / n).exists()]


def build(folder: Path, *, gitea: bool = False) -> None:
    """Build the missing programs. Raises SystemExit with the next command when Go is absent or too old, CalledProcessError when a build fails."""
    _need_go()
    folder.mkdir(parents=True, exist_ok=True)
    for name, (module, package) in PROGRAMS.items():
        _program(folder, name, module, package)
    if gitea:
        _program(folder, "gitea", *GITEA, tags="sqlite sqlite_unlock_notify", cgo="1")
        source = _module_folder(*GITEA)
        for part in ("options", "templates", "public"):
            shutil.copytree(source / part, folder / "gitea-static" / part, dirs_exist_ok=True, copy_function=shutil.copyfile)
    _argocd_files(folder, "argocd")


def build_other(folder: Path, rest: Path, version: str) -> None:
    """Another version of Argo CD beside the programs in `rest`, which are there already. Raises as `build` does."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS.keys() - set(ARGOCD_PARTS):
        _link(folder / name, rest / name)
    _program(folder, "argocd", OTHERS[version], f"{ARGO}/cmd")
    _argocd_files(folder, OTHERS[version])


def _argocd_files(folder: Path, module: str) -> None:
    source = _module_folder(module, ARGO)
    (folder / "crds").mkdir(exist_ok=True)
    for crd in (source / "manifests" / "crds").glob("*-crd.yaml"):
        shutil.copyfile(crd, folder / "crds" / crd.name)
    _link(folder / "argo-cd-source", source)  # manifests and test applications that no one here wrote


def _program(folder: Path, name: str, module: str, package: str, *, tags: str = "", cgo: str = "0") -> None:
    if (folder / name).exists():
        return
    started, unfinished = time.monotonic(), folder / f"{name}.{os.getpid()}.part"
    argv = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", *([f"-tags={tags}"] if tags else []), "-o", str(unfinished), package]
    subprocess.run(argv, cwd=HERE / module, env={**os.environ, "CGO_ENABLED": cgo}, check=True)
    unfinished.rename(folder / name)  # whole or not there
    print(f"built {name} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _module_folder(module: str, package: str) -> Path:
    argv = ["go", "list", "-m", "-f", "{{.Dir}}", package]
    return Path(subprocess.run(argv, cwd=HERE / module, capture_output=True, text=True, check=True).stdout.strip())


def _link(link: Path, target: Path) -> None:
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)


def _need_go() -> None:
    if shutil.which("go") is None:
        sys.exit("not built: needs go >= 1.25.5 on PATH (from go.dev or the package manager)")
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(int(n) for n in said.removeprefix("go").split(".")[:2]) < GO:
        sys.exit(f"not built: needs go >= 1.25.5, this is {said}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with-gitea", action="store_true", help="a real forge too (340 s more on two cores)")
    parser.add_argument("--argocd", choices=[*OTHERS], default="", help="this version of Argo CD beside the pinned one (280 s more on two cores)")
    parser.add_argument("--into", type=Path, default=binaries(), metavar="DIR", help="another folder than the cache's")
    parser.add_argument("--where", action="store_true", help="only print the folder; exit code 1 when something is missing in it")
    args = parser.parse_args()
    wanted = binaries(args.argocd) if args.argocd else args.into
    if args.where:
        print(wanted)
        return 1 if missing(wanted, gitea=args.with_gitea and not args.argocd) else 0
    started = time.monotonic()
    build(args.into, gitea=args.with_gitea)
    if args.into == binaries():
        _link(cache() / "current", args.into)  # what `promote sandbox --real` uses
    if args.argocd:
        build_other(wanted, args.into, args.argocd)
    print(f"the real stack is built ({time.monotonic() - started:.0f} s)", file=sys.stderr)
    print(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
