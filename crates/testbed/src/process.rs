//! One server process with its data folder, and the watchdog that ends both when the tests end.

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

/// A throw-away folder, watched: when this process ends in any way, every process that stands in it gets killed, and
/// the folder is removed.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    watchdog: Child,
}

const WATCHDOG: &str = r#"
cat >/dev/null
for round in 1 2 3 4 5; do
    for process in /proc/[0-9]*; do
        case "$(readlink "$process/cwd")" in "$0" | "$0"/*) kill -KILL "${process#/proc/}" ;; esac
    done
    rm -rf -- "$0" && exit
done"#;

impl Folder {
    pub(crate) fn new(owner: Option<&Account>) -> Self {
        let path = tempfile::Builder::new().prefix("countersign-testbed-").tempdir().map(TempDir::keep);
        let path = path.and_then(fs::canonicalize).expect("a folder for temporary files");
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCHDOG]).arg(&path).current_dir("/").process_group(0);
        watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let watchdog = watchdog.spawn().expect("`sh` starts");
        if let Some(owner) = owner {
            std::os::unix::fs::chown(&path, Some(owner.uid), Some(owner.gid)).expect("root may give a folder away");
        }
        Self { path, watchdog }
    }

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

/// A server process, running or not. It and its children stand in the folder or below.
#[derive(Debug)]
pub(crate) struct Process {
    command: Mutex<Command>,
    child: Mutex<Option<Child>>,
    frozen: AtomicBool,
    folder: Folder,
}

impl Process {
    pub(crate) fn new(mut command: Command, folder: Folder) -> Self {
        command.current_dir(folder.path()).process_group(0).stdin(Stdio::null());
        Self { command: Mutex::new(command), child: Mutex::new(None), frozen: AtomicBool::new(false), folder }
    }

    /// Starts the server and waits until `ready`. `false` when it ended before that.
    pub(crate) fn try_start(&self, ready: impl Fn() -> bool) -> bool {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = lock(&self.command);
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        *lock(&self.child) = Some(child);
        self.frozen.store(false, SeqCst);
        let mut running = true;
        wait_until("the server is ready", || {
            running = self.is_running();
            !running || ready()
        });
        running
    }

    /// Starts the server and waits until `ready`.
    pub(crate) fn start(&self, ready: impl Fn() -> bool) {
        assert!(self.try_start(ready), "the server ended:\n{}", self.log());
    }

    /// Ends the server the way `signal` asks for, and waits until it is gone.
    pub(crate) fn stop(&self, signal: &str) {
        let Some(mut child) = lock(&self.child).take() else { return };
        send(signal, &[child.id()]);
        wait_until("the server has stopped", || child.try_wait().expect("a child").is_some());
    }

    /// SIGKILL to the server and all its children, as a power cut would.
    pub(crate) fn kill(&self) {
        let Some(mut child) = lock(&self.child).take() else { return };
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        wait_until("the server's children are gone", || {
            let left = self.members();
            send("KILL", &left);
            left.is_empty()
        });
    }

    /// Stops the server and its children from running, without ending them: connections stay open, nobody answers.
    ///
    /// A process of many threads stops when one of them has had its turn, which takes a while on a busy machine, and a child may
    /// have been born meanwhile: this returns once all of them stand still.
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, SeqCst);
        wait_until("the server stands still", || {
            let moving: Vec<u32> = self.members().into_iter().filter(|process| !stands_still(*process)).collect();
            send("STOP", &moving);
            moving.is_empty()
        });
    }

    /// Ends a [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        send("CONT", &self.members());
        self.frozen.store(false, SeqCst);
    }

    /// Whether the server runs and isn't frozen.
    pub(crate) fn is_awake(&self) -> bool {
        self.is_running() && !self.frozen.load(SeqCst)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> String {
        let mut log = String::new();
        File::open(self.log_path()).and_then(|mut file| file.read_to_string(&mut log)).expect("the log is readable");
        log
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn is_running(&self) -> bool {
        lock(&self.child).as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The server's process and its children: PostgreSQL's are in process groups of their own, but all stand in the
    /// data folder.
    fn members(&self) -> Vec<u32> {
        let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        processes
            .filter(|entry| {
                fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.folder.path()))
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

/// Runs `command` to its end, with `input`; panics with what it said when it fails.
pub(crate) fn run(command: &mut Command, input: &str) -> String {
    let output = try_run(command, input);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{error}", output.status);
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Runs `command` to its end, with `input`.
pub(crate) fn try_run(command: &mut Command, input: &str) -> Output {
    use std::io::Write;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // A program that answers while it still reads would otherwise wait for us, and we for it.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it is our child");
    // A program that failed early has closed its input; its exit code tells.
    let _ = writer.join().expect("the writer doesn't panic");
    output
}

/// Returns true once every thread of the process is stopped, or gone.
fn stands_still(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut states = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        // The name before the state is in parentheses, and may hold some.
        stat.rsplit_once(") ")?.1.chars().next()
    });
    states.all(|state| matches!(state, 'T' | 'X' | 'Z'))
}

fn send(signal: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    // The shell's own `kill`: there is no safe call for it in the standard library, and procps may be missing.
    let mut command = Command::new("sh");
    command.args(["-c", r#"signal=$0; for process; do kill -"$signal" "$process" 2>/dev/null; done; true"#, signal]);
    command.args(processes.iter().map(u32::to_string));
    run(&mut command, "");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
