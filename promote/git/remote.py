"""The remote repository: its current refs, the objects behind them, and the leased push.

Local tags are never read: `git fetch` silently keeps an outdated tag, so only `ls-remote` shows a tag's value. Only `fast_forward` touches the work
tree. Fetched refs are stored under refs/promote-remote/.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from promote.core.errors import NotFound, PromoteError, ServiceError, Unreachable, UsageError
from promote.core.model import Tag, short
from promote.git.errors import git_error, mask
from promote.git.local_refs import LocalRefs
from promote.git.parse import LOG, SIZE, Commit, TagObject, parse_log, parse_refs, parse_size, parse_tag, require_tag
from promote.git.process import Done, password_aside, run_git, run_git_with_retries, token_place
from promote.git.push import Pushed, PushResult, RefUpdate, push_arguments, read_push

NESTED = 10  # tags of tags: a person makes two by mistake


class GitRemote:
    """One clone and its remote. Raises the classes of promote.core.errors, with git's own output in the message.

    Refs that begin with `keeps` are read and written in this clone instead: for an account that may push tags only.
    `learn` receives a password in the remote's URL, to mask it: a server's answer may repeat it.
    """

    def __init__(
        self, root: Path, remote: str, *, token: str | None = None, timeout_s: float = 60.0, keeps: str = "",
        learn: Callable[..., None] = lambda *_: None,
    ) -> None:  # fmt: skip
        self.root, self.remote, self._learn = root, remote, learn
        self._token, self._timeout_s = token, timeout_s
        self._local = LocalRefs(self._read, self.git, keeps)

    def with_timeout(self, timeout_s: float) -> GitRemote:
        """The same clone and remote with a shorter limit for one command, in seconds."""
        return GitRemote(
            self.root, self.remote, token=self._token, timeout_s=min(timeout_s, self._timeout_s), keeps=self._local.prefix, learn=self._learn
        )

    def git(self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Done:
        """Run any git command in this clone; the caller checks the exit code."""
        return run_git_with_retries(self.root, *args, stdin=stdin, env={**self._aside, **(env or {})}, timeout_s=self._timeout_s, token=self._token)

    @cached_property
    def _aside(self) -> dict[str, str]:
        url = run_git(self.root, "remote", "get-url", self.remote, timeout_s=self._timeout_s).out.strip()
        aside = password_aside(url) | token_place(url)
        if password := aside.get("PROMOTE_URL_PASSWORD"):
            self._learn(password, f"{aside['PROMOTE_URL_USER']}:{password}")
        return aside

    def _read(self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> str:
        done = self.git(*args, stdin=stdin, env=env)
        if done.code:
            raise self._error(done, " ".join(args[:2]))
        return done.out.strip("\n")

    def _error(self, done: Done, what: str) -> Exception:
        def in_repository() -> bool:
            return self.git("rev-parse", "--git-dir").code == 0

        return git_error(done, what, remote=self.remote, root=self.root, timeout_s=self._timeout_s, in_repository=in_repository)

    # -- the clone ---------------------------------------------------------------------------------------------------------------------

    @cached_property
    def url(self) -> str:
        """The remote's URL as configured (insteadOf applied), without user and password."""
        return mask(self._read("remote", "get-url", self.remote))

    @cached_property
    def git_dir(self) -> Path:
        """The common git directory: shared by all work trees of this clone."""
        return (self.root / self._read("rev-parse", "--git-common-dir")).resolve()

    @cached_property
    def top(self) -> Path:
        """The top of the work tree."""
        return Path(self._read("rev-parse", "--show-toplevel"))

    def head(self) -> str:
        """The commit id of HEAD. Raises ServiceError when git cannot read it."""
        done = self.git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if done.code:
            raise UsageError(f"HEAD of {self.root} has no commit yet", hint=f"git pull {self.remote}, or switch to a branch that has one")
        return done.out.strip()

    def branch(self) -> str | None:
        """The branch checked out, or None when HEAD is detached. Raises when git cannot read HEAD."""
        done = self.git("symbolic-ref", "--quiet", "--short", "HEAD")
        if done.code > 1:  # 1: HEAD is detached
            raise self._error(done, "symbolic-ref HEAD")
        return done.out.strip() or None

    def dirty(self) -> list[str]:
        """Changed or untracked paths of the work tree."""
        output = self._read("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal")  # the user's default may be "no"
        return [entry[3:] for entry in output.split("\0") if entry]

    def is_shallow(self) -> bool:
        """Whether the clone lacks older history (`git clone --depth`)."""
        return self._read("rev-parse", "--is-shallow-repository") == "true"

    def fast_forward(self, commit: str) -> None:
        """Fast-forward the checked-out branch and work tree to `commit`; git refuses anything else."""
        done = self.git("-c", f"branch.{self.branch()}.mergeOptions=", "merge", "--ff-only", "--quiet", commit)
        if done.code:
            raise self._error(done, f"merge --ff-only {short(commit)}")

    # -- the remote's refs -------------------------------------------------------------------------------------------------------------

    def refs(self, *names: str) -> dict[str, Tag]:
        """The current values of these refs on the remote, from one `ls-remote`; patterns like `refs/tags/dev-*` work too. Omits absent refs.

        Raises Unreachable when the remote shows no ref at all.
        """
        here, names = self._local.split(names)
        if here and not names:
            return self._local.refs(here)
        held = self._listed("HEAD", *names, *(f"{n}^{{}}" for n in names))
        # git takes a proxy's error page for an answer without refs (seen).
        if not held and not self._listed():
            raise Unreachable(
                f"git remote {self.remote}",
                f"{self.url} answered without a single ref",
                hint="this is an empty repository, or not a git server at all (a proxy's page?): try `git ls-remote`",
            )
        return {
            name: Tag(ref=name, object=oid, commit=held.get(f"{name}^{{}}", oid))
            for name, oid in held.items()
            if not name.endswith("^{}") and any(fnmatchcase(name, pattern) for pattern in names)
        } | (self._local.refs(here) if here else {})

    def _listed(self, *patterns: str) -> dict[str, str]:
        return parse_refs(self._read("ls-remote", "--quiet", self.remote, *patterns))

    def ref(self, name: str) -> Tag | None:
        """One ref as the remote has it now, by its full name (`refs/tags/v1`); None when the remote has none. Raises as `refs`."""
        return self.refs(name).get(name)

    def fetch(self, *refs: str) -> None:
        """Fetch the objects behind these remote refs. Raises NotFound when a ref no longer exists."""
        _, refs = self._local.split(refs)
        if not refs:
            return
        specs = [f"+{ref}:refs/promote-remote/{ref.removeprefix('refs/')}" for ref in refs]
        done = self.git(
            "fetch", "--no-tags", "--no-write-fetch-head", "--quiet", "--no-auto-maintenance", "--no-recurse-submodules", self.remote, *specs
        )
        if done.code and "couldn't find remote ref" in done.err:
            raise NotFound(
                f"git remote {self.remote}", " ".join(done.err.split()), hint="the ref is not on the remote (any more); look with `promote status`"
            )
        if done.code:
            raise self._error(done, "fetch")

    def push(self, *updates: RefUpdate) -> PushResult:
        """Change all refs together or none. UNKNOWN is not a failure: read the refs to learn the outcome."""
        here, there = self._local.divide(updates)
        if here and (stale := self._local.stale(here)):
            return PushResult(outcome=Pushed.STALE, text=stale)
        if there:
            result = read_push(self.git(*push_arguments(self.remote, there)), there)
            if result.outcome is not Pushed.DONE:
                return PushResult(outcome=result.outcome, text=mask(result.text))
        return self._local.write(here) if here else PushResult(outcome=Pushed.DONE)

    def push_and_look(self, *updates: RefUpdate) -> tuple[bool, PushResult, dict[str, Tag]]:
        """Push, and resolve an unclear answer by reading the refs: (whether every ref has its new value, git's answer, the refs read)."""
        result = self.push(*updates)
        if result.outcome is Pushed.DONE:
            return True, result, {}
        seen = self.refs(*(u.ref for u in updates))
        here, there = self._local.divide(updates)
        if here and there and all(u.is_done(seen) for u in there) and self._local.write(here).outcome is Pushed.DONE:
            return True, result, seen  # the push landed although its answer was lost: the local refs follow, as after an answer
        return all(u.is_done(seen) for u in updates), result, seen

    # -- objects -----------------------------------------------------------------------------------------------------------------------

    def has(self, oid: str) -> bool:
        """Whether an object is in this clone; the remote is not contacted."""
        return self.git("cat-file", "-e", oid).code == 0

    def commit_of(self, revision: str) -> str:
        """Peel any object to its commit, through any number of nested tags."""
        return self._read("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")

    def chain(self, oid: str) -> tuple[str, ...]:
        """An object and everything it peels through, the commit last: tag → tag → commit. The objects must be in this clone."""
        seen = [oid]
        while self.kind(seen[-1]) == "tag":
            if len(seen) > NESTED:
                raise ServiceError("git", f"the tag {short(oid)} is nested more than {NESTED} deep", hint="make the tag again, at the commit itself")
            seen.append(self.read_tag(seen[-1]).target)
        return tuple(seen)

    def kind(self, oid: str) -> str:
        """`commit`, `tag`, `tree` or `blob`. Raises ServiceError when the object is not in this clone."""
        return self._kind_and_size(oid)[0]

    def _kind_and_size(self, name: str) -> tuple[str, int]:
        return parse_size(self._read("cat-file", SIZE, stdin=f"{name}\n".encode()), name)

    def read_tag(self, oid: str) -> TagObject:
        """The annotated tag with this object id, which must be in this clone. Raises ServiceError when it cannot be read."""
        require_tag(oid, *self._kind_and_size(oid))
        return parse_tag(oid, self._read("cat-file", "tag", oid))

    def make_tag(self, *, name: str, commit: str, message: str) -> str:
        """Write an annotated tag object, without a ref, and return its id."""
        ident = self._read("var", "GIT_COMMITTER_IDENT", env=self.identity)
        return self._read("mktag", stdin=f"object {commit}\ntype commit\ntag {name}\ntagger {ident}\n\n{message.rstrip()}\n".encode())

    @cached_property
    def identity(self) -> dict[str, str]:
        """Environment variables that name a committer where git has none configured (a CI runner); empty otherwise."""
        if self.git("var", "GIT_COMMITTER_IDENT").code == 0:
            return {}
        who = {"NAME": "promote", "EMAIL": "promote@localhost"}
        return {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in who.items()}

    def commit_file(self, base: str | None, path: str, content: str, message: str) -> str:
        """Write a commit on `base` (None: a root commit) that adds or replaces one file; returns its id. Changes no work tree, index or ref."""
        try:  # in the git directory: the temporary folder may be full or deleted at the end of a long promotion
            folder = tempfile.TemporaryDirectory(dir=self.git_dir, prefix="promote-index-")
        except OSError as error:
            raise PromoteError(f"cannot write to {self.git_dir}: {error.strerror}", hint="free space or make it writable") from error
        with folder as scratch:
            env = self.identity | {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            self._read("read-tree", base or "--empty", env=env)
            blob = self._read("hash-object", "-w", "--stdin", stdin=content.encode())
            self._read("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
            tree = self._read("write-tree", env=env)
            return self._read("commit-tree", tree, *(("-p", base) if base else ()), stdin=message.encode(), env=env)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether the commit `newer` contains `older`, or is that commit. Both must be in this clone, otherwise raises ServiceError."""
        done = self.git("merge-base", "--is-ancestor", older, newer)
        if done.code not in (0, 1):
            raise self._error(done, "merge-base")
        return done.code == 0

    def count(self, revisions: str) -> int:
        """The number of commits in a range like `old..new`."""
        return int(self._read("rev-list", "--count", revisions, "--"))

    def log(self, revisions: str, limit: int = 1000) -> list[Commit]:
        """The commits of a range like `old..new`, newest first, at most `limit`."""
        return parse_log(self._read("log", "-z", f"-{limit}", LOG, revisions, "--"))

    def commit(self, oid: str) -> Commit:
        """One commit of this clone. Raises ServiceError for another object: a tag may be at a tree or a blob."""
        if found := self.log(oid, limit=1):
            return found[0]
        raise ServiceError("git", f"{short(oid)} is a {self.kind(oid)}, not a commit", hint="move or delete the tag that is there")

    def changed_paths(self, old: str, new: str) -> list[str]:
        """The paths of all files that differ between two commits; a renamed file counts as removed and added."""
        return [p for p in self._read("diff", "--name-only", "-z", "--no-renames", old, new, "--").split("\0") if p]

    def changed_in_tree(self, commit: str, *paths: str) -> list[str]:
        """Files of the work tree under these paths that differ from a commit, untracked ones included."""
        differ = [p for p in self._read("diff", "--name-only", "-z", "--no-renames", commit, "--", *paths).split("\0") if p]
        new = self._read("ls-files", "--others", "--exclude-standard", "-z", "--", *paths).split("\0")
        return differ + [p for p in new if p]

    def tree_id(self, commit: str, path: str) -> str | None:
        """The id of a file or folder in a commit, or None when it does not exist. Equal ids mean equal contents."""
        return self.git("rev-parse", "--verify", "--quiet", f"{commit}:{path}").out.strip() or None

    def file(self, commit: str, path: str, *, most: int | None = None) -> str | None:
        """The text of a file in a commit; None when the commit has none.

        Raises ServiceError when it cannot be read (a partial clone offline), and when it has more than `most` bytes.
        """
        if most is not None and (oid := self.tree_id(commit, path)) and (size := self._kind_and_size(oid)[1]) > most:
            raise ServiceError("git", f"{path} has {size} bytes, more than the {most} that are read", hint=f"see `git show {short(commit)}:{path}`")
        done = self.git("cat-file", "blob", f"{commit}:{path}")
        if done.code == 0:
            return done.out
        if self.tree_id(commit, path) or not self.has(commit):
            raise self._error(done, f"cat-file {path}")
        return None

    def names(self, commit: str) -> list[str]:
        """The names of the files and folders at the top of a commit's tree."""
        return [n for n in self._read("ls-tree", "-z", "--name-only", commit).split("\0") if n]

    def describe(self, commit: str) -> str:
        """`4f0a9b1 "subject"` for display; only the id of a commit that is not in this clone."""
        done = self.git("log", "-1", "--format=%s", commit, "--")
        return f'{short(commit)} "{done.out.strip()}"' if done.code == 0 else short(commit)
