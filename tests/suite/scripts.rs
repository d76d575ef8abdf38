//! The scripts of the set-up, on machines that lack this or that: everything is named at once, before anything is fetched.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::file;

/// What every system has, and the scripts use.
const BASICS: [&str; 16] = [
    "bash", "sh", "awk", "basename", "cat", "cmp", "dirname", "grep", "head", "mkdir", "paste", "rm", "sed", "sort",
    "tail", "tr",
];

/// A machine that lacks nothing, by the tools that the script asks.
const WHOLE: [(&str, &str); 8] = [
    ("uname", "case $1 in -s) echo Linux;; *) echo x86_64;; esac"),
    ("getconf", "echo glibc 2.36"),
    ("python3", "exit 0"),
    ("c++", "cat >/dev/null"),
    ("cc", "exit 0"),
    ("cargo", "echo 'cargo 1.95.0 (f2d3ce0bd 2026-03-21)'"),
    (
        "rustc",
        "case $1 in -vV) echo 'host: x86_64-unknown-linux-gnu';; *) echo 'rustc 1.95.0 (59807616e 2026-04-14)';; esac",
    ),
    ("df", "echo head; echo /dev/vda 264239888 19000000 76000000 21% /"),
];

/// A machine of such tools and no others: those of [`WHOLE`], but for these; an empty one is missing.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(changes: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for name in BASICS {
            let found =
                ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name)).into_iter().find(|tool| tool.exists());
            symlink(found.unwrap_or_else(|| panic!("this machine has no {name}")), machine.tool(name)).unwrap();
        }
        for (name, body) in WHOLE {
            let body = changes.iter().find(|(changed, _)| *changed == name).map_or(body, |(_, body)| body);
            if !body.is_empty() {
                fs::write(machine.tool(name), format!("#!/bin/sh\n{body}\n")).unwrap();
                fs::set_permissions(machine.tool(name), fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        machine
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, script: &Path, part: &str) -> Output {
        let mut command = Command::new("/bin/bash");
        command.env_clear().env("PATH", self.0.path()).arg(script).arg(part).output().unwrap()
    }

    /// What the check says on this machine; nothing if all is there.
    fn says(changes: &[(&str, &str)]) -> String {
        let output = Self::new(changes).run(&file("scripts/machine.sh"), "cpu");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!said.is_empty())), "{said}");
        said
    }
}

#[test]
fn a_machine_that_has_everything_is_not_talked_to() {
    assert_eq!(Machine::says(&[]), "");
    assert_eq!(Machine::says(&[("cargo", "echo cargo 1.89.0"), ("getconf", "echo glibc 2.28")]), "");
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let bare = [("python3", ""), ("c++", ""), ("cc", ""), ("cargo", ""), ("rustc", "")];
    let said = Machine::says(&bare);
    for part in
        ["python3 with pip", "C++", "C compiler", "Rust 1.89 or later", "rustup", "apt install g++ gcc python3-pip"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let old = [
        ("getconf", "echo glibc 2.17"),
        ("python3", "case $2 in pip) exit 1;; esac"),
        ("c++", "exit 1"),
        ("cargo", "echo cargo 1.65.0"),
        ("rustc", "case $1 in -vV) echo host: x86_64-unknown-linux-musl;; *) echo rustc 1.63.0;; esac"),
        ("df", "echo head; echo /dev/vda 264239888 19000000 1500000 21% /"),
    ];
    let said = Machine::says(&old);
    for part in [
        "glibc 2.28 or later: this system has 2.17",
        "pip:",
        "C++17",
        "is 1.65.0",
        "is 1.63.0",
        "musl",
        "3 GB of disk",
        "1.5 GB left",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = Machine::says(&[("cargo", "echo 'error: no default toolchain' >&2; exit 1")]);
    assert!(said.contains("no default toolchain"), "{said}");
    let said = Machine::says(&[("python3", "case $2 in *ssl*) exit 1;; esac")]);
    assert!(said.contains("ssl"), "{said}");
}

#[test]
fn other_systems_are_refused_by_name() {
    for (uname, getconf, name, hope) in [
        ("Darwin arm64", "", "macOS on arm64", "LIBTORCH"),
        ("Darwin x86_64", "", "macOS on x86_64", "no libtorch 2.11.0 for Intel"),
        ("Linux aarch64", "echo glibc 2.36", "64-bit Arm", "LIBTORCH"),
        ("MINGW64_NT-10.0 x86_64", "", "Windows", "WSL 2"),
        ("Linux x86_64", "exit 1", "without glibc", "Debian"),
        ("Linux x86_64", "", "without glibc", "Debian"),
        ("FreeBSD amd64", "", "FreeBSD on amd64", "LIBTORCH"),
        ("Linux riscv64", "echo glibc 2.36", "Linux on riscv64", "LIBTORCH"),
    ] {
        let (system, processor) = uname.split_once(' ').unwrap();
        let uname = format!("case $1 in -s) echo {system};; *) echo {processor};; esac");
        let said = Machine::says(&[("uname", &uname), ("getconf", getconf), ("cargo", "")]);
        assert!(said.contains(name) && said.contains(hope) && said.contains("xpected to work"), "{said}");
        assert!(!said.contains("apt") && (said.contains("never tried") || name == "without glibc"), "{said}");
    }
}

#[test]
fn nothing_is_fetched_before_the_machine_is_looked_at() {
    let clone = tempfile::tempdir().unwrap();
    fs::create_dir(clone.path().join("scripts")).unwrap();
    for name in ["Cargo.toml", "scripts/machine.sh", "scripts/libtorch.sh", "scripts/libtorch-cpu.txt"] {
        fs::copy(file(name), clone.path().join(name)).unwrap();
    }
    let log = clone.path().join("asked");
    let python = format!("echo \"$*\" >>{}", log.display());
    let output =
        Machine::new(&[("python3", &python), ("c++", "")]).run(&clone.path().join("scripts/libtorch.sh"), "cpu");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("C++"), "{output:?}");
    assert!(!fs::read_to_string(log).unwrap().contains("download"));
    let mut names: Vec<_> = fs::read_dir(clone.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["Cargo.toml", "asked", "scripts"], "no folder is begun");
}

#[test]
fn a_gpu_check_that_can_run_nothing_is_status_2() {
    let place = tempfile::tempdir().unwrap();
    let torch = "__version__ = '2.11.0'\nclass version: cuda = '13.0'\nclass cuda:\n    is_available = staticmethod(lambda: False)\n";
    fs::write(place.path().join("torch.py"), torch).unwrap();
    let check = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.arg("-B").arg(file("scripts/gpu_check.py")).args(arguments);
        command.env("CBAM_ROOT", crate::root()).env("PYTHONPATH", place.path()).output().unwrap()
    };
    let output = check(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("PyTorch finds no GPU here"), "{said}");
    assert_eq!(check(&["--device", "tpu"]).status.code(), Some(2));
    let script = Command::new("bash").arg(file("scripts/gpu-check.sh")).arg("/nowhere.tar.xz").output().unwrap();
    assert_eq!(script.status.code(), Some(2));
}
