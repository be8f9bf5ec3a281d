//! One `swiftserve-node` process: its folder, its port, and what can be done to it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::binaries::Binaries;
use super::ctl::{self, Output};
use super::http::{self, Request, Response};
use super::lan::{self, Place};
use super::process::{self, Process};
use super::usage::Usage;
use super::wait::Patience;

/// A node must serve this soon after its start, whatever the machine is busy with.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a node may take to stop after SIGTERM; this is what it promises.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const CTL_LIMIT: Duration = Duration::from_secs(120);
const HTTP_PATIENCE: Duration = Duration::from_secs(30);

/// How to start a node.
#[derive(Clone, Debug)]
pub(crate) struct NodeSpec {
    /// Names its folder and its log.
    pub(crate) name: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) port: u16,
    /// A network namespace of its own; none to live with us on loopback.
    pub(crate) place: Option<Place>,
    /// The network to join; none to found one. Used at the first start only: afterwards the data folder knows.
    pub(crate) ticket: Option<String>,
    /// Further arguments and variables, for every start.
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
}

/// A node that was started. Dropping it kills its process.
#[derive(Debug)]
pub(crate) struct Node {
    spec: NodeSpec,
    binaries: Arc<Binaries>,
    patience: Patience,
    process: Option<Process>,
    /// Counts the commands, to name their records.
    commands: AtomicUsize,
}

impl Node {
    /// Starts a node and waits until it serves.
    pub(super) fn start(spec: NodeSpec, binaries: Arc<Binaries>, patience: Patience) -> Result<Self> {
        fs::create_dir_all(&spec.data_dir)?;
        let mut node = Self { spec, binaries, patience, process: None, commands: AtomicUsize::new(0) };
        node.launch(true)?;
        Ok(node)
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.spec.place.as_ref().map_or(Ipv4Addr::LOCALHOST, |place| place.address);
        (address, self.spec.port).into()
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.spec.data_dir
    }

    /// Where complete files appear under their names.
    pub(crate) fn files_dir(&self) -> PathBuf {
        self.spec.data_dir.join("files")
    }

    /// Everything the node has logged, over all its starts.
    pub(crate) fn log(&self) -> Result<String> {
        let path = self.log_path();
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs `swiftctl` on this node's data folder.
    pub(crate) fn ctl(&self, args: &[&dyn AsRef<OsStr>]) -> Result<Output> {
        self.ctl_within(CTL_LIMIT, args)
    }

    /// Like [`Node::ctl`], for what may take longer.
    pub(crate) fn ctl_within(&self, limit: Duration, args: &[&dyn AsRef<OsStr>]) -> Result<Output> {
        let mut command = self.command(&self.binaries.ctl);
        command.arg("--data-dir").arg(&self.spec.data_dir).args(args.iter().map(AsRef::as_ref));
        let number = self.commands.fetch_add(1, Ordering::Relaxed) + 1;
        let verb = args.first().map_or(OsStr::new("ctl"), |arg| arg.as_ref()).to_string_lossy().into_owned();
        let record = self.beside(&format!("{}-ctl-{number:04}-{verb}.out", self.spec.name));
        ctl::run(&mut command, &record, limit, &self.patience)
    }

    /// Runs a command of `swiftserve-node`, which names the folder itself.
    pub(crate) fn program(&self, args: &[&dyn AsRef<OsStr>]) -> Result<Output> {
        let mut command = self.command(&self.binaries.node);
        command.args(args.iter().map(AsRef::as_ref));
        let number = self.commands.fetch_add(1, Ordering::Relaxed) + 1;
        let record = self.beside(&format!("{}-program-{number:04}.out", self.spec.name));
        ctl::run(&mut command, &record, CTL_LIMIT, &self.patience)
    }

    /// Runs a command of `swiftctl` that prints data, and reads it.
    pub(crate) fn ctl_json(&self, args: &[&dyn AsRef<OsStr>]) -> Result<Value> {
        self.ctl(&[args, &[&"-o", &"json"]].concat())?.ok()?.json()
    }

    /// A fresh ticket to this node's network.
    pub(crate) fn ticket(&self) -> Result<String> {
        let invited = self.ctl_json(&[&"invite"])?;
        let ticket = invited.get("ticket").and_then(Value::as_str);
        Ok(ticket.context("`swiftctl invite -o json` has no ticket")?.to_owned())
    }

    /// The admin token that the first start wrote.
    pub(crate) fn token(&self) -> Result<String> {
        Ok(self.ctl(&[&"token", &"show"])?.ok()?.stdout.trim().to_owned())
    }

    /// Sends a plain HTTP request.
    pub(crate) fn http(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &[u8],
    ) -> Result<Response> {
        let asked = ask(self.address(), self.place(), &Request { method, path, token, body });
        asked.with_context(|| format!("{method} {path} on {}", self.spec.name))
    }

    /// What the node answers to a GET with its admin token. Quicker than a command, for who looks often.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let token = fs::read_to_string(self.spec.data_dir.join("admin-token"))?;
        self.http("GET", path, Some(token.trim()), b"")?.expect(200)?.json()
    }

    /// The node's id.
    pub(crate) fn id(&self) -> Result<String> {
        let status = self.get("/v1/status")?;
        Ok(status["node_id"].as_str().context("status has no node_id")?.to_owned())
    }

