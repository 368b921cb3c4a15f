//! A server process with its data folder, and the watchdog that ends both together with the tests.
//!
//! A server is a [`Process`] in a [`Folder`]. The processes that belong to a server are found by
//! their working directory, which is the folder or below. That holds for PostgreSQL too, whose
//! children leave the process group.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::installed::Account;
use crate::wait::wait_until;

/// A temporary folder with a watchdog.
///
/// When this process ends in any way, the watchdog kills every process whose working directory is
/// in the folder, and then deletes the folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    watchdog: Child,
}

/// The watchdog's shell script. Its `$0` is the folder.
///
/// It waits for the end of its standard input, which the kernel closes when this process ends. It
/// repeats its work because a process may start another one, or write another file, while it is at
/// work.
const WATCHDOG: &str = r#"
cat >/dev/null
for round in 1 2 3 4 5; do
    for process in /proc/[0-9]*; do
        case "$(readlink "$process/cwd")" in "$0" | "$0"/*) kill -KILL "${process#/proc/}" ;; esac
    done
    rm -rf -- "$0" && exit
done"#;

impl Folder {
    /// Creates a folder that belongs to `owner`, and starts its watchdog.
    pub(crate) fn new(owner: Option<&Account>) -> Self {
        let path = tempfile::Builder::new()
            .prefix("countersign-testbed-")
            .tempdir()
            .map(TempDir::keep);
        let path = path
            .and_then(fs::canonicalize)
            .expect("a folder for temporary files");

        let mut watchdog = Command::new("sh");
        watchdog
            .args(["-c", WATCHDOG])
            .arg(&path)
            .current_dir("/")
            .process_group(0);
        watchdog
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let watchdog = watchdog.spawn().expect("`sh` starts");

        if let Some(owner) = owner {
            std::os::unix::fs::chown(&path, Some(owner.uid), Some(owner.gid))
                .expect("root may give a folder away");
        }
        Self { path, watchdog }
    }

    /// Returns the path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// A server process, running or not. Its working directory, and that of its children, is in the
/// folder.
#[derive(Debug)]
pub(crate) struct Process {
    command: Mutex<Command>,
    child: Mutex<Option<Child>>,
    frozen: AtomicBool,
    folder: Folder,
}

impl Process {
    /// Creates a process that isn't started yet.
    pub(crate) fn new(mut command: Command, folder: Folder) -> Self {
        command
            .current_dir(folder.path())
            .process_group(0)
            .stdin(Stdio::null());
        Self {
            command: Mutex::new(command),
            child: Mutex::new(None),
            frozen: AtomicBool::new(false),
            folder,
        }
    }

    /// Starts the server and waits until `ready` is `true`. Returns `false` if the server ended
    /// before.
    pub(crate) fn try_start(&self, ready: impl Fn() -> bool) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("a log file");

        let mut command = lock(&self.command);
        command
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        *lock(&self.child) = Some(child);
        self.frozen.store(false, SeqCst);

        let mut running = true;
        wait_until("the server is ready", || {
            running = self.is_running();
            !running || ready()
        });
        running
    }

    /// Starts the server and waits until `ready` is `true`. Panics with the log if the server ended
    /// before.
    pub(crate) fn start(&self, ready: impl Fn() -> bool) {
        assert!(self.try_start(ready), "the server ended:\n{}", self.log());
    }

    /// Sends `signal` to the server, and waits until it has ended.
    pub(crate) fn stop(&self, signal: &str) {
        let Some(mut child) = lock(&self.child).take() else {
            return;
        };
        send(signal, &[child.id()]);
        wait_until("the server has stopped", || {
            child.try_wait().expect("a child").is_some()
        });
    }

    /// Kills the server and all its children (SIGKILL), as a power cut would.
    pub(crate) fn kill(&self) {
        let Some(mut child) = lock(&self.child).take() else {
            return;
        };
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        wait_until("the server's children are gone", || {
            let left = self.members();
            send("KILL", &left);
            left.is_empty()
        });
    }

    /// Suspends the server and its children: connections stay open, and nobody answers.
    ///
    /// A process with many threads is suspended only after one of them has run, which takes a while
    /// on a busy machine. A child may start meanwhile. This returns once all threads are suspended.
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, SeqCst);
        wait_until("the server stands still", || {
            let moving: Vec<u32> = self
                .members()
                .into_iter()
                .filter(|process| !stands_still(*process))
                .collect();
            send("STOP", &moving);
            moving.is_empty()
        });
    }

    /// Resumes the server after [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        send("CONT", &self.members());
        self.frozen.store(false, SeqCst);
    }

    /// Returns `true` if the server runs and isn't frozen.
    pub(crate) fn is_awake(&self) -> bool {
        self.is_running() && !self.frozen.load(SeqCst)
    }

    /// Returns the path of the folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the output of the server so far, over all its starts.
    pub(crate) fn log(&self) -> String {
        let mut log = String::new();
        File::open(self.log_path())
            .and_then(|mut file| file.read_to_string(&mut log))
            .expect("the log is readable");
        log
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// Returns `true` if the server hasn't ended.
    fn is_running(&self) -> bool {
        lock(&self.child)
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Returns the ids of the server's process and its children.
    ///
    /// PostgreSQL's children are in process groups of their own, but all work in the data folder.
    fn members(&self) -> Vec<u32> {
        let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        processes
            .filter(|entry| {
                fs::read_link(entry.path().join("cwd"))
                    .is_ok_and(|cwd| cwd.starts_with(self.folder.path()))
            })
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `command` with `input` to its end, and returns its output. Panics with its error output if
/// it fails.
pub(crate) fn run(command: &mut Command, input: &str) -> String {
    let output = try_run(command, input);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{error}",
        output.status
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Runs `command` with `input` to its end, and returns its output and its status.
pub(crate) fn try_run(command: &mut Command, input: &str) -> Output {
    use std::io::Write;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());

    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();

    // A program may answer while it still reads. Without a second thread each side would wait for
    // the other.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it is our child");
    // A program that failed early has closed its input. Its exit code tells.
    let _ = writer.join().expect("the writer doesn't panic");
    output
}

/// Returns `true` once every thread of the process is suspended or has ended.
fn stands_still(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let mut states = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        // The name before the state is in parentheses, and may contain parentheses itself.
        stat.rsplit_once(") ")?.1.chars().next()
    });
    states.all(|state| matches!(state, 'T' | 'X' | 'Z'))
}

/// Sends a signal to processes. Those that have ended are ignored.
fn send(signal: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }

    // The shell has a `kill` of its own. The standard library has no safe call for it, and the
    // package procps may be missing.
    let mut command = Command::new("sh");
    command.args([
        "-c",
        r#"signal=$0; for process; do kill -"$signal" "$process" 2>/dev/null; done; true"#,
        signal,
    ]);
    command.args(processes.iter().map(u32::to_string));
    run(&mut command, "");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
