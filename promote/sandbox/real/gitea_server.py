"""Gitea on loopback, as its guard starts it: its configuration, its only program, its first administrator. Nothing of it leaves STATE.

What it needs that is not obvious: STATIC_ROOT_PATH is the folder with its templates; as root it starts only with I_AM_BEING_UNSAFE_RUNNING_AS_ROOT;
git's hooks run `gitea hook`, which reads the same file and talks to the server, so secrets that it would make up itself are given.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from promote.sandbox.real.processes import Processes, StartError, free_ports
from promote.sandbox.real.programs import new_token

NEEDED = ("gitea", "gitea-static")
ADMIN = "acme"  # owns every repository
START_S = 60.0


def bring_up(binaries: Path, state: Path, processes: Processes) -> dict[str, object]:
    """Start it and make the administrator. Returns the guard's answer: url and ports."""
    (port,) = free_ports(1)
    url, config, env = f"http://127.0.0.1:{port}", state / "app.ini", environment(state)
    (state / "tmp").mkdir(exist_ok=True)
    config.touch(mode=0o600)
    config.write_text(configuration(binaries, state, port))
    processes.start("gitea", [binaries / "gitea", "--work-path", state, "--config", config, "web"], env)
    processes.wait_port("gitea", port)
    _wait_healthy(url, processes)
    _administrator(binaries, state, env)
    return {"url": url, "ports": {"gitea": port}}


def environment(state: Path) -> Mapping[str, str]:
    """Nothing of the caller's git or home."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(state), "TMPDIR": str(state / "tmp"), "USER": getpass.getuser()}


def configuration(binaries: Path, state: Path, port: int) -> str:
    """app.ini: everything that a forge does beside git and its API is off."""
    root = {"I_AM_BEING_UNSAFE_RUNNING_AS_ROOT": "true"} if os.geteuid() == 0 else {}
    top = {"APP_NAME": "Gitea", "RUN_MODE": "prod", "RUN_USER": getpass.getuser(), "WORK_PATH": str(state), **root}
    off = {"ENABLED": "false"}
    sections: dict[str, dict[str, str]] = {
        "server": {
            "HTTP_ADDR": "127.0.0.1", "HTTP_PORT": str(port), "ROOT_URL": f"http://127.0.0.1:{port}/", "LOCAL_ROOT_URL": f"http://127.0.0.1:{port}/",
            "DISABLE_SSH": "true", "OFFLINE_MODE": "true", "STATIC_ROOT_PATH": str(binaries / "gitea-static"), "LFS_START_SERVER": "false",
        },
        "database": {"DB_TYPE": "sqlite3", "PATH": str(state / "gitea.db"), "SQLITE_JOURNAL_MODE": "WAL", "SQLITE_TIMEOUT": "20000"},
        "security": {"INSTALL_LOCK": "true", "SECRET_KEY": secrets.token_hex(32), "INTERNAL_TOKEN": secrets.token_hex(32)},
        "repository": {"ROOT": str(state / "repositories"), "DEFAULT_BRANCH": "main"},
        "service": {"DISABLE_REGISTRATION": "true"},
        "log": {"MODE": "console", "LEVEL": "Warn"},
        "indexer": {"ISSUE_INDEXER_TYPE": "db"},
        "queue": {"TYPE": "channel"},
        "picture": {"DISABLE_GRAVATAR": "true"},
        "oauth2": off, "cron": off, "actions": off, "packages": off, "mailer": off,
    }  # fmt: skip
    lines = [f"{key} = {value}" for key, value in top.items()]
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _wait_healthy(url: str, processes: Processes) -> None:
    opener, end = urllib.request.build_opener(urllib.request.ProxyHandler({})), time.monotonic() + START_S
    while time.monotonic() < end and not processes.dead():
        try:
            with opener.open(f"{url}/api/healthz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise StartError(f"gitea is not healthy:\n{processes.tail('gitea')}")


def _administrator(binaries: Path, state: Path, env: Mapping[str, str]) -> None:
    """The first account, by Gitea's own command; its token is left in STATE/admin.json."""
    argv = [
        str(binaries / "gitea"), "--work-path", str(state), "--config", str(state / "app.ini"), "admin", "user", "create", "--admin",
        "--username", ADMIN, "--password", new_token(), "--email", f"{ADMIN}@acme.example", "--must-change-password=false",
        "--access-token", "--access-token-name", "sandbox", "--access-token-scopes", "all",
    ]  # fmt: skip
    done = subprocess.run(argv, env=dict(env), cwd=state, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    token = next((line.split()[-1] for line in done.stdout.splitlines() if "token" in line.lower()), "")
    if done.returncode or not token:
        raise StartError(f"gitea's administrator was not made: {done.stdout[-500:]}{done.stderr[-500:]}")
    file = state / "admin.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"token": token}))