    /// Bytes of content that came from other nodes since this one started.
    pub(crate) fn received(&self) -> Result<u64> {
        let status = self.get("/v1/status")?;
        status["traffic"]["received_bytes"].as_u64().context("status has no traffic")
    }

    /// Bytes that the node has sent: over its cable with all that is around content, or, without one, of content.
    pub(crate) fn sent(&self) -> Result<u64> {
        if let Some(place) = self.place() {
            return place.sent();
        }
        let status = self.get("/v1/status")?;
        status["traffic"]["sent_bytes"].as_u64().context("status has no traffic")
    }

    /// What its process has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let process = self.process.as_ref().with_context(|| format!("{} was stopped", self.spec.name))?;
        Usage::of(process.pid())
    }

    /// Fails if the process has ended by itself.
    pub(crate) fn assert_running(&mut self) -> Result<()> {
        match self.running()?.ended()? {
            Some(status) => bail!("{} ended by itself with {status}", self.spec.name),
            None => Ok(()),
        }
    }

    /// The number of its process.
    pub(crate) fn pid(&mut self) -> Result<u32> {
        self.assert_running()?;
        Ok(self.running()?.pid())
    }

    /// Waits for its end, which is to come by itself; how it ended.
    pub(crate) fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end by itself", self.spec.name);
        let patience = self.patience.clone();
        let process = self.running()?;
        let status = patience.until(&what, limit, || process.ended())?;
        self.process = None;
        Ok(status)
    }

    /// SIGKILL: as a power cut, as far as the process can tell.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.assert_running()?;
        self.running()?.kill()?;
        self.process = None;
        Ok(())
    }

    /// SIGSTOP: it stands still, and its connections stay open.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.assert_running()?;
        self.running()?.signal("STOP")
    }

    /// SIGCONT: it goes on as if nothing had been.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.running()?.signal("CONT")
    }

    /// Where it lives, if not with us.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.spec.place.as_ref()
    }

    /// SIGTERM: the node must end within ten seconds, and say that all is well.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.assert_running()?;
        let what = format!("{} to stop after SIGTERM", self.spec.name);
        // After Ctrl-C too, a node is given its time.
        let patience = self.patience.even_if_interrupted();
        let process = self.running()?;
        process.terminate()?;
        let status = patience.until(&what, STOP_LIMIT, || process.ended())?;
        self.process = None;
        if !status.success() {
            bail!("{} stopped with {status}", self.spec.name);
        }
        // A task may panic and the node go on without it; the log tells.
        ensure!(!self.log()?.contains("panicked at"), "something panicked in {}", self.spec.name);
        Ok(())
    }

    /// Starts the node again on its folder and port, after [`Node::kill`] or [`Node::stop`], and waits until it
    /// serves. Without the ticket: a node remembers where it belongs.
    pub(crate) fn restart(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("{} still runs; stop or kill it first", self.spec.name);
        }
        self.launch(false)
    }

    fn launch(&mut self, first: bool) -> Result<()> {
        let spec = &self.spec;
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.command(&self.binaries.node);
        command.arg("--data-dir").arg(&spec.data_dir).arg("--port").arg(spec.port.to_string());
        if let Some(ticket) = spec.ticket.as_ref().filter(|_| first) {
            command.arg("--join").arg(ticket);
        }
        if let Some(place) = &spec.place {
            command.arg("--machine-ip").arg(place.address.to_string());
        }
        command.args(&spec.args).envs(spec.env.iter().map(|(name, value)| (name, value)));
        command.stdout(log.try_clone()?).stderr(log);
        self.process = Some(Process::start(&mut command)?);
        self.await_ready()
    }

    fn await_ready(&mut self) -> Result<()> {
        let what = format!("{} to answer GET /readyz with 200", self.spec.name);
        let (address, place, patience) = (self.address(), self.spec.place.clone(), self.patience.clone());
        let request = Request { method: "GET", path: "/readyz", token: None, body: b"" };
        patience.until(&what, READY_LIMIT, || {
            self.assert_running()?;
            // Refused connections and half answers belong to a start.
            Ok(ask(address, place.as_ref(), &request).ok().filter(|r| r.status == 200))
        })?;
        if !self.running()?.listens_on(address.port())? {
            bail!("{address} answers, but not from the process of {}", self.spec.name);
        }
        Ok(())
    }

    /// A program to be run where the node lives.
    fn command(&self, program: &Path) -> Command {
        let Some(place) = &self.spec.place else { return process::command(program) };
        let mut command = process::command(Path::new("ip"));
        // It becomes the program: the process is the same.
        command.args(["netns", "exec", &place.namespace]).arg(program);
        command
    }

    fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().with_context(|| format!("{} was stopped", self.spec.name))
    }

    fn log_path(&self) -> PathBuf {
        self.beside(&format!("{}.log", self.spec.name))
    }

    /// A path beside the data folder, which belongs to the node.
    fn beside(&self, name: &str) -> PathBuf {
        self.spec.data_dir.with_file_name(name)
    }
}

/// Asks from the machine that the node lives on, by its loopback: from elsewhere it takes no token.
fn ask(address: SocketAddr, place: Option<&Place>, request: &Request<'_>) -> Result<Response> {
    let ask = || http::ask((Ipv4Addr::LOCALHOST, address.port()).into(), request, HTTP_PATIENCE);
    place.map_or_else(ask, |place| lan::inside(&place.namespace, ask))
}
