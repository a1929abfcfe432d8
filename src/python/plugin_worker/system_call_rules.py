"""Which system calls a locked-down worker may make. What is named nowhere here answers ENOSYS, as an older kernel would.

Each list is data for seccomp_filter.py; a name that the machine's table lacks is skipped. Arguments are compared by their low
32 bits, all that the kernel takes of an int; a pointer is compared in two halves.
"""

import errno
from dataclasses import dataclass
from typing import Final

ALLOWED: Final = """
read write open openat creat close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64
pwrite64 readv writev preadv pwritev preadv2 pwritev2 access faccessat faccessat2 pipe pipe2 select pselect6 sched_yield
mremap msync mincore madvise dup dup2 dup3 pause nanosleep getitimer alarm setitimer getpid sendfile shutdown getsockname
getpeername setsockopt getsockopt recvfrom recvmsg exit exit_group uname flock fsync fdatasync truncate ftruncate getdents
getdents64 getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir unlink unlinkat readlink readlinkat stat lstat
newfstatat statx umask gettimeofday getrlimit setrlimit getrusage sysinfo times getuid getgid geteuid getegid getppid getpgrp
getpgid getsid getgroups getresuid getresgid getpriority ioprio_get rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack
statfs fstatfs sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock
munlock mlock2 gettid readahead time futex futex_waitv sched_getaffinity set_thread_area get_thread_area epoll_create
epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 set_tid_address restart_syscall fadvise64 timer_create
timer_settime timer_gettime timer_getoverrun timer_delete clock_gettime clock_getres clock_nanosleep mbind set_mempolicy
get_mempolicy set_robust_list eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime signalfd signalfd4 fallocate
poll ppoll getcpu getrandom membarrier copy_file_range rseq close_range arch_prctl pkey_mprotect pkey_alloc pkey_free wait4
waitid capget sync_file_range
""".split()

# EPERM: processes, other processes, mounts, kernel surface, ownership, IPC, links and nodes.
REFUSED: Final = """
execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_open pidfd_getfd
pidfd_send_signal tkill mount umount2 pivot_root chroot setns unshare fsopen fsconfig fsmount fspick move_mount open_tree
mount_setattr bpf perf_event_open keyctl add_key request_key userfaultfd init_module finit_module delete_module kexec_load
kexec_file_load reboot swapon swapoff acct syslog settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname
iopl ioperm modify_ldt name_to_handle_at open_by_handle_at chown fchown lchown fchownat setuid setgid setreuid setregid
setresuid setresgid setgroups setfsuid setfsgid capset setsid setpgid vhangup quotactl quotactl_fd nfsservctl lookup_dcookie
fanotify_init fanotify_mark inotify_init inotify_init1 inotify_add_watch io_uring_setup io_uring_enter io_uring_register mknod
mknodat link linkat symlink symlinkat shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
mq_open mq_unlink migrate_pages move_pages get_robust_list ioprio_set sync syncfs vmsplice splice tee seccomp
landlock_create_ruleset landlock_add_rule landlock_restrict_self process_mrelease munlockall mlockall remap_file_pages uselib
ustat
""".split()

# EACCES, the error of a firewall: what Python and its libraries say of it is "Permission denied".
NETWORK: Final = "socket connect bind listen accept accept4".split()

# How far the network is open: not at all; TCP to where Landlock or the namespace lets it; all of TCP and UDP; the same and
# taking connections, for our own proxy.
SOCKETS: Final = ("denied", "tcp", "open", "server")

# EOPNOTSUPP, as a file system without them answers: ENOSYS made shutil.copy2 raise.
ATTRIBUTES: Final = """
setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
""".split()

# 0 without doing it. Refusing them breaks shutil.copy2 and tarfile; Landlock does not cover metadata, and a worker of the
# appliance's own user could change the appliance's files.
PRETENDED: Final = "chmod fchmod fchmodat fchmodat2".split()


@dataclass(frozen=True, slots=True)
class When:
    """Answers `error` (None: allowed) when argument `argument`, masked, is one of `values`, or `differs` from all."""

    argument: int
    values: tuple[int, ...]
    error: int | None
    mask: int = 0xFFFF_FFFF
    differs: bool = False
    high: bool = False


@dataclass(frozen=True, slots=True)
class ByArgument:
    """The first `When` that holds answers, else `otherwise` (an errno, 0 for success without doing it, None: allowed)."""

    whens: tuple[When, ...]
    otherwise: int | None


