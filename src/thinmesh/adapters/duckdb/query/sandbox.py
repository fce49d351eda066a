"""Walls around a process that runs what strangers send: what Linux gives without privileges.

`enclose` is for a fresh, single-threaded process, once; `fence` narrows it to the files of its one task. A wall that
the kernel does not offer is left out and named in the report, so that `doctor` can show it. Sources: landlock(7),
seccomp(2), capabilities(7), and the UAPI headers linux/landlock.h, linux/seccomp.h, linux/audit.h.

Only the standard library is imported: this module is loaded by every worker.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
_SIGKILL = 9
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000

# Landlock: the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# Rights on files by ABI: 13 in the first, then refer, truncate, ioctl_dev.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_LATEST_FILE_RIGHTS = (1 << 16) - 1
_SCRATCH = (1 << 1) | _READ_FILE | _READ_DIR | (1 << 5) | (1 << 8) | (1 << 14)  # write, read, remove, make, truncate
_NET_RIGHTS = 0b11  # bind and connect TCP, from ABI 4
_SCOPES = 0b11  # abstract unix sockets and signals, from ABI 6

# Where a Python process reads after its start: time zones, and what a lazy import or DuckDB's look at memory needs.
_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/proc/self",
    "/proc/meminfo",
    "/proc/cpuinfo",
)
_SYSTEM_LATE = ("/sys/fs/cgroup", "/sys/devices/system/cpu", "/dev/null", "/dev/urandom", "/proc/stat")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an enclosed process may use.

    `memory`: address space beyond what it has now, in bytes; `files`: open at once. It may read below `readable` and
    the system's libraries, and write in `scratch` (no file above `scratch_bytes`) only.
    """

    memory: int
    files: int
    readable: tuple[Path, ...]
    scratch: Path | None = None
    scratch_bytes: int = 0


def enclose(allowance: Allowance) -> dict[str, str]:
    """Put every wall around this process and give a report, {wall: "on" or why not}.

    Must run before any thread starts.
    """
    return {
        "limits": _limit(allowance),
        "no_new_privileges": _prctl(_PR_SET_NO_NEW_PRIVS, 1),
        "namespaces": _unshare(),
        "capabilities": _drop_capabilities(),
        "landlock": _restrict([], allowance.scratch, [*map(Path, (*_SYSTEM, *_SYSTEM_LATE)), *allowance.readable]),
        "seccomp": _seccomp(),
    }


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends; `parent` is who that was before."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def fence(descriptors: Iterable[int], scratch: Path | None) -> bool:
    """Narrow this thread, and those it starts from now on, to reading the files open at `descriptors` (and scratch).

    The system's libraries are out of reach then, too: whatever must be imported is imported before. Gives whether it
    stands.
    """
    rules = [(descriptor, _READ_FILE) for descriptor in descriptors]
    readable = [Path("/proc/self"), Path("/proc/meminfo"), Path("/usr/share/zoneinfo")]
    return _restrict(rules, scratch, readable).startswith("on")


def _limit(allowance: Allowance) -> str:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits = {
        resource.RLIMIT_AS: used + allowance.memory,
        resource.RLIMIT_NOFILE: allowance.files if hard == resource.RLIM_INFINITY else min(allowance.files, hard),
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: allowance.scratch_bytes if allowance.scratch else 0,
    }
    try:
        for limit, value in limits.items():
            resource.setrlimit(limit, (value, value))
        # The kernel's out-of-memory killer takes workers before the server.
        Path("/proc/self/oom_score_adj").write_text("900")
    except (OSError, ValueError) as error:
        return f"partly: {error}"
    return "on"


def _prctl(option: int, value: int) -> str:
    return "on" if _LIBC.prctl(option, value, 0, 0, 0) == 0 else os.strerror(ctypes.get_errno())


def _unshare() -> str:
    """Leave for a network (and IPC) namespace of one's own: there is no interface in it, not even loopback."""
    if _LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) == 0:
        return "on"
    return f"not offered here: {os.strerror(ctypes.get_errno())}"


def _drop_capabilities() -> str:
    for capability in range(64):
        if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    if _LIBC.capset(header, bytes(24)) != 0:
        return os.strerror(ctypes.get_errno())
    return "on"


def landlock_abi() -> int:
    """Give the version of Landlock that the kernel offers, 0 for none."""
    return int(max(_LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1), 0))


