"""What a process that reads strangers' data gives up before it does: files, sockets, programs, and memory without end.

Linux' seccomp filters calls of the system where ``pyseccomp`` and Debian's ``libseccomp2`` are installed; limits of
resources (setrlimit(2)) hold without them, too. Nothing that is given up here can be had back.
"""

import errno
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import pyseccomp
except (ImportError, RuntimeError):  # RuntimeError: without the library that it binds
    pyseccomp = None

_ALLOWED = (
    *("read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "fstat", "newfstatat", "ftruncate"),
    *("mmap", "munmap", "mremap", "mprotect", "brk", "madvise", "membarrier"),
    *("futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "getcpu"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time"),
    *("getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "getrusage", "sysinfo", "uname"),
    *("exit", "exit_group"),
)
_THREAD = 0x10000  # CLONE_THREAD of clone(2): within this process
_NAME_THREAD = 15  # PR_SET_NAME of prctl(2)
_FIRST_TO_END = "1000"  # where the system is short of memory; of -1000 to 1000


@dataclass(frozen=True)
class Allowance:
    """What a process may still have.

    Attributes:
        memory_bytes: of address space, all that is loaded already included.
        cpu_seconds: of all its threads together.
        file_bytes: that it may make a file of, of those that are open.
    """

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int


def filters_calls() -> bool:
    """Return whether calls of the system can be filtered here."""
    return pyseccomp is not None and sys.platform == "linux"


def confine(allowance: Allowance) -> None:
    """Give up all but ``allowance``, the files that are open, threads, time and random numbers, for good.

    Opening files and sockets fails from now on (EPERM under the filter, EMFILE without it), and so do new processes
    and programs under the filter. To be called while there is one thread.

    Raises:
        OSError: the system does not take the filter.
    """
    with suppress(OSError):  # not on Linux, or /proc is hidden; then whoever is largest is ended first
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_END, encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (allowance.memory_bytes, allowance.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (allowance.cpu_seconds, allowance.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowance.file_bytes, allowance.file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # those that are open stay open
    if filters_calls():
        _filter()


def _filter() -> None:
    """Refuse every call of the system (EPERM) but what decoding takes."""
    allowed = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in _ALLOWED:
        allowed.add_rule(pyseccomp.ALLOW, name)
    # The arguments of clone3 cannot be looked at: threads are made by clone where there is no such call.
    allowed.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    allowed.add_rule(pyseccomp.ALLOW, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _THREAD, _THREAD))
    allowed.add_rule(pyseccomp.ALLOW, "prctl", pyseccomp.Arg(0, pyseccomp.EQ, _NAME_THREAD))
    allowed.add_rule(pyseccomp.ALLOW, "tgkill", pyseccomp.Arg(0, pyseccomp.EQ, os.getpid()))  # abort(3)
    allowed.load()