# Which argument points to the times.
_TIMES: Final = {"utime": 1, "utimes": 1, "utimensat": 2, "futimesat": 2}
_NEW_NAMESPACES: Final = 0x7E02_0080
# CLONE_THREAD and CLONE_FILES: files that only a thread has open would not be seen by the appliance.
_CLONE_THREAD: Final = 0x0001_0400
_CLOSE_RANGE_UNSHARE: Final = 2
_O_TRUNC_AND_MODE: Final = 0o1003
_O_TRUNC: Final = 0o1000
# Neither to read nor to write (open(2), "ioctl"): Landlock asks for no right then, and the file can be emptied by O_TRUNC before
# its ABI 3, given attributes by ioctl, or be a device that acts when it is opened.
_NO_ACCESS_MODE: Final = 3
_OWNER: Final = 0o700
_MSG_FASTOPEN: Final = 0x2000_0000
# Byte out of band of a UNIX socket: used by nobody, and the way from a browser's sandbox into the kernel (CVE-2025-38236).
_MSG_OOB: Final = 1
_AF_UNIX: Final = 1
_AF_INET: Final = 2
_AF_INET6: Final = 10
_IPPROTO_TCP: Final = 6
_SOCK_STREAM: Final = 1
_SOCK_DGRAM: Final = 2
_SOL_SOCKET: Final = 1
# SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF and _EBPF: programs for the kernel. All together have a few hundred MB on a
# machine, which one worker's sockets can use up in part and four of them whole: nobody's own filter could be loaded then.
_PROGRAM_OPTIONS: Final = (26, 50, 51, 52)
_RENAME_WHITEOUT: Final = 4
_PRIO_PROCESS: Final = 0
# Names and slack of threads, transparent huge pages, names of mappings, and questions.
_HARMLESS_PRCTL: Final = (2, 3, 7, 15, 16, 21, 23, 25, 27, 29, 30, 39, 41, 42, 0x53564D41)
# Typing into a terminal; who gets a descriptor's signals; attributes, generation, project, verity and encryption of a file, which
# the owner sets through a descriptor that was opened to read: all workers share the packages.
_HARMFUL_IOCTL: Final = (
    *(0x5412, 0x541C, 0x540E, 0x8901, 0x8902),
    *(0x4008_6602, 0x4004_6602, 0x4008_7602, 0x4004_7602, 0x401C_5820, 0x4080_6685, 0x800C_6613),
)
# All of btrfs' and bcachefs' own, by the letter that they have in common: whoever may write to a folder as the file system sees it
# makes a subvolume there, or a snapshot of one, by a descriptor that was opened to read. Landlock is not asked.
_IOCTL_LETTER: Final = 0xFF00
_SUBVOLUME_IOCTL: Final = (0x9400, 0xBC00)
# F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY; F_OFD_SETLK and F_OFD_SETLKW, locks that stay, in memory of the kernel's,
# when all descriptors of a mapped file are closed: nobody could count them.
_HARMFUL_FCNTL: Final = (8, 10, 15, 1024, 1026, 37, 38)
# MAP_SHARED and MAP_ANONYMOUS: it keeps its pages when they are unmapped but for one, and only root sees how many.
_SHARED_ANONYMOUS: Final = 0x21


