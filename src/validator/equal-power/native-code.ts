/** Other ways to native code, memory and the network below the protocols. */
import type { EqualPower } from "./entry.ts"

export const NATIVE_CODE: readonly EqualPower[] = [
  {
    like: "ctypes",
    severity: "error",
    reason: "calls native code or reaches memory",
    instead: "Use a library with a Python interface.",
    modules: [
      ...["_ctypes", "cffi", "_cffi_backend", "numpy.ctypeslib", "cppyy", "msvcrt", "winreg", "_winreg"],
      ...["_testcapi", "_testinternalcapi", "_testlimitedcapi"],
    ],
    names: [
      ...["os.add_dll_directory", "nt.add_dll_directory", "os.memfd_create", "posix.memfd_create"],
      ...["sys.setdlopenflags", "sys.dllhandle"],
      // numpy's arrays have the module as an attribute of an attribute.
      ...[".CDLL", ".PyDLL", "._ctypes"],
    ],
  },
  {
    like: "ctypes",
    severity: "error",
    reason: "builds or loads native code",
    instead: "Use a library that is installed with the appliance's environment.",
    modules: [
      ...[
        "torch.utils.cpp_extension",
        "numpy.f2py",
        "numpy.distutils",
        "setuptools",
        "pyximport",
        "Cython",
        "cython.inline",
      ],
    ],
    names: [
      ...[
        "torch.ops.load_library",
        "torch.classes.load_library",
        "tensorflow.load_op_library",
        "tensorflow.load_library",
      ],
      // Methods of onnxruntime's session options and of sqlite3's connections.
      ...[".register_custom_ops_library", ".enable_load_extension", ".load_extension"],
    ],
  },
  {
    like: "socket",
    severity: "error",
    reason: "raw network access",
    instead: "Use requests or httpx.",
    modules: [
      ...["_socket", "_ssl", "socketserver", "http.server", "xmlrpc.server", "wsgiref.simple_server"],
      ...["asyncore", "asynchat", "telnetlib", "trio.socket"],
    ],
    names: [
      ...[
        "asyncio.open_connection",
        "asyncio.start_server",
        "asyncio.open_unix_connection",
        "asyncio.start_unix_server",
      ],
      ...[
        ...["asyncio.get_event_loop()", "asyncio.get_running_loop()", "asyncio.new_event_loop()"],
        ...["asyncio.Runner().get_loop()", "asyncio.get_event_loop_policy().new_event_loop()"],
        ...["asyncio.get_event_loop_policy().get_event_loop()", "asyncio.SelectorEventLoop()"],
      ].flatMap((loop) =>
        ["create_connection", "create_server", "create_datagram_endpoint", "create_unix_connection"].map(
          (name) => `${loop}.${name}`,
        ),
      ),
      ...["ssl.socket", "ssl.SSLSocket", "ssl.wrap_socket", "ssl.create_connection", "ssl.get_server_certificate"],
      ...["anyio.connect_tcp", "trio.open_tcp_stream", "logging.config.listen"],
    ],
  },
  {
    like: "socket",
    severity: "warning",
    reason: "network access by other protocols than HTTP",
    instead: "Use requests or httpx.",
    modules: ["ftplib", "smtplib", "smtpd", "paramiko", "poplib", "imaplib", "nntplib"],
  },
]
