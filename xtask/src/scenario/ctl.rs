//! Runs of `swiftctl`, bounded in time, with what they said kept beside the nodes' logs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::process::Process;
use super::wait::Patience;

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Output {
    said: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// This output, or an error that shows it unless the command succeeded.
    pub(crate) fn ok(self) -> Result<Self> {
        if !self.status.success() {
            bail!("`{}` ended with {}\n{}{}", self.said, self.status, self.stdout, self.stderr);
        }
        Ok(self)
    }

    /// The exit code of a command that was to fail. Succeeding is an error, and so is dying of a signal.
    pub(crate) fn refused(&self) -> Result<i32> {
        match self.status.code() {
            Some(0) => bail!("`{}` succeeded, but must not\n{}{}", self.said, self.stdout, self.stderr),
            Some(code) => Ok(code),
            None => bail!("`{}` ended with {}\n{}", self.said, self.status, self.stderr),
        }
    }

    /// The standard output as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("`{}` printed no JSON: {}", self.said, self.stdout))
    }
}

/// Runs a command to its end, or kills it when the limit is over. Its output goes through files named after `record`:
/// a pipe that nobody empties would stop it, and a failed scenario is read afterwards.
pub(crate) fn run(
    command: &mut Command,
    record: &Path,
    limit: Duration,
    patience: &Patience,
) -> Result<Output> {
    let said = said(command);
    let (out, err) = (record.with_extension("out"), record.with_extension("err"));
    let create =
        |path: &Path| File::create(path).with_context(|| format!("cannot create {}", path.display()));
    command.stdout(create(&out)?).stderr(create(&err)?);
    let mut process = Process::start(command)?;
    let status = patience.until(&format!("the end of `{said}`"), limit, || process.ended())?;
    let read = |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Output { said, status, stdout: read(&out)?, stderr: read(&err)? })
}

fn said(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(OsStr::new("?"));
    let words = [program].into_iter().chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Interrupt;

    const AGES: Duration = Duration::from_secs(3600);

    fn sh(script: &str, limit: Duration) -> Result<Output> {
        let folder = tempfile::tempdir()?;
        let patience = Patience::new(&Interrupt::default());
        run(Command::new("sh").args(["-c", script]), &folder.path().join("0001-sh"), limit, &patience)
    }

    #[test]
    fn success_and_refusal_are_told_apart() -> Result<()> {
        let good = sh("echo '{\"height\": 3}'; echo noise >&2", AGES)?;
        assert!(good.refused().is_err());
        assert_eq!(good.json()?["height"], 3);
        assert_eq!(good.ok()?.stderr, "noise\n");
        let bad = sh("echo why >&2; exit 5", AGES)?;
        assert_eq!(bad.refused()?, 5);
        assert!(bad.ok().unwrap_err().to_string().contains("why"));
        Ok(())
    }

    #[test]
    fn dying_of_a_signal_is_no_refusal() -> Result<()> {
        assert!(sh("kill -s KILL $$", AGES)?.refused().is_err());
        Ok(())
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let error = sh("exec tail -f /dev/null", Duration::from_millis(50)).unwrap_err().to_string();
        assert!(error.contains("the end of `sh -c exec tail"), "{error}");
    }
}