def rules_by_argument(
    pid: int, *, truncation_is_confined: bool, sockets: str, shared_memory: bool
) -> dict[str, ByArgument]:
    """`truncation_is_confined`: Landlock refuses to truncate (ABI 3 and later); else the filter stands in."""
    denied = errno.EPERM
    own = ByArgument((When(0, (pid,), None),), denied)
    own_or_zero = ByArgument((When(0, (0, pid), None),), denied)
    # Threads set their own affinity by thread id, which is not known now: they are told that it worked.
    scheduling = ByArgument((When(0, (0, pid), None),), 0)
    rules = {
        # A thread with the descriptors of all, in no new namespace. clone3 hides its flags in memory; ENOSYS makes the C library use clone.
        "clone": ByArgument(
            (
                *(When(0, (bit,), denied, bit) for bit in _bits(_NEW_NAMESPACES)),
                When(0, (_CLONE_THREAD,), None, _CLONE_THREAD),
            ),
            denied,
        ),
        "close_range": ByArgument((When(2, (_CLOSE_RANGE_UNSHARE,), denied, _CLOSE_RANGE_UNSHARE),), None),
        "kill": own,
        "tgkill": own,
        "rt_sigqueueinfo": own,
        "rt_tgsigqueueinfo": own,
        "prlimit64": own_or_zero,
        # Of the process alone: 0 with PRIO_USER means every process of the appliance's user, with PRIO_PGRP those of its group.
        "setpriority": ByArgument(
            (When(0, (_PRIO_PROCESS,), denied, differs=True), When(1, (0,), None)),
            denied,
        ),
        "sched_setaffinity": scheduling,
        "sched_setscheduler": scheduling,
        "sched_setparam": scheduling,
        "sched_setattr": scheduling,
        "sched_getattr": own_or_zero,
        "ioctl": ByArgument(
            (
                When(1, _HARMFUL_IOCTL, denied),
                # What copies by clones of blocks goes on without, as on another file system.
                When(1, _SUBVOLUME_IOCTL, errno.EOPNOTSUPP, _IOCTL_LETTER),
            ),
            None,
        ),
        "fcntl": ByArgument((When(1, _HARMFUL_FCNTL, denied),), None),
        # A folder that its owner may not enter is one that an appliance without root can neither look into nor remove.
        "mkdir": ByArgument((When(1, (_OWNER,), None, _OWNER),), denied),
        "mkdirat": ByArgument((When(2, (_OWNER,), None, _OWNER),), denied),
        "umask": ByArgument((When(0, (0,), None, _OWNER),), denied),
        # A datagram pair could be re-aimed at a socket of the host.
        "socketpair": ByArgument(
            (When(0, (_AF_UNIX,), errno.EACCES, differs=True), When(1, (_SOCK_STREAM,), None, 0xF)), errno.EACCES
        ),
        "sendmsg": ByArgument(
            (
                When(2, (_MSG_OOB,), errno.EOPNOTSUPP, _MSG_OOB),
                When(2, (_MSG_FASTOPEN,), errno.EACCES, _MSG_FASTOPEN),
            ),
            None,
        ),
        # The address is a pointer: both halves are compared.
        "sendto": ByArgument(
            (
                When(3, (_MSG_OOB,), errno.EOPNOTSUPP, _MSG_OOB),
                When(4, (0,), errno.EACCES, differs=True),
                When(4, (0,), None, high=True),
            ),
            errno.EACCES,
        ),
        "setsockopt": ByArgument(
            (When(1, (_SOL_SOCKET,), None, differs=True), When(2, _PROGRAM_OPTIONS, denied)),
            None,
        ),
        # It leaves a device node, which Landlock refuses under its own name only.
        "renameat2": ByArgument((When(4, (_RENAME_WHITEOUT,), denied, _RENAME_WHITEOUT),), None),
        **{name: _set_times(argument) for name, argument in _TIMES.items()},
        "prctl": ByArgument((When(0, _HARMLESS_PRCTL, None),), denied),
        "personality": ByArgument((When(0, (0xFFFF_FFFF,), None),), denied),
    }
    rules.update(_socket_rules(sockets))
    rules["openat"] = _opening(2, truncation_is_confined)
    rules["open"] = _opening(1, truncation_is_confined)
    if not shared_memory:
        rules["mmap"] = ByArgument((When(3, (_SHARED_ANONYMOUS,), denied, _SHARED_ANONYMOUS),), None)
    if not truncation_is_confined:
        rules["truncate"] = ByArgument((), errno.EACCES)
    return rules


def _opening(flags: int, truncation_is_confined: bool) -> ByArgument:
    no_mode = When(flags, (_NO_ACCESS_MODE,), errno.EACCES, _NO_ACCESS_MODE)
    reading_and_truncating = When(flags, (_O_TRUNC,), errno.EACCES, _O_TRUNC_AND_MODE)
    return ByArgument((no_mode,) if truncation_is_confined else (no_mode, reading_and_truncating), None)


def _socket_rules(sockets: str) -> dict[str, ByArgument]:
    if sockets == "denied":
        return {}
    open_to_all = ByArgument((), None)
    families = When(0, (_AF_INET, _AF_INET6), errno.EACCES, differs=True)
    if sockets == "tcp":
        # No protocol but TCP's own: MPTCP passes by Landlock's rules for ports, and UDP is not covered by them.
        only_tcp = (families, When(2, (0, _IPPROTO_TCP), errno.EACCES, differs=True), When(1, (_SOCK_STREAM,), None, 0xF))
        return {"socket": ByArgument(only_tcp, errno.EACCES), "connect": open_to_all}
    kinds = When(1, (_SOCK_STREAM, _SOCK_DGRAM), None, 0xF)
    rules = {"socket": ByArgument((families, kinds), errno.EACCES)}
    # The C library asks name servers by sendmmsg.
    rules.update(dict.fromkeys(("connect", "sendto", "sendmsg", "sendmmsg"), open_to_all))
    if sockets == "server":
        rules.update(dict.fromkeys(("accept", "accept4"), open_to_all))
    return rules


def _set_times(argument: int) -> ByArgument:
    """Given times are pretended to be set. The current time (a null pointer) is refused: `Path.touch` asks for it first, and
    would take the answer 0 for a file that is there; refused, it opens the file."""
    return ByArgument(
        (When(argument, (0,), 0, differs=True), When(argument, (0,), 0, differs=True, high=True)), errno.EPERM
    )


def _bits(mask: int) -> list[int]:
    return [1 << place for place in range(32) if mask >> place & 1]

