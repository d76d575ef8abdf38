//! Temporary files that name their owner, so that what a killed process left is known from what another one is writing.
//!
//! `.cbam-MACHINE-START-PROCESS-BEGUN-RANDOM.tmp`: a hash of the machine's name, one of its last start, and the process's
//! number and the moment that it was begun, both in hexadecimal. While its owner lives it holds a lock, too.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

const PREFIX: &str = ".cbam-";
const SUFFIX: &str = ".tmp";

/// This process; `None` where the system does not say enough about it.
static THIS: LazyLock<Option<Owner>> = LazyLock::new(Owner::this);

/// The folders in which this process has looked for what others left.
static SWEPT: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// The temporary files of this process.
static LIVE: LazyLock<Mutex<Live>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Live {
    paths: HashSet<PathBuf>,
    /// The process ends: no further one is made.
    ended: bool,
}

/// Removes every unfinished file of this process, and lets no further one be made: for a process that ends at once,
/// whatever its threads are doing.
pub fn remove_unfinished() {
    let mut live = lock(&LIVE);
    live.ended = true;
    for path in live.paths.drain() {
        let _ = fs::remove_file(path); // finished at this moment, or out of reach: either way there is no more to do
    }
}

/// A temporary file; removed when it is dropped, unless it has taken a name.
#[derive(Debug)]
pub(super) struct Temporary {
    file: NamedTempFile,
}

impl Temporary {
    /// A new file in `folder`, with the permissions of `like`, or those that any new file gets. What killed processes left
    /// there is removed, once in the life of this process.
    pub(super) fn create(folder: &Path, like: Option<&fs::Metadata>) -> io::Result<Self> {
        if lock(&SWEPT).insert(folder.to_owned()) {
            sweep(folder);
        }
        let prefix = THIS.as_ref().map_or_else(|| PREFIX.to_owned(), Owner::prefix);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(SUFFIX);
        // Made by hand: tempfile's own way would tell the temporary name in its errors.
        let file = builder.make_in(folder, |path| File::options().write(true).create_new(true).open(path))?;
        let _ = file.as_file().try_lock_shared(); // where there are no locks, the name has to do
        if let Some(like) = like {
            take_over(file.as_file(), like);
        }
        let mut live = lock(&LIVE);
        if live.ended {
            return Err(ErrorKind::Interrupted.into());
        }
        live.paths.insert(file.path().to_owned());
        drop(live);
        Ok(Self { file })
    }

    /// Its own name.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its name.
    pub(super) fn persist(mut self, target: &Path) -> io::Result<()> {
        let path = self.file.path().to_owned();
        let kept = fs::rename(&path, target);
        if kept.is_ok() {
            self.file.disable_cleanup(true);
        }
        kept
    }

    /// Waits until what was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_file().sync_all()
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        lock(&LIVE).paths.remove(self.file.path());
    }
}

/// Gives `file`, which will replace another, that one's permissions and, if this process may, its owner.
fn take_over(file: &File, like: &fs::Metadata) {
    #[cfg(not(unix))]
    let permissions = like.permissions();
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        let own = file.metadata().map(|own| (own.uid(), own.gid())).ok();
        if own != Some((like.uid(), like.gid())) {
            let _ = fchown(file, Some(like.uid()), Some(like.gid())); // only the system's administrator may
        }
        fs::Permissions::from_mode(like.permissions().mode() & 0o777)
    };
    let _: io::Result<()> = file.set_permissions(permissions); // some file systems know none
}

/// Removes the temporary files in `folder` whose owners are gone. What cannot be read or removed is left.
fn sweep(folder: &Path) {
    let Some(this) = &*THIS else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(owner) = Owner::of(&name).filter(|owner| owner.is_gone(this)) else { continue };
        if entry.file_type().is_ok_and(|kind| kind.is_file()) && is_unlocked(&entry.path(), &owner, this) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether nobody holds the file's lock: its owner may live where this process cannot see it, in another container.
fn is_unlocked(path: &Path, owner: &Owner, this: &Owner) -> bool {
    match File::open(path).map(|file| file.try_lock()) {
        Ok(Ok(())) => true,
        Ok(Err(TryLockError::Error(_))) => owner.start == this.start, // no locks here
        Ok(Err(TryLockError::WouldBlock)) | Err(_) => false,
    }
}

/// A process on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    /// A hash of the machine's name.
    machine: u32,
    /// A hash of what tells one start of the machine from another.
    start: u32,
    process: u32,
    /// When the process was begun, in the kernel's ticks since the machine's start.
    begun: u64,
}

