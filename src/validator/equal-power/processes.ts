/** Other ways to processes, threads and their ends. */
import type { EqualPower } from "./entry.ts"

const work = "Do the work in Python, or in a library."
const parallel = "Return rows from a step; the appliance runs steps in parallel."

export const PROCESSES: readonly EqualPower[] = [
  {
    like: "subprocess",
    severity: "error",
    reason: "starts processes",
    instead: work,
    modules: [
      ...["_posixsubprocess", "_winapi", "asyncio.subprocess", "asyncio.base_subprocess", "webbrowser", "antigravity"],
      ...[
        "pexpect",
        "ptyprocess",
        "plumbum",
        "sh",
        "distutils",
        "ensurepip",
        "venv",
        "pip",
        "execnet",
        "fabric",
        "invoke",
      ],
      ...["test.support.script_helper", "mailcap", "idlelib", "turtledemo", "pipes", "_osx_support", "_bootsubprocess"],
      "_aix_support",
    ],
    names: [
      ...["startfile", "forkpty", "posix_spawn", "posix_spawnp"].flatMap((name) => [
        `os.${name}`,
        `posix.${name}`,
        `nt.${name}`,
      ]),
      ...["asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "uuid._get_command_stdout"],
      ...[
        "platform._syscmd_file",
        "imaplib.IMAP4_stream",
        "IPython.utils.process.getoutput",
        "IPython.utils.process.system",
        "click.edit",
        "click.launch",
      ],
      // Methods of an event loop; no other library has these names.
      ...[".subprocess_exec", ".subprocess_shell"],
      ...["anyio.open_process", "anyio.run_process", "trio.run_process", "trio.lowlevel.open_process", "psutil.Popen"],
    ],
  },
  {
    like: "pty",
    severity: "error",
    reason: "opens terminals for processes",
    instead: work,
    names: ["openpty", "posix_openpt", "login_tty"].flatMap((name) => [`os.${name}`, `posix.${name}`]),
  },
  {
    like: "os.kill",
    severity: "error",
    reason: "ends or signals processes",
    instead: "Raise an exception to fail a row.",
    names: [
      ...["signal.pthread_kill", "signal.pidfd_send_signal", "_signal.pthread_kill", "_signal.pidfd_send_signal"],
      ...["os.pidfd_open", "posix.pidfd_open"],
      ...["kill", "terminate", "send_signal", "suspend"].map((name) => `psutil.Process().${name}`),
    ],
  },
  {
    like: "os.kill",
    severity: "warning",
    reason: "ends its own process, and with it the rows in work",
    instead: "Raise an exception to fail a row.",
    names: ["signal.raise_signal", "_signal.raise_signal", "os._exit", "posix._exit", "os.abort", "posix.abort"],
  },
  {
    like: "multiprocessing",
    severity: "error",
    reason: "starts processes of its own",
    instead: parallel,
    modules: [
      ...["_multiprocessing", "_posixshmem", "concurrent.futures.process", "torch.multiprocessing"],
      ...["dask.multiprocessing", "ray.util.multiprocessing"],
      ...["multiprocess", "billiard", "loky", "pathos", "joblib.externals.loky"],
      ...["_xxsubinterpreters", "_interpreters", "concurrent.interpreters"],
    ],
    names: ["concurrent.futures.ProcessPoolExecutor"],
  },
  {
    like: "multiprocessing",
    severity: "warning",
    reason: "starts processes of its own",
    instead: parallel,
    names: ["joblib.Parallel"],
  },
  {
    like: "threading",
    severity: "error",
    reason: "concurrency is the appliance's",
    instead: parallel,
    modules: ["_thread"],
  },
  {
    like: "threading",
    severity: "warning",
    reason: "threads take cores that the appliance has given to other steps",
    instead: parallel,
    modules: ["concurrent.futures.thread", "gevent", "eventlet"],
    names: ["concurrent.futures.ThreadPoolExecutor"],
  },
  {
    like: "resource",
    severity: "error",
    reason: "changes the rights or the root of the process",
    instead: "Leave them as they are; the appliance sets them.",
    names: [
      ...["setuid", "setgid", "seteuid", "setegid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups"],
      ...["initgroups", "chroot", "setns", "unshare", "setsid", "setpgid"],
    ].flatMap((name) => [`os.${name}`, `posix.${name}`]),
  },
  {
    like: "resource",
    severity: "warning",
    reason: "takes a share of the machine that the appliance hands out",
    instead: "Leave it as it is; the appliance sets it.",
    names: ["nice", "setpriority", "sched_setaffinity", "sched_setscheduler", "sched_setparam"].flatMap((name) => [
      `os.${name}`,
      `posix.${name}`,
    ]),
  },
]