def _restrict(rules: list[tuple[int, int]], scratch: Path | None, readable: Iterable[Path]) -> str:
    abi = landlock_abi()
    if not abi:
        return "not offered by this kernel"
    handled = _FILE_RIGHTS.get(abi, _LATEST_FILE_RIGHTS)
    fields = [handled, _NET_RIGHTS if abi >= 4 else 0, _SCOPES if abi >= 6 else 0]
    attributes = struct.pack("=3Q", *fields)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    try:
        for path in readable:
            _allow(ruleset, path, (_READ_FILE | _READ_DIR) & handled)
        if scratch:
            _allow(ruleset, scratch, _SCRATCH & handled)
        for descriptor, rights in rules:
            _add(ruleset, descriptor, rights)
        if _LIBC.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            return os.strerror(ctypes.get_errno())
    finally:
        os.close(ruleset)
    return f"on (ABI {abi})"


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with suppress(FileNotFoundError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            _add(ruleset, descriptor, rights if path.is_dir() else rights & ~_READ_DIR)
        finally:
            os.close(descriptor)


def _add(ruleset: int, descriptor: int, rights: int) -> None:
    attribute = struct.pack("=Qi", rights, descriptor)
    if _LIBC.syscall(_ADD_RULE, ruleset, 1, attribute, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_add_rule")


# Syscalls a query never needs, by name: (x86_64, aarch64); None where the architecture has no such call.
_DENIED = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "bind": (49, 200), "listen": (50, 201),
    "socketpair": (53, 199), "accept4": (288, 242), "fork": (57, None), "vfork": (58, None), "execve": (59, 221),
    "execveat": (322, 281), "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "utimensat": (280, 88), "futimesat": (261, None), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51), "pivot_root": (155, 41),
    "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "open_by_handle_at": (304, 265), "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
    "setpriority": (141, 140), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "process_mrelease": (448, 448), "kcmp": (312, 272),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "memfd_secret": (447, 447), "personality": (135, 92),
}  # fmt: skip
_MACHINES = {
    "x86_64": (0, 0xC000003E, 56, 302, 234),
    "aarch64": (1, 0xC00000B7, 220, 261, 131),
}  # column, audit arch, clone, prlimit64, tgkill
_LOAD, _EQUAL, _GREATER_EQUAL, _ALL_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_CLONE3, _CLONE_THREAD, _X32 = 435, 0x00010000, 0x40000000


def _seccomp() -> str:
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return f"not written for {platform.machine()}"
    program = _filter(*machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    if _LIBC.prctl(_PR_SET_SECCOMP, 2, head, 0, 0) != 0:
        return os.strerror(ctypes.get_errno())
    return "on"


def _filter(column: int, arch: int, clone: int, prlimit: int, tgkill: int) -> bytes:
    """Write the BPF program: kill on a foreign architecture, refuse what `_DENIED` names, allow the rest.

    clone may only make threads; clone3, whose flags a filter cannot see, is "not implemented", so that the C library
    uses clone; prlimit and signals to threads (the C library's abort and raise) only on oneself.
    """

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    refuse = step(_RETURN, _ERRNO | errno.EPERM)
    program = [step(_LOAD, 4), step(_EQUAL, arch, 1, 0), step(_RETURN, _KILL), step(_LOAD, 0)]
    if column == 0:
        program += [step(_GREATER_EQUAL, _X32, 0, 1), refuse]
    for numbers in _DENIED.values():
        number = numbers[column]
        if number is not None:
            program += [step(_EQUAL, number, 0, 1), refuse]
    program += [step(_EQUAL, _CLONE3, 0, 1), step(_RETURN, _ERRNO | errno.ENOSYS)]
    program += [step(_EQUAL, clone, 0, 3), step(_LOAD, 16), step(_ALL_SET, _CLONE_THREAD, 1, 0), refuse, step(_LOAD, 0)]
    program += [step(_EQUAL, prlimit, 0, 4), step(_LOAD, 16), step(_EQUAL, 0, 1, 0), refuse, step(_LOAD, 0)]
    program += [step(_EQUAL, tgkill, 0, 3), step(_LOAD, 16), step(_EQUAL, os.getpid(), 1, 0), refuse]
    return b"".join([*program, step(_RETURN, _ALLOW)])
