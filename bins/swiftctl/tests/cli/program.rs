//! Runs of the program.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use swift_chunks::ContentHasher;

/// What a run left.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    /// The standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// The standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }

    /// Fails, and shows why, unless the program ended so.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stderr: {}", self.stderr);
        self
    }
}

/// Runs the program in a folder, with nothing in the environment that concerns it.
pub(crate) fn swiftctl(folder: &Path, args: &[&str], stdin: &[u8]) -> Run {
    swiftctl_with(folder, &[], args, stdin)
}

/// The same, with these variables.
pub(crate) fn swiftctl_with(folder: &Path, env: &[(&str, &str)], args: &[&str], stdin: &[u8]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_swiftctl"))
        .args(args)
        .current_dir(folder)
        .env_remove("SWIFTSERVE_NODE")
        .env_remove("SWIFTSERVE_TOKEN")
        .env_remove("SWIFTSERVE_TOKEN_FILE")
        .env_remove("SWIFTSERVE_DATA_DIR")
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A program that does not read its input may be gone by now.
    let _ = input.write_all(stdin);
    drop(input);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Run { code: output.status.code().unwrap(), stdout: output.stdout, stderr }
}

/// BLAKE3 of the content.
pub(crate) fn file_id(content: &[u8]) -> String {
    let mut hasher = ContentHasher::new();
    hasher.update(content, |_| ()).unwrap();
    hasher.finish(|_| ()).file_id.to_string()
}

/// Bytes that do not repeat soon.
pub(crate) fn content(len: u32) -> Vec<u8> {
    (0..len).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// What lies in a folder.
pub(crate) fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}
