import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.damage import lose
from thinmesh.adapters.git.care import GitCare
from thinmesh.adapters.git.data import GitDataRepository
from thinmesh.adapters.git.hooks import write_hooks
from thinmesh.adapters.git.log import GitLogRepository
from thinmesh.adapters.git.settings import write_global_settings, write_settings
from thinmesh.kernel.errors import Conflict, Internal, Temporary
from thinmesh.kernel.repository import Signature

ALICE = Signature("alice", "alice@example.org")


@pytest.fixture
def data(tmp_path):
    return GitDataRepository.create(tmp_path / "data.git", fsync=False)


def change(data):
    return data.commit(data.tip(), {"d/p/t.csv": data.add(os.urandom(8))}, ALICE, "Change")


def test_is_not_made_over_something_else(tmp_path):
    (tmp_path / "data.git").mkdir()
    (tmp_path / "data.git" / "precious").touch()
    for kind in (GitDataRepository, GitLogRepository):
        with pytest.raises(Conflict):
            kind.create(tmp_path / "data.git")
    assert [path.name for path in (tmp_path / "data.git").iterdir()] == ["precious"]


def test_what_is_no_repository_is_said_to_be_damaged(tmp_path):
    with pytest.raises(Internal):
        GitDataRepository(tmp_path / "nowhere").tip()


def test_a_lock_left_behind_is_removed(data):
    lock = data.path / "refs/heads/main.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    old, new = data.tip(), change(data)
    data.move(old, new)
    assert data.tip() == new
    assert not lock.exists()


def test_a_fresh_lock_is_waited_for(data):
    """Somebody at work on the same ref is let finish."""
    lock = data.path / "refs/heads/main.lock"
    lock.touch()
    timer = threading.Timer(0.2, lock.unlink)
    start = time.monotonic()
    timer.start()
    old, new = data.tip(), change(data)
    data.move(old, new)
    assert time.monotonic() - start >= 0.15
    assert data.tip() == new
    timer.join()


def test_locks_are_cleared_when_a_home_is_opened(data):
    for name in ("config.lock", "HEAD.lock", "refs/heads/main.lock"):
        (data.path / name).touch()
    (data.path / "objects" / "tmp_objdir-incoming-x" / "pack").mkdir(parents=True)
    left = ["HEAD.lock", "config.lock", "objects/tmp_objdir-incoming-x", "refs/heads/main.lock"]
    assert sorted(data.clear_locks()) == left
    assert not (data.path / "objects" / "tmp_objdir-incoming-x").exists()
    assert data.clear_locks() == []


FULL = """
import resource, signal, sys
from pathlib import Path
from thinmesh.adapters.git.care import GitCare
from thinmesh.adapters.git.data import GitDataRepository
from thinmesh.adapters.git.log import GitLogRepository
from thinmesh.kernel.errors import Temporary
data, log = GitDataRepository(Path(sys.argv[1])), GitLogRepository(Path(sys.argv[2]))
import os
content = os.urandom(200_000)
Path(sys.argv[3]).write_bytes(content)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for write in (
    lambda: data.add(content),
    lambda: data.stage(sys.argv[3]),
    lambda: log.append(log.tip(), [b"fits", content]),
):
    try:
        write()
    except Temporary:
        continue
    sys.exit("written")
"""


