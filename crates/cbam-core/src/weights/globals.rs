//! The globals that a PyTorch file names, and what each stands for. None of them is ever imported or called.

use super::Dtype;

/// What a global stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// A class of dictionaries.
    Dict,
    /// `getattr`, which members of enumerations are pickled with.
    GetAttr,
    RebuildTensor,
    RebuildTensorV2,
    /// `_rebuild_tensor_v3`, which names its dtype: one of those that have no storage class, so one that is not read.
    RebuildTensorV3,
    /// `_rebuild_parameter` and its variant with attributes: the first argument is the tensor.
    RebuildParameter,
    /// `_rebuild_from_type_v2`: a function, a class, the function's arguments, attributes.
    RebuildFromType,
    /// `torch.Tensor` and its subclasses that are tensors like any other.
    TensorClass,
    /// A function that makes tensors of a sort that is not read, and that sort.
    OtherTensor(&'static str),
    Storage(Element),
    /// A dtype, by its name in `torch`.
    Dtype(&'static str),
    /// Something that a training run keeps beside the tensors; what is made of it is passed over.
    Inert(&'static str),
}

/// What the elements of a storage are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    /// None if tensors of it are not read.
    pub(super) dtype: Option<Dtype>,
    /// Bytes.
    pub(super) size: usize,
    /// The name of the storage class.
    pub(super) class: &'static str,
}

/// Storage classes whose tensors are not read, and the bytes of an element.
const OTHER_STORAGES: [(&str, usize); 8] = [
    ("ComplexFloatStorage", 8),
    ("ComplexDoubleStorage", 16),
    ("QInt8Storage", 1),
    ("QUInt8Storage", 1),
    ("QInt32Storage", 4),
    ("QUInt4x2Storage", 1),
    ("QUInt2x4Storage", 1),
    ("UntypedStorage", 1),
];

/// Functions of `torch._utils` that make other tensors than dense ones with values.
const OTHER_TENSORS: [(&str, &str); 7] = [
    ("_rebuild_qtensor", "a quantised tensor"),
    ("_rebuild_sparse_tensor", "a sparse tensor"),
    ("_rebuild_sparse_csr_tensor", "a sparse tensor"),
    ("_rebuild_nested_tensor", "a nested tensor"),
    ("_rebuild_meta_tensor_no_storage", "a tensor of the meta device, without values"),
    ("_rebuild_wrapper_subclass", "a tensor of a wrapper class"),
    ("_rebuild_device_tensor_from_numpy", "a tensor of an accelerator"),
];

/// The dtypes of `torch`.
const DTYPES: [&str; 32] = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "double",
    "float",
    "half",
    "long",
    "int",
    "short",
    "uint16",
    "uint32",
    "uint64",
    "complex32",
    "complex64",
    "complex128",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "qint8",
    "quint8",
    "qint32",
    "quint4x2",
    "quint2x4",
];

/// Classes of dictionaries, by module.
const DICTS: [(&str, &[&str]); 8] = [
    ("collections", &["OrderedDict", "defaultdict"]),
    ("builtins", &["dict"]),
    ("easydict", &["EasyDict"]),
    ("addict.addict", &["Dict"]),
    ("yacs.config", &["CfgNode"]),
    ("pytorch_lightning.utilities.parsing", &["AttributeDict"]),
    ("lightning_fabric.utilities.data", &["AttributeDict"]),
    ("lightning.fabric.utilities.data", &["AttributeDict"]),
];

