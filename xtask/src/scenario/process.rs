//! Child processes that cannot outlive what started them, and the proof that an answer came from one of them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// A running child. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        // In a process group of its own: Ctrl-C in the terminal is for us, and we end our children in order.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let program = command.get_program().to_owned();
        let child =
            command.spawn().with_context(|| format!("cannot start {}", Path::new(&program).display()))?;
        Ok(Self { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.signal("TERM")
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&mut self, name: &str) -> Result<()> {
        // Once it has been waited for, its number may belong to a process of somebody else.
        if let Some(status) = self.ended()? {
            bail!("it has already ended with {status}");
        }
        let pid = self.pid().to_string();
        // The standard library sends no signal but SIGKILL; every shell does.
        let sent = Command::new("sh").args(["-c", "kill -s \"$2\" \"$1\"", "sh", &pid, name]).status()?;
        if !sent.success() {
            bail!("cannot send SIG{name} to process {pid}");
        }
        Ok(())
    }

    /// Ends it without a chance to tidy up (SIGKILL).
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it and all it started that stayed in its process group. Nothing better can be done with an error, and
    /// what has ended gives none.
    pub(crate) fn kill_group(&mut self) {
        // It was not waited for yet, so that its number is still its own, also if it has ended.
        let group = format!("-{}", self.pid());
        let kill = Command::new("sh")
            .args(["-c", "kill -s KILL -- \"$1\"", "sh", &group])
            .stderr(Stdio::null())
            .status();
        drop(kill);
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Whether this very process listens on a TCP port, so that an answer from there is its own and not that of
    /// something left over. Taken on trust where the system has no `/proc`.
    pub(crate) fn listens_on(&self, port: u16) -> Result<bool> {
        let proc = Path::new("/proc").join(self.pid().to_string());
        if !proc.join("net/tcp").exists() {
            return Ok(true);
        }
        // Through the process, since it may live in a network namespace of its own.
        let table = |name| fs::read_to_string(proc.join("net").join(name)).unwrap_or_default();
        let tables = [table("tcp"), table("tcp6")];
        let inodes: Vec<&str> = tables.iter().flat_map(|t| listening(t, port)).collect();
        for entry in fs::read_dir(proc.join("fd"))? {
            // Descriptors come and go while we look.
            let Ok(link) = fs::read_link(entry?.path()) else { continue };
            if inodes.iter().any(|inode| link.as_os_str() == OsStr::new(&format!("socket:[{inode}]"))) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing better can be done with an error here, and an ended process gives none.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A command in an environment that says nothing about nodes: what the caller set for a node of theirs must not
/// reach ours.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(speaks_of_a_node) {
            command.env_remove(name);
        }
    }
    command
}

fn speaks_of_a_node(name: &str) -> bool {
    name.starts_with("SWIFTSERVE_") || ["PORT", "MACHINE_IP", "AUTO_DETECT_IP"].contains(&name)
}

/// The inodes of the sockets that listen on `port`, from a table as in `/proc/net/tcp`.
fn listening(table: &str, port: u16) -> Vec<&str> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[1].ends_with(&suffix) && row[3] == LISTEN)
        .map(|row| row[9])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::interrupt::Interrupt;
    use crate::scenario::wait::Patience;

    const AGES: std::time::Duration = std::time::Duration::from_secs(3600);

    fn idle() -> Result<Process> {
        Process::start(Command::new("sh").args(["-c", "exec tail -f /dev/null"]).stdin(Stdio::null()))
    }

    #[test]
    fn only_listening_sockets_of_the_port_are_taken() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
            1: 0100007F:1F90 0100007F:8123 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
            2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        assert_eq!(listening(table, 8080), ["4711"]);
        assert_eq!(listening("", 8080), [""; 0]);
    }

    #[test]
    fn a_port_of_ours_is_not_taken_for_the_childs() -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let child = idle()?;
        let has_proc = Path::new("/proc/self/net/tcp").exists();
        assert_eq!(child.listens_on(listener.local_addr()?.port())?, !has_proc);
        Ok(())
    }

    #[test]
    fn a_dropped_process_is_gone() -> Result<()> {
        let child = idle()?;
        let pid = child.pid().to_string();
        drop(child);
        let alive = Command::new("sh").args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh", &pid]).status()?;
        assert!(!alive.success());
        Ok(())
    }

    #[test]
    fn with_its_group_what_it_started_is_gone() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let told = folder.path().join("pid");
        let script = "tail -f /dev/null & echo $! > \"$1.new\" && mv \"$1.new\" \"$1\"; wait";
        let mut parent = Process::start(Command::new("sh").args(["-c", script, "sh"]).arg(&told))?;
        let patience = Patience::new(&Interrupt::default());
        let pid = patience.until("the child to be started", AGES, || Ok(fs::read_to_string(&told).ok()))?;
        parent.kill_group();
        patience.until("the child to be gone", AGES, || {
            // An ended process whose parent is gone may wait a moment for the system to take note.
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            Ok((stat.is_empty() || stat.contains(") Z ")).then_some(()))
        })
    }

    #[test]
    fn sigterm_reaches_it_and_an_ended_process_is_not_signalled() -> Result<()> {
        let mut child = idle()?;
        child.terminate()?;
        let status = child.child.wait()?;
        assert!(!status.success());
        assert!(child.terminate().is_err());
        Ok(())
    }

    #[test]
    fn the_callers_own_node_does_not_speak_to_ours() {
        assert!(speaks_of_a_node("SWIFTSERVE_TOKEN") && speaks_of_a_node("PORT"));
        assert!(!speaks_of_a_node("PATH") && !speaks_of_a_node("REPORT"));
    }
}
