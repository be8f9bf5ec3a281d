//! Parses, composes, runs, exits.

mod cli;

use std::{hint::black_box, process::ExitCode, time::Duration};

use clap::Parser;
use cli::Cli;
use swift_chain::{NetworkParams, Role};
use swift_p2p::{
    driver::{LOOK_EVERY, Patience},
    offences::ISOLATION_FIRST,
};
use swiftserve_node::{Args, Config, Node, NodeOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// How long running requests may take after the first signal to stop. With what stopping itself takes at most, the
/// process ends within ten seconds.
const GRACE: Duration = Duration::from_secs(6);

/// Larger than any buffer that is allocated again and again.
const BUFFERS_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    let Cli { args, command } = Cli::parse();
    let ended = match &command {
        Some(command) => {
            start_log(LevelFilter::WARN);
            command.run(|name| std::env::var(name).ok())
        }
        None => run(&args),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            // Each error is a whole sentence with its cause in it.
            eprintln!("swiftserve-node: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(args, |name| std::env::var(name).ok())?;
    start_log(config.log);
    keep_freed_buffers();
    let runtime = tokio::runtime::Runtime::new()?;
    let code = runtime.block_on(serve(config));
    // Blocking reads that are still running must not hold the process up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

/// glibc returns freed memory to the system from 128 KiB on, and takes it again for the next buffers, page by page. An
/// allocation that is freed raises that bound to twice its size (mallopt(3), `M_MMAP_THRESHOLD`). Nothing of this one is
/// ever touched, so it takes no memory.
fn keep_freed_buffers() {
    drop(black_box(Vec::<u8>::with_capacity(BUFFERS_BYTES)));
}

fn start_log(level: LevelFilter) {
    // The consensus engine tells of every vote where others would at most debug.
    let engine = match level {
        LevelFilter::TRACE => LevelFilter::DEBUG,
        LevelFilter::DEBUG => LevelFilter::INFO,
        level => level.min(LevelFilter::WARN),
    };
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal && std::env::var_os("NO_COLOR").is_none());
    let filter = Targets::new().with_default(level).with_target("arc_malachitebft", engine);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Without a certificate to read again, it ends the program, as it does when a terminal is closed.
    let mut hangup = match config.clients.certificate {
        Some(_) => Some(signal(SignalKind::hangup())?),
        None => None,
    };
    let address = config.address.clone();
    let data_dir = config.data_dir.display().to_string();
    let options = NodeOptions {
        config,
        params: NetworkParams::default(),
        patience: Patience::default(),
        look_every: LOOK_EVERY,
        isolation_first: ISOLATION_FIRST,
    };
    let mut node = tokio::select! {
        node = Node::start(options) => node?,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
    };
    greet(&node, &address.to_string(), &data_dir);

    let failure = loop {
        tokio::select! {
            failure = node.failed() => break Some(failure),
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            () = hung_up(&mut hangup) => reload(&node),
        }
    };
    let code = match &failure {
        Some(failure) => {
            error!(%failure, "the node stops");
            ExitCode::FAILURE
        }
        None => {
            info!("stopping; running requests may finish (a second signal stops at once)");
            ExitCode::SUCCESS
        }
    };
    tokio::select! {
        () = node.stop(GRACE) => {}
        _ = terminate.recv() => return Ok(ExitCode::FAILURE),
        _ = interrupt.recv() => return Ok(ExitCode::FAILURE),
    }
    Ok(code)
}

/// The next time that the program is told so; never, if it does not listen.
async fn hung_up(hangup: &mut Option<Signal>) {
    if let Some(hangup) = hangup
        && hangup.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Takes a renewed certificate. Nothing else is read again.
fn reload(node: &Node) {
    match node.reload_certificate() {
        Ok(true) => info!("read the certificate for browsers again"),
        Ok(false) => {}
        Err(error) => error!(%error, "the certificate for browsers stays as it was"),
    }
}

/// What the operator needs to know, and the next things this node's role allows.
fn greet(node: &Node, address: &str, data_dir: &str) {
    println!("SwiftServe {}", env!("CARGO_PKG_VERSION"));
    println!("  node     {}", node.id());
    println!("  network  {}", node.network());
    println!("  address  {address}");
    println!("  data     {data_dir}");
    println!();
    println!("Next:");
    let role = node.ledger().members().member(&node.id()).map(|member| member.role);
    if role >= Some(Role::Publisher) {
        println!("  swiftctl --data-dir {data_dir} upload FILE      put a file on every node");
    }
    if role == Some(Role::Admin) {
        println!("  swiftctl --data-dir {data_dir} invite           let another machine join");
    }
    println!("  swiftctl --data-dir {data_dir} dashboard        look at it all in a browser");
    println!("  swiftctl --data-dir {data_dir} ls               see which files there are");
    println!("  swiftctl --data-dir {data_dir} status           see how it is doing");
}