def test_a_full_disk_is_temporary_and_leaves_everything_as_it_was(tmp_path):
    """No file may grow above 1,000 bytes there, which libgit2 meets as it would meet a full disk."""
    data = GitDataRepository.create(tmp_path / "data.git", fsync=False)
    log = GitLogRepository.create(tmp_path / "log.git", fsync=False)
    ids = log.append("", [b"one"])
    command = [sys.executable, "-c", FULL, str(data.path), str(log.path), str(tmp_path / "big.csv")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [entry for _, entry in GitLogRepository(log.path, fsync=False).read()] == [b"one"]
    assert GitLogRepository(log.path, fsync=False).append(ids[-1], [b"two"])


def test_packing_changes_nothing_for_those_who_read_and_write(tmp_path, data):
    log = GitLogRepository.create(tmp_path / "log.git", fsync=False)
    ids = list(log.append("", [b"begin"]))
    for number in range(0, 300, 10):
        ids += log.append(ids[-1], [b"%d" % (number + each) for each in range(10)])
    edits = {f"d/p{number}/t.csv": data.add(b"%d" % number) for number in range(1200)}
    data.move(data.tip(), data.commit(data.tip(), edits, ALICE, "Many"))
    before = data.files(data.tip())
    pending = data.commit(data.tip(), {"d/x/t.csv": data.add(b"not yet named by a ref")}, ALICE, "Pending")
    for care in (GitCare(data.path), GitCare(log.path)):
        assert care.tidy() > 0
        assert care.tidy() == 0
        care.sweep()
    assert data.files(data.tip()) == before
    data.move(data.tip(), pending)
    assert data.read(data.file(data.tip(), "d/x/t.csv").id) == b"not yet named by a ref"
    ids += log.append(ids[-1], [b"after"])
    assert [id for id, _ in log.read()] == ids
    assert len(list(GitLogRepository(log.path, fsync=False).read(ids[10]))) == 291


def test_packs_that_are_gone_are_let_go_of(data):
    """A server runs for months, and packs every hour: what it held open would fill its table of files, and the disk."""
    for _ in range(5):
        data.move(data.tip(), change(data))
        GitCare(data.path).tidy()
        assert data.files(data.tip())
    opened = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert [path for path in opened if path.startswith(str(data.path)) and path.endswith("(deleted)")] == []


def test_a_log_that_lost_an_entry_says_so(tmp_path):
    log = GitLogRepository.create(tmp_path / "log.git", fsync=False)
    ids = log.append("", [b"one", b"two", b"three"])
    lose(log.path, ids[0])
    with pytest.raises(Internal, match="damaged"):
        list(GitLogRepository(log.path, fsync=False).read())


@pytest.mark.parametrize("name", ["plain", "with blank", 'quo"te', "back\\slash", "new\nline", "#hash;", "ünï"])
def test_git_reads_the_settings_as_they_were_meant(tmp_path, name):
    data = GitDataRepository.create(tmp_path / "data.git", fsync=False)
    hooks = tmp_path / name / "hooks"
    write_settings(data.path, fsync=True, hooks=hooks)
    write_global_settings(tmp_path / "gitconfig", tmp_path / name)
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
    }

    def setting(key):
        command = ["git", "-C", str(data.path), "config", "--null", "--get-all", key]
        return (
            subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode().split("\0")[:-1]
        )

    assert setting("core.hooksPath") == [str(hooks)]
    assert setting("safe.directory") == [str(tmp_path / name)]
    assert setting("receive.procReceiveRefs") == ["refs/for/main", "refs/heads/main"]
    assert setting("receive.fsckObjects") == ["true"]
    assert data.tip()


def test_hooks_are_the_only_ones_in_their_folder(tmp_path):
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "post-receive").touch(0o700)
    write_hooks(tmp_path / "hooks")
    assert {path.name for path in (tmp_path / "hooks").iterdir()} == {"pre-receive", "proc-receive"}
    for hook in (tmp_path / "hooks").iterdir():
        done = subprocess.run([hook], stdin=subprocess.DEVNULL, env={}, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("refused: ")


def test_a_missing_folder_is_temporary_for_writers(data):
    """As when a network disk goes away: nothing is lost by trying again."""
    (data.path / "objects").rename(data.path / "gone")
    with pytest.raises(Temporary):
        data.add(os.urandom(100))


def test_main_moves_to_nothing_that_is_not_here(data):
    """Neither to what was never written, nor to what was dropped; what was written together is known to be here."""
    old = data.tip()
    with contextlib.suppress(ZeroDivisionError), data.together():
        dropped = change(data)
        raise ZeroDivisionError
    for missing in (dropped, "f" * 40):
        with pytest.raises(Internal, match="to move main to"):
            data.move(old, missing)
    with data.together():
        new = change(data)
    with pytest.raises(Internal, match="to move main to"):
        data.move(old, dropped)
    data.move(old, new)
    assert data.tip() == new


def test_who_wrote_last_sees_what_others_write_and_what_is_lost(data):
    """A store remembers what it wrote last; another process moves the branch on, or somebody breaks it."""
    with data.together():
        mine = change(data)
    data.move(data.tip(), mine)
    other = GitDataRepository(data.path, fsync=False)
    assert other.tip() == mine
    with other.together():
        theirs = change(other)
    other.move(mine, theirs)
    assert data.tip() == theirs
    assert data.is_ancestor(mine, data.tip())
    ref = data.path / "refs" / "heads" / "main"
    for broken in ("", "no id at all", "f" * 40):
        ref.write_text(broken)
        with pytest.raises(Internal):
            data.tip()
    ref.write_text(f"{mine}\n")
    assert data.tip() == mine
