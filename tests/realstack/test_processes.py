"""Nothing that was started outlives its owner: the process set alone, and the whole real stack after every kind of end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from promote.sandbox.real.cluster import RealCluster, RealStackError
from promote.sandbox.real.gitea import Gitea
from promote.sandbox.real.processes import Processes, StartError, free_ports
from tests.realstack import build
from tests.realstack.plugin import programs

OWNER = """
import json, sys, time
from pathlib import Path
from promote.sandbox.real.cluster import RealCluster
from promote.sandbox.real.gitea import Gitea
cluster = Gitea(Path(sys.argv[1])) if sys.argv[2] == "gitea" else RealCluster("owner", Path(sys.argv[1]))
try:
    cluster.start()
    print(json.dumps([str(cluster.folder), cluster._guard.pid, cluster.pids]), flush=True)
    time.sleep(600)
finally:
    cluster.stop()
"""


def until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Running, not merely waiting to be collected by its new parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_ports_are_all_different_and_none_that_a_connection_could_be_given() -> None:
    given = range(*map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()))
    ports = free_ports(30)
    assert len(set(ports)) == 30
    assert not set(ports) & set(given)


def test_a_child_that_will_not_hear_and_its_own_child_are_ended(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    script = "trap '' TERM; sleep 600 & echo $! > child; wait; sleep 600"
    processes.start("deaf", ["bash", "-c", script], os.environ)
    until(lambda: (tmp_path / "child").is_file() and bool((tmp_path / "child").read_text().strip()), "the grandchild to start")
    grandchild, child = int((tmp_path / "child").read_text()), processes.pids()["deaf"]
    assert alive(child) and alive(grandchild)
    processes.stop()
    until(lambda: not alive(child) and not alive(grandchild), "both to end")


def test_a_program_that_does_not_come_up_shows_its_log(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start("broken", ["bash", "-c", "echo no such flag; exit 3"], os.environ)
    with pytest.raises(StartError, match="broken did not come up:\nno such flag"):
        processes.wait_port("broken", free_ports(1)[0])
    processes.stop()


def test_a_folder_without_programs_is_named(tmp_path: Path) -> None:
    with pytest.raises(RealStackError, match=r"has no etcd, kube-apiserver, .*just real-stack"):
        RealCluster("none", tmp_path).start()
    with pytest.raises(RealStackError, match=r"has no gitea, gitea-static: .*just real-stack --with-gitea"):
        Gitea(tmp_path).start()


BINARIES = str(build.binaries())  # a test has another HOME
ENDS = ("killed", "interrupted", "terminated", "guard killed")


@pytest.mark.real
@pytest.mark.parametrize("end", ENDS)
def test_nothing_of_a_stack_is_left_whatever_ends_its_owner(end: str, request: pytest.FixtureRequest) -> None:
    nothing_left("cluster", str(programs(request.config)), end, children=8)


@pytest.mark.gitea
@pytest.mark.parametrize("end", ENDS)
def test_nothing_of_a_forge_is_left_whatever_ends_its_owner(end: str) -> None:
    nothing_left("gitea", BINARIES, end, children=1)


def nothing_left(what: str, binaries: str, end: str, *, children: int) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, binaries, what], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert owner.stdout
    folder, guard, pids = json.loads(owner.stdout.readline())
    assert len(pids) >= children and all(alive(pid) for pid in pids.values())
    if end == "guard killed":
        os.kill(guard, signal.SIGKILL)
    else:
        number = {"killed": signal.SIGKILL, "interrupted": signal.SIGINT, "terminated": signal.SIGTERM}[end]
        os.killpg(owner.pid, number)  # as a terminal does: everything in the foreground group
    until(lambda: not any(alive(pid) for pid in [guard, *pids.values()]), "programs are left")
    if end == "guard killed":  # no process is left that could
        shutil.rmtree(folder)
    else:
        until(lambda: not Path(folder).exists(), "the folder is left")
    owner.kill()
    owner.wait()
    owner.stdout.close()