impl Owner {
    /// This process; none but on Linux.
    fn this() -> Option<Self> {
        let read = |path: &str| fs::read(path).ok();
        let mut machine = read("/proc/sys/kernel/hostname")?;
        machine.extend(read("/etc/machine-id").unwrap_or_default());
        let start = read("/proc/sys/kernel/random/boot_id")?;
        let process = std::process::id();
        let begun = begun(process)?;
        Some(Self { machine: crc32c::crc32c(&machine), start: crc32c::crc32c(&start), process, begun })
    }

    fn prefix(&self) -> String {
        let Self { machine, start, process, begun } = self;
        format!("{PREFIX}{machine:08x}-{start:08x}-{process:x}-{begun:x}-")
    }

    /// The owner that a temporary file's name tells; `None` if it is no such name.
    fn of(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let parts: Vec<&str> = name.split('-').collect();
        let &[machine, start, process, begun, random] = &parts[..] else { return None };
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let small = |text: &str| number(text).and_then(|number| u32::try_from(number).ok());
        let owner =
            Self { machine: small(machine)?, start: small(start)?, process: small(process)?, begun: number(begun)? };
        let ours = !random.is_empty() && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (ours && format!("{PREFIX}{name}").starts_with(&owner.prefix())).then_some(owner)
    }

    /// Whether it has ended; of another machine's nothing is known.
    fn is_gone(&self, this: &Self) -> bool {
        self.machine == this.machine && (self.start != this.start || begun(self.process) != Some(self.begun))
    }
}

/// When a process was begun; `None` if there is none of that number, or it has ended and nobody has asked how.
fn begun(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field, the program's name in brackets, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ended = matches!(*fields.first()?, "Z" | "X");
    (!ended).then(|| fields.get(19)?.parse().ok()).flatten()
}

/// What is behind these locks is changed in single steps that do not panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner_and_nothing_else_is_one() {
        let this = Owner::this().unwrap();
        let name = format!("{}AbC123{SUFFIX}", this.prefix());
        assert_eq!(Owner::of(OsStr::new(&name)), Some(this));
        for other in ["", "AbC123", "0-1-2-AbC", "zz-1-2-3-A", "0000000a-0000000b-1-2-", "0000000a-0000000b-01-2-A"] {
            assert_eq!(Owner::of(OsStr::new(&format!("{PREFIX}{other}{SUFFIX}"))), None, "{other}");
        }
        for other in [format!("x{name}"), format!("{name}x"), name.replace(SUFFIX, ""), name.replace('.', "")] {
            assert_eq!(Owner::of(OsStr::new(&other)), None, "{other}");
        }
    }

    /// A process of this machine's, as some other one of the same number.
    fn gone() -> Owner {
        let this = Owner::this().unwrap();
        Owner { begun: this.begun + 1, ..this }
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let this = Owner::this().unwrap();
        let put = |owner: Owner, random: &str| {
            let path = folder.path().join(format!("{}{random}{SUFFIX}", owner.prefix()));
            fs::write(&path, "half").unwrap();
            path
        };
        let left = [put(gone(), "a"), put(Owner { start: !this.start, ..this }, "b")];
        let locked = put(Owner { start: !this.start, ..this }, "c");
        let kept = [
            put(this, "d"),
            put(Owner { machine: !this.machine, ..gone() }, "e"),
            locked.clone(),
            folder.path().join(".cbam-AbC123.tmp"),
            folder.path().join("picture.png"),
        ];
        kept[3..].iter().for_each(|path| fs::write(path, "").unwrap());
        let named = folder.path().join(format!("{}f{SUFFIX}", gone().prefix()));
        fs::create_dir(&named).unwrap();
        let elsewhere = File::open(&locked).unwrap();
        elsewhere.try_lock_shared().unwrap();

        let file = Temporary::create(folder.path(), None).unwrap();
        assert!(left.iter().all(|path| !path.exists()));
        assert!(kept.iter().all(|path| path.exists()) && named.is_dir());
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), kept.len() + 1);
    }

    #[test]
    fn a_process_that_has_ended_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = child.id();
        let zombie = || fs::read_to_string(format!("/proc/{process}/stat")).unwrap().contains(") Z ");
        while !zombie() {
            std::thread::yield_now();
        }
        assert_eq!(begun(process), None, "a zombie");
        child.wait().unwrap();
        assert_eq!(begun(process), None);
        assert!(begun(std::process::id()).is_some());
    }
}
