//! The real program, for what only a process can show: exit codes, signals, sudden death.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{client::soon, site::Home};

/// The program with arguments, and with nothing in the environment that concerns it.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swiftserve-node"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("SWIFTSERVE_") || ["PORT", "MACHINE_IP", "AUTO_DETECT_IP"].contains(&&*name) {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a program that is expected to fail by itself; what it says on stderr.
pub(crate) async fn fails(args: &[&str]) -> String {
    let mut command = command(args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = soon(output).await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(matches!(output.status.code(), Some(code) if code != 0), "{}: {stderr}", output.status);
    stderr
}

/// Runs a program to its end, which is to be a good one; what it says.
pub(crate) async fn runs(args: &[&str]) -> String {
    let mut command = command(args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = soon(output).await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A running program. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    /// Read to its end by a thread: a full pipe would block the program.
    stderr: Option<std::thread::JoinHandle<String>>,
    pub(crate) home: Home,
}

impl Program {
    /// Starts the program in a home and waits until it says that it runs.
    pub(crate) async fn start(home: Home, more_args: &[&str]) -> Self {
        let port = home.port().to_string();
        let args = [&["--data-dir", home.folder().to_str().unwrap(), "--port", &port], more_args].concat();
        let mut child = command(&args).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        // What it prints when it runs ends with the advice to look at its status.
        let running = tokio::task::spawn_blocking(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).any(|line| line.contains(" status "))
        });
        let mut program = Self { child, stderr: Some(stderr), home };
        if !soon(running).await.unwrap() {
            let (status, stderr) = program.ended().await;
            panic!("it did not start: {status}: {stderr}");
        }
        program
    }

    /// The most memory that the process ever had.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; how it ended and what it said.
    pub(crate) async fn ended(&mut self) -> (ExitStatus, String) {
        let mut status = None;
        soon(async {
            while status.is_none() {
                status = self.child.try_wait().unwrap();
                // tidy: sleep-ok because the end of a process is polled for
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let stderr = self.stderr.take().map(|reader| reader.join().unwrap()).unwrap_or_default();
        (status.unwrap(), stderr)
    }

    /// Ends it as a crash does and gives its home.
    pub(crate) async fn kill(mut self) -> Home {
        self.signal(Signal::KILL);
        self.ended().await;
        self.into_home()
    }

    /// Gives the home of a program that has ended.
    pub(crate) fn into_home(mut self) -> Home {
        std::mem::replace(&mut self.home, Home::new())
    }

    /// Stops it as an operator does and gives its home.
    pub(crate) async fn terminate(mut self) -> Home {
        self.signal(Signal::TERM);
        let (status, stderr) = self.ended().await;
        assert!(status.success(), "{status}: {stderr}");
        self.into_home()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
