//! Finds the installed programs, and the accounts that servers run under.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the path of `program`, which the Debian package `package` contains. Panics if it isn't
/// installed.
pub(crate) fn program(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian_folders()
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("`{program}` isn't installed; it comes with {package}: run `sudo apt-get install -y {package}`")
        })
}

/// Returns the path of the library that gives a process another clock.
///
/// Set `LD_PRELOAD` to the path and `FAKETIME` to the difference between that clock and the real
/// one, such as `+3d`. Panics if libfaketime isn't installed.
pub fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    folders
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("libfaketime isn't installed; run `sudo apt-get install -y libfaketime`")
        })
}

/// Returns the folders `/usr/lib/postgresql/<version>/bin`, the newest version first.
fn debian_folders() -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
        .into_iter()
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .collect()
}

/// An account of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Returns the first of `names` that is an account of this machine.
pub(crate) fn account(names: &[&str]) -> Account {
    let accounts = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    names
        .iter()
        .find_map(|name| accounts.lines().find_map(|line| account_in(line, name)))
        .unwrap_or_else(|| panic!("none of the accounts {names:?} exists"))
}

/// Returns the account in a line of `/etc/passwd`, if it has this name.
fn account_in(line: &str, name: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|field| *field == name)?.to_owned();
    Some(Account {
        name,
        uid: fields.nth(1)?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}

/// Returns `true` if this process runs as root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self"))
        .expect("/proc is mounted")
        .uid()
        == 0
}
