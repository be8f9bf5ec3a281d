//! Which node is asked, and with which token.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use reqwest::Url;
use serde::Deserialize;

use crate::{error::Error, text::shell};

const NODE_FILE: &str = "node.json";
const TOKEN_FILE: &str = "admin-token";

/// The options that name a node. The environment is read by [`Settings`], so that no help text shows a token.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct NodeOptions {
    /// The node's address, as in http://127.0.0.1:8001 [env: SWIFTSERVE_NODE]
    #[arg(long, global = true, value_name = "URL")]
    node: Option<String>,
    /// The token to present; others can see it in the list of processes, unlike the variable [env: SWIFTSERVE_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN")]
    token: Option<String>,
    /// The data folder of a node on this machine, where its address and token are found [env: SWIFTSERVE_DATA_DIR]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// What options and environment say, in this order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    flags: NodeOptions,
    env: NodeOptions,
}

impl Settings {
    /// Reads the environment; an empty variable is none.
    pub(crate) fn new(flags: NodeOptions, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let env = NodeOptions {
            node: text("SWIFTSERVE_NODE"),
            token: text("SWIFTSERVE_TOKEN"),
            data_dir: set("SWIFTSERVE_DATA_DIR").map(PathBuf::from),
        };
        Self { flags, env }
    }

    fn levels(&self) -> [&NodeOptions; 2] {
        [&self.flags, &self.env]
    }

    fn data_dir(&self) -> Option<&Path> {
        self.levels().into_iter().find_map(|level| level.data_dir.as_deref())
    }
}

/// A node to ask.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its address, without a path.
    pub(crate) url: Url,
    /// What to present to it.
    pub(crate) token: Option<String>,
    /// How a further command for this node begins.
    pub(crate) command: String,
    /// Its data folder, when it is known.
    pub(crate) data_dir: Option<PathBuf>,
}

/// What a node writes into its data folder when it starts.
#[derive(Deserialize)]
struct NodeFile {
    url: String,
}

impl Target {
    /// Flags come before the environment, and within each an address before a data folder.
    pub(crate) fn find(settings: &Settings) -> Result<Self, Error> {
        for (level, from_flags) in settings.levels().into_iter().zip([true, false]) {
            if let Some(node) = &level.node {
                let word = if from_flags { format!(" --node {}", shell::quote(node)) } else { String::new() };
                let url = parse_url(node)?;
                let token = token_for(settings, Some(&url))?;
                return Ok(Self { url, token, command: format!("swiftctl{word}"), data_dir: None });
            }
            if let Some(folder) = &level.data_dir {
                let quoted = shell::quote(&folder.to_string_lossy());
                let word = if from_flags { format!(" --data-dir {quoted}") } else { String::new() };
                let url = url_of_folder(folder)?;
                let token = token_for(settings, Some(&url))?;
                let data_dir = Some(folder.clone());
                return Ok(Self { url, token, command: format!("swiftctl{word}"), data_dir });
            }
        }
        Err(Error::Usage(
            "no node is named: give the data folder of a node on this machine with --data-dir (or \
             SWIFTSERVE_DATA_DIR), or an address with --node (or SWIFTSERVE_NODE)"
                .into(),
        ))
    }

    /// The token alone, for which no node needs to run.
    pub(crate) fn find_token(settings: &Settings) -> Result<String, Error> {
        token_for(settings, None)?.ok_or_else(|| {
            Error::Usage("no token is known: name the node's data folder with --data-dir".into())
        })
    }
}

/// A token that was given outright, else the data folder's, which no other machine gets to see.
fn token_for(settings: &Settings, url: Option<&Url>) -> Result<Option<String>, Error> {
    for level in settings.levels() {
        if let Some(token) = &level.token {
            return Ok(Some(token.trim().to_owned()));
        }
        if level.data_dir.is_some() {
            break;
        }
    }
    let Some(folder) = settings.data_dir() else {
        return Ok(settings.env.token.clone());
    };
    let is_the_folders = |url: &Url| is_loopback(url) || url_of_folder(folder).is_ok_and(|own| own == *url);
    if url.is_some_and(|url| !is_the_folders(url)) {
        return Ok(None);
    }
    read_token(folder).map(Some)
}

fn read_token(folder: &Path) -> Result<String, Error> {
    let path = folder.join(TOKEN_FILE);
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => no_node(folder, TOKEN_FILE),
        io::ErrorKind::PermissionDenied => Error::Denied(format!(
            "cannot read {}: {error}; run this as the user that the node runs as, or give a token of your own",
            path.display()
        )),
        _ => Error::file("read", &path, &error),
    })?;
    match text.trim() {
        "" => Err(Error::Failed(format!("{} is empty; give a token with SWIFTSERVE_TOKEN", path.display()))),
        token => Ok(token.to_owned()),
    }
}

fn url_of_folder(folder: &Path) -> Result<Url, Error> {
    let path = folder.join(NODE_FILE);
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => no_node(folder, NODE_FILE),
        _ => Error::file("read", &path, &error),
    })?;
    let file: NodeFile = serde_json::from_str(&text).map_err(|error| {
        Error::Failed(format!("{} is damaged ({error}); starting the node writes it anew", path.display()))
    })?;
    parse_url(&file.url)
}

fn no_node(folder: &Path, file: &str) -> Error {
    let quoted = shell::quote(&folder.to_string_lossy());
    Error::Unreachable(format!(
        "no node has run in {} (it has no {file}); start one with `swiftserve-node --data-dir {quoted}`",
        folder.display()
    ))
}

fn parse_url(text: &str) -> Result<Url, Error> {
    let refuse = |why: &str| Error::Usage(format!("{text:?} is no address of a node: {why}"));
    let url = Url::parse(text).map_err(|error| refuse(&format!("{error}; write it as http://HOST:PORT")))?;
    match url.scheme() {
        "http" => {}
        "https" => return Err(refuse("https is not supported yet; use http://HOST:PORT")),
        _ => return Err(refuse("write it as http://HOST:PORT")),
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it ends behind the port; write it as http://HOST:PORT"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("a node takes tokens, not passwords"));
    }
    Ok(url)
}

/// Whether only this machine can be meant.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip: Result<std::net::IpAddr, _> = host.trim_matches(['[', ']']).parse();
    ip.map_or(host == "localhost", |ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