/// What training runs keep beside the tensors, by module.
const INERT: [(&str, &[&str]); 33] = [
    ("argparse", &["Namespace"]),
    ("types", &["SimpleNamespace"]),
    ("_codecs", &["encode"]),
    (
        "builtins",
        &[
            "set",
            "frozenset",
            "list",
            "tuple",
            "complex",
            "slice",
            "bytearray",
            "range",
            "xrange",
            "int",
            "float",
            "bool",
            "str",
            "object",
            "bytes",
        ],
    ),
    ("collections", &["Counter", "deque"]),
    ("datetime", &["datetime", "date", "time", "timedelta", "timezone"]),
    ("decimal", &["Decimal"]),
    ("uuid", &["UUID"]),
    ("typing", &["Any"]),
    ("pathlib", PATHS),
    ("pathlib._local", PATHS),
    ("numpy", &["dtype", "ndarray"]),
    ("numpy.core.multiarray", &["scalar", "_reconstruct"]),
    ("numpy._core.multiarray", &["scalar", "_reconstruct"]),
    ("numpy.core.numeric", &["_frombuffer"]),
    ("numpy._core.numeric", &["_frombuffer"]),
    ("omegaconf.dictconfig", &["DictConfig"]),
    ("omegaconf.listconfig", &["ListConfig"]),
    ("omegaconf.base", &["ContainerMetadata", "Metadata"]),
    ("omegaconf.nodes", &["AnyNode", "StringNode", "IntegerNode", "FloatNode", "BooleanNode"]),
    (
        "torch",
        &["Size", "device", "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric"],
    ),
    ("torch.serialization", &["_get_layout"]),
    ("torch.optim.optimizer", &["_RequiredParameter"]),
    ("torch.optim.sgd", &["SGD"]),
    ("torch.optim.adam", &["Adam"]),
    ("torch.optim.adamw", &["AdamW"]),
    ("torch.optim.rmsprop", &["RMSprop"]),
    ("torch.optim.lr_scheduler", SCHEDULERS),
    ("torch.cuda.amp.grad_scaler", GRAD_SCALERS),
    ("torch.amp.grad_scaler", GRAD_SCALERS),
    ("pytorch_lightning.callbacks.model_checkpoint", &["ModelCheckpoint"]),
    ("pytorch_lightning.callbacks.early_stopping", &["EarlyStopping"]),
    ("torch.nn.modules.loss", &["CrossEntropyLoss", "BCEWithLogitsLoss", "MSELoss"]),
];

const PATHS: &[&str] = &["Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"];
const SCHEDULERS: &[&str] = &[
    "LambdaLR",
    "StepLR",
    "MultiStepLR",
    "ExponentialLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ReduceLROnPlateau",
    "OneCycleLR",
    "CyclicLR",
    "LinearLR",
    "SequentialLR",
];
const GRAD_SCALERS: &[&str] = &["GradScaler", "OptState", "_refresh_per_optimizer_state"];

/// Modules of Python's own, and the usual others, that run programs, load code, open files or reach a network. Nothing here is
/// needed for safety, since no global is ever called: a file that names one was made to do harm, or is no file of weights.
const RUNNERS: [&str; 32] = [
    "_pickle",
    "_posixsubprocess",
    "_socket",
    "bdb",
    "cPickle",
    "code",
    "codecs",
    "codeop",
    "commands",
    "doctest",
    "ftplib",
    "httplib",
    "imp",
    "marshal",
    "nt",
    "pdb",
    "pickle",
    "pkgutil",
    "popen2",
    "posix",
    "profile",
    "pty",
    "pydoc",
    "runpy",
    "shelve",
    "shutil",
    "smtplib",
    "socket",
    "subprocess",
    "sys",
    "timeit",
    "webbrowser",
];

/// Packages, with all their modules, that do.
const RUNNER_PACKAGES: [&str; 14] = [
    "aiohttp",
    "asyncio",
    "cloudpickle",
    "ctypes",
    "dill",
    "ensurepip",
    "idlelib",
    "importlib",
    "lib2to3",
    "multiprocessing",
    "os",
    "pip",
    "requests",
    "urllib",
];

/// Single functions that do.
const RUNNING: [(&str, &[&str]); 9] = [
    (
        "builtins",
        &[
            "__import__",
            "apply",
            "breakpoint",
            "compile",
            "delattr",
            "eval",
            "exec",
            "execfile",
            "globals",
            "input",
            "locals",
            "open",
            "setattr",
            "vars",
        ],
    ),
    ("io", &["open", "open_code", "FileIO"]),
    ("operator", &["attrgetter", "itemgetter", "methodcaller"]),
    ("torch", &["load", "compile"]),
    ("torch.serialization", &["load"]),
    ("torch.storage", &["_load_from_bytes"]),
    ("torch.hub", &["load", "load_state_dict_from_url", "download_url_to_file"]),
    ("torch.jit", &["load"]),
    ("types", &["CodeType", "FunctionType", "LambdaType", "ModuleType"]),
];

