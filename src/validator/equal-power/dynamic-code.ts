/** Other ways to run code that is not in the plugin's files, to reach the import system, and to look into the interpreter. */
import type { EqualPower } from "./entry.ts"

const writeItOut = "Write the code out, or use json or ast.literal_eval."
const importIt = "Use an import statement."

export const DYNAMIC_CODE: readonly EqualPower[] = [
  {
    like: "exec",
    severity: "error",
    reason: "runs code made at run time",
    instead: writeItOut,
    modules: [
      ...["code", "codeop", "runpy", "trace", "doctest", "pdb", "bdb", "rlcompleter", "compileall", "py_compile"],
      "lib2to3.main",
    ],
    names: [
      ...["builtins.breakpoint", "sys.breakpointhook", "sys.__breakpointhook__"],
      ...["timeit.timeit", "timeit.repeat", "timeit.Timer", "timeit.main"],
      ...["cProfile.run", "cProfile.runctx", "profile.run", "profile.runctx"],
      ...["cProfile.Profile().run", "cProfile.Profile().runctx", "profile.Profile().run", "profile.Profile().runctx"],
      ...["logging.config.fileConfig", "numpy.testing.rundocs", "numpy.testing.runstring"],
      ...["typing.ForwardRef()._evaluate", "torch.hub.load"],
    ],
  },
  {
    like: "exec",
    severity: "warning",
    reason: "may run text as code",
    instead: writeItOut,
    modules: ["IPython"],
    names: ["sympy.sympify", "sympy.parsing.sympy_parser.parse_expr", "logging.config.dictConfig"],
  },
  {
    like: "compile",
    severity: "error",
    reason: "makes code objects, or functions of them",
    instead: writeItOut,
    names: ["types.CodeType", "types.FunctionType", "types.LambdaType"],
    unless: { kind: "tested" },
  },
  {
    like: "importlib.import_module",
    severity: "error",
    reason: "dynamic import",
    instead: importIt,
    modules: [
      ...["imp", "_imp", "zipimport", "importlib.machinery", "importlib._bootstrap", "importlib._bootstrap_external"],
      ...["importlib._abc", "importlib.simple", "_frozen_importlib", "_frozen_importlib_external", "pydoc", "zipapp"],
    ],
    names: [
      ...[
        "importlib.util.spec_from_file_location",
        "importlib.util.spec_from_loader",
        "importlib.util.module_from_spec",
      ],
      ...["importlib.util.LazyLoader", "importlib.util._LazyModule", "importlib.util.find_spec().loader"],
      ...["importlib.find_loader", "importlib.reload", "importlib.metadata.EntryPoint"],
      ...["pkgutil.get_loader", "pkgutil.find_loader", "pkgutil.get_importer", "pkgutil.iter_importers"],
      ...["pkgutil.ImpImporter", "pkgutil.ImpLoader", "pkgutil.resolve_name", "pkgutil.walk_packages"],
      ...["pkgutil.iter_modules", "unittest.mock._importer"],
      ...["sys.meta_path", "sys.path_hooks", "sys.path_importer_cache"],
      ...["site.addsitedir", "site.addpackage", "site.main", "site.execsitecustomize", "site.execusercustomize"],
      ...[".__loader__", ".__spec__.loader"],
    ],
  },
  {
    like: "globals",
    severity: "error",
    reason: "reaches the frames and variables of other code",
    instead: "Pass values as arguments; use logging for where code runs.",
    names: [
      ...["sys._getframe", "sys._getframemodulename", "sys._current_frames", "sys._current_exceptions"],
      ...["sys.settrace", "sys.setprofile", "sys.call_tracing", "sys.monitoring", "sys.gettrace", "sys.getprofile"],
      ...["inspect.currentframe", "inspect.stack", "inspect.trace", "inspect.getouterframes", "inspect.getinnerframes"],
      ...["inspect.getargvalues", "inspect.getclosurevars"],
    ],
  },
  {
    like: "globals",
    severity: "error",
    reason: "reaches every object of the process",
    instead: "Keep your own references, weak ones if need be.",
    names: ["gc.get_objects", "gc.get_referrers", "gc.get_referents"],
  },
  {
    like: "__globals__",
    severity: "warning",
    reason: "it leads to the interpreter's insides",
    instead: "Pass values as arguments.",
    names: [
      ...[".f_globals", ".f_locals", ".f_builtins", ".f_back", ".tb_frame", ".gi_frame", ".cr_frame", ".ag_frame"],
      ...[".gi_code", ".cr_code", ".ag_code", ".func_globals", ".__self__", ".__base__", ".__getattribute__"],
    ],
  },
  {
    like: "getattr",
    severity: "error",
    reason: "reaches attributes by name",
    instead: "Name the attribute, or use a dict.",
    names: ["inspect.getattr_static"],
  },
  {
    like: "getattr",
    severity: "warning",
    reason: "reaches attributes by a computed name",
    instead: "Give the attribute's name as a string constant, or use a dict.",
    names: ["operator.attrgetter", "operator.methodcaller", "_operator.attrgetter", "_operator.methodcaller"],
    unless: { kind: "constant" },
  },
]
