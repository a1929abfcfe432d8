/** Other ways to open a file by its path, and other readers of pickles. `pathlib.Path` passes: samples read assets by it. */
import type { EqualPower } from "./entry.ts"

const assets = "Use shared.plugins.open_asset for blobs and load_namespace_model for weights."
const noCode = "Use json, safetensors or load_namespace_model."

export const FILES: readonly EqualPower[] = [
  {
    like: "open",
    severity: "error",
    reason: "direct file access",
    instead: assets,
    modules: ["_pyio"],
    names: [
      ...["codecs.open", "os.open", "posix.open", "nt.open"],
      // Modules of the standard library keep the builtin under a name of their own.
      ...["bz2._builtin_open", "tokenize._builtin_open", "tarfile.bltn_open", "._builtin_open"],
      ...["pandas.io.common.get_handle", "click.open_file"],
    ],
  },
  {
    like: "open",
    severity: "error",
    reason: "direct file access",
    instead: assets,
    names: ["io.FileIO", "_io.FileIO"],
    unless: { kind: "tested" },
  },
  {
    like: "open",
    severity: "warning",
    reason: "direct file access",
    instead: assets,
    modules: ["fileinput"],
    names: ["tokenize.open", "linecache.getline", "linecache.getlines"],
  },
  {
    like: "pickle.load",
    severity: "error",
    reason: "what it reads can run any code",
    instead: noCode,
    modules: ["pandas.compat.pickle_compat"],
    names: [
      ...["pickle.Unpickler", "pickle._load", "pickle._loads", "pickle._Unpickler"],
      ...["_pickle", "cPickle"].flatMap((module) => ["load", "loads", "Unpickler"].map((name) => `${module}.${name}`)),
      ...["dill", "cloudpickle"].flatMap((module) => ["load", "loads", "Unpickler"].map((name) => `${module}.${name}`)),
      ...["dill.load_session", "dill.load_module", "joblib.load", "pandas.read_pickle", "pandas.io.pickle.read_pickle"],
      ...["jsonpickle.decode", "jsonpickle.loads", "jsonpickle.unpickler", "torch.package.PackageImporter"],
      ...["joblib.numpy_pickle.load", "joblib.numpy_pickle.NumpyUnpickler", "shelve.Unpickler"],
      ...[
        "yaml.unsafe_load",
        "yaml.unsafe_load_all",
        "yaml.UnsafeLoader",
        "yaml.CUnsafeLoader",
        "yaml.Loader",
        "yaml.CLoader",
        ...["yaml.loader.Loader", "yaml.loader.UnsafeLoader", "yaml.cyaml.CLoader", "yaml.cyaml.CUnsafeLoader"],
      ],
    ],
  },
  {
    like: "pickle",
    severity: "warning",
    reason: "what it reads can run any code",
    instead: noCode,
    modules: ["dill", "cloudpickle"],
  },
  {
    like: "pickle.load",
    severity: "error",
    reason: "with allow_pickle what it reads can run any code",
    instead: "Leave allow_pickle out, or use safetensors.",
    names: ["numpy.load", "numpy.lib.npyio.load", "numpy.lib.format.read_array"],
    unless: { kind: "argument", name: "allow_pickle", position: 2, safe: "False", absent: "passes" },
  },
  {
    like: "pickle.load",
    severity: "error",
    reason: "without weights_only what it reads can run any code",
    instead: "Give weights_only=True, or use load_namespace_model or safetensors.",
    names: ["torch.load", "torch.serialization.load"],
    // From torch 2.6 on the argument is True when left out; before it was False. The seed's libraries name no version.
    unless: { kind: "argument", name: "weights_only", position: 3, safe: "True", absent: "passes" },
  },
  {
    like: "pickle.load",
    severity: "warning",
    reason: "without weights_only what it downloads can run any code",
    instead: "Give weights_only=True, or use load_namespace_model or safetensors.",
    names: ["torch.hub.load_state_dict_from_url"],
    unless: { kind: "argument", name: "weights_only", position: 6, safe: "True", absent: "passes" },
  },
  {
    like: "pickle.load",
    severity: "warning",
    reason: "without a loader that is safe it can run any code",
    instead: "Use yaml.safe_load.",
    names: ["yaml.load", "yaml.load_all"],
    // Unsafe loaders have a row of their own, wherever they are named.
    unless: { kind: "argument", name: "Loader", position: 1, safe: null, absent: "warns" },
  },
]