/// Whether a global is known to run or to load code, or is reached through what Python keeps for itself, as
/// `f.__globals__`; and is not on the lists above.
pub(super) fn runs_code(module: &str, name: &str) -> bool {
    let module = if module == "__builtin__" { "builtins" } else { module };
    let package = module.split('.').next().unwrap_or(module);
    let reserved = name.split('.').any(|part| part.len() > 4 && part.starts_with("__") && part.ends_with("__"));
    let runs = RUNNERS.contains(&module)
        || RUNNER_PACKAGES.contains(&package)
        || RUNNING.iter().any(|row| row.0 == module && row.1.contains(&name))
        || (reserved && !matches!(module, "copyreg" | "copy_reg"));
    runs && Global::find(module, name).is_none()
}

/// A global's full name, cut where it gets too long for a message.
pub(super) fn shortened(module: &str, name: &str) -> String {
    const LONGEST: usize = 120;
    module.chars().chain(['.']).chain(name.chars()).take(LONGEST).collect()
}

impl Global {
    /// The global of this name, if it is known here.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        let module = if module == "__builtin__" { "builtins" } else { module };
        let listed = |table: &[(&str, &'static [&'static str])]| {
            let row = table.iter().find(|row| row.0 == module)?;
            row.1.iter().find(|listed| **listed == name).copied()
        };
        match (module, name) {
            ("builtins", "getattr") => Some(Self::GetAttr),
            ("torch._utils", "_rebuild_tensor") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensorV2),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::RebuildTensorV3),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Some(Self::RebuildParameter),
            ("torch._utils", other) => {
                OTHER_TENSORS.iter().find(|row| row.0 == other).map(|row| Self::OtherTensor(row.1))
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Some(Self::RebuildFromType),
            ("torch" | "torch._tensor", "Tensor") | ("torch.nn.parameter", "Parameter" | "Buffer") => {
                Some(Self::TensorClass)
            }
            _ => (listed(&DICTS).map(|_| Self::Dict))
                .or_else(|| listed(&INERT).map(Self::Inert))
                .or_else(|| Self::storage(module, name))
                .or_else(|| DTYPES.iter().find(|dtype| module == "torch" && **dtype == name).copied().map(Self::Dtype)),
        }
    }

    fn storage(module: &str, name: &str) -> Option<Self> {
        if module != "torch" && !(module == "torch.storage" && name == "UntypedStorage") {
            return None;
        }
        if let Some((dtype, class)) = Dtype::from_storage(name) {
            return Some(Self::Storage(Element { dtype: Some(dtype), size: dtype.size(), class }));
        }
        let other = OTHER_STORAGES.iter().find(|row| row.0 == name);
        other.map(|&(class, size)| Self::Storage(Element { dtype: None, size, class }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_or_loads_code_is_refused() {
        for (module, name) in [
            ("os", "system"),
            ("os.path", "join"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("__builtin__", "execfile"),
            ("subprocess", "Popen"),
            ("torch", "load"),
            ("torch.storage", "_load_from_bytes"),
            ("importlib.util", "find_spec"),
            ("my.module", "f.__globals__"),
            ("types", "FunctionType"),
            ("operator", "attrgetter"),
        ] {
            assert!(runs_code(module, name), "{module}.{name}");
        }
        for (module, name) in [
            ("my.config", "Config"),
            ("code.models", "Net"),
            ("commands.train", "Options"),
            ("builtins", "ValueError"),
            ("builtins", "set"),
            ("types", "SimpleNamespace"),
            ("signal", "Signals"),
            ("http", "HTTPStatus"),
            ("copyreg", "__newobj__"),
            ("numpy.random._pickle", "__generator_ctor"),
            ("functools", "partial"),
            ("__main__", "Config"),
        ] {
            assert!(!runs_code(module, name), "{module}.{name}");
        }
        assert_eq!(shortened("m", &"x".repeat(1000)).len(), 120);
    }
}
