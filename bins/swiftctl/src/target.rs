//! Which node is asked, and with which token.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use reqwest::Url;
use serde::Deserialize;
use swift_chain::{Address, NodeId};

use crate::{error::Error, text::shell};

const NODE_FILE: &str = "node.json";
const TOKEN_FILE: &str = "admin-token";
/// Longer than a file with a token is.
const TOKEN_FILE_LEN_MAX: u64 = 4 * 1024;

/// The options that name a node. The environment is read by [`Settings`], so that no help text shows a token.
#[derive(Clone, Default, clap::Args)]
pub(crate) struct NodeOptions {
    /// The node: ID@HOST:PORT over TLS, which only the node with that id can answer, or http://HOST:PORT in the clear
    /// [env: SWIFTSERVE_NODE]
    #[arg(long, global = true, value_name = "NODE")]
    node: Option<String>,
    /// The token to present; others can see it in the list of processes, unlike the variable or a file [env:
    /// SWIFTSERVE_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN")]
    token: Option<String>,
    /// A file that holds the token to present [env: SWIFTSERVE_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The data folder of a node on this machine, where its address and token are found [env: SWIFTSERVE_DATA_DIR]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl NodeOptions {
    /// The token that was given outright.
    fn token(&self) -> Result<Option<String>, Error> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(Some(token.trim().to_owned())),
            (None, Some(path)) => read_token(path, || {
                Error::NotFound(format!("there is no file {}, which is to hold the token", path.display()))
            })
            .map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// What options and environment say, in this order.
#[derive(Clone, Default)]
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
            token_file: set("SWIFTSERVE_TOKEN_FILE").map(PathBuf::from),
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
#[derive(Clone)]
pub(crate) struct Target {
    /// Its address, without a path.
    pub(crate) url: Url,
    /// Its id, which it has to prove; with an `https` address.
    pub(crate) id: Option<NodeId>,
    /// What to present to it.
    pub(crate) token: Option<String>,
    /// The node that has to prove its id before it is shown the token, which is of its own folder. The node may have
    /// stopped, and somebody else may have its port.
    pub(crate) owner: Option<NodeId>,
    /// How a further command for this node begins.
    pub(crate) command: String,
    /// Its data folder, when it is known.
    pub(crate) data_dir: Option<PathBuf>,
}

/// What a node writes into its data folder when it starts.
#[derive(Deserialize)]
struct NodeFile {
    url: String,
    node_id: NodeId,
}

impl Target {
    /// Flags come before the environment, and within each an address before a data folder.
    pub(crate) fn find(settings: &Settings) -> Result<Self, Error> {
        for (level, from_flags) in settings.levels().into_iter().zip([true, false]) {
            let (node, option, value) = match (&level.node, &level.data_dir) {
                (Some(node), _) => (Named::read(node)?, "--node", shell::quote(node)),
                (None, Some(folder)) => {
                    (Named::in_folder(folder)?, "--data-dir", shell::quote(&folder.to_string_lossy()))
                }
                (None, None) => continue,
            };
            let (token, owner) = token_for(settings, Some(&node))?.unzip();
            let owner = owner.flatten().filter(|_| node.id.is_none());
            let word = if from_flags { format!(" {option} {value}") } else { String::new() };
            let data_dir = level.data_dir.clone().filter(|_| level.node.is_none());
            let Named { url, id } = node;
            return Ok(Self { url, id, token, owner, command: format!("swiftctl{word}"), data_dir });
        }
        Err(Error::Usage(
            "no node is named: give the data folder of a node on this machine with --data-dir (or \
             SWIFTSERVE_DATA_DIR), or an address with --node (or SWIFTSERVE_NODE)"
                .into(),
        ))
    }

    /// Whether nobody on the way can read what is sent.
    pub(crate) fn is_private(&self) -> bool {
        self.id.is_some() || is_loopback(&self.url)
    }

    /// The token alone, for which no node needs to run.
    pub(crate) fn find_token(settings: &Settings) -> Result<String, Error> {
        token_for(settings, None)?.map(|(token, _)| token).ok_or_else(|| {
            Error::Usage("no token is known: name the node's data folder with --data-dir".into())
        })
    }
}

/// A token that was given outright, else the data folder's, with its node: nobody else gets to see it.
fn token_for(settings: &Settings, node: Option<&Named>) -> Result<Option<(String, Option<NodeId>)>, Error> {
    for level in settings.levels() {
        if let Some(token) = level.token()? {
            return Ok(Some((token, None)));
        }
        if level.data_dir.is_some() {
            break;
        }
    }
    let Some(folder) = settings.data_dir() else { return Ok(None) };
    if node.is_some_and(|node| !node.may_be_of(folder)) {
        return Ok(None);
    }
    let path = folder.join(TOKEN_FILE);
    let token = read_token(&path, || no_node(folder, TOKEN_FILE))?;
    let owner = node.map(|_| NodeFile::read(folder)).transpose()?.map(|file| file.node_id);
    Ok(Some((token, owner)))
}

/// The token in a file.
fn read_token(path: &Path, missing: impl FnOnce() -> Error) -> Result<String, Error> {
    let read = File::open(path).and_then(|file| {
        let mut text = String::new();
        file.take(TOKEN_FILE_LEN_MAX).read_to_string(&mut text)?;
        Ok(text)
    });
    let text = read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(),
        io::ErrorKind::PermissionDenied => Error::Denied(format!(
            "cannot read {}: {error}; run this as the user that the node runs as, or give a token of your own",
            path.display()
        )),
        _ => Error::file("read", path, &error),
    })?;
    match text.trim() {
        "" => Err(Error::Failed(format!("{} is empty; give a token with SWIFTSERVE_TOKEN", path.display()))),
        token => Ok(token.to_owned()),
    }
}

/// A node as it is named: where it is, and whether it has to prove who it is.
#[derive(Debug)]
struct Named {
    url: Url,
    id: Option<NodeId>,
}

impl Named {
    /// Reads what people write.
    fn read(text: &str) -> Result<Self, Error> {
        let Some((id, address)) = text.split_once('@').filter(|_| !text.contains("://")) else {
            return Ok(Self { url: parse_url(text)?, id: None });
        };
        let refuse =
            |why: String| Error::Usage(format!("{text:?} is no node: {why}; write it as ID@HOST:PORT"));
        let id = id.parse::<NodeId>().map_err(|error| refuse(error.to_string()))?;
        let address = address.parse::<Address>().map_err(|error| refuse(error.to_string()))?;
        let url = Url::parse(&format!("https://{address}")).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { url, id: Some(id) })
    }

    /// The node that runs, or ran, in a folder of this machine.
    fn in_folder(folder: &Path) -> Result<Self, Error> {
        Ok(Self { url: parse_url(&NodeFile::read(folder)?.url)?, id: None })
    }

    /// Whether the node of this folder can be meant, and nobody on another machine.
    fn may_be_of(&self, folder: &Path) -> bool {
        let own = NodeFile::read(folder);
        match &self.id {
            Some(id) => own.is_ok_and(|own| own.node_id == *id),
            None => {
                is_loopback(&self.url)
                    || own.is_ok_and(|own| parse_url(&own.url).is_ok_and(|url| url == self.url))
            }
        }
    }
}

impl NodeFile {
    fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NODE_FILE);
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_node(folder, NODE_FILE),
            _ => Error::file("read", &path, &error),
        })?;
        serde_json::from_str(&text).map_err(|error| {
            Error::Failed(format!(
                "{} is damaged ({error}); starting the node writes it anew",
                path.display()
            ))
        })
    }
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
        "https" => {
            return Err(refuse("swiftctl trusts no certificates but the node's id: write ID@HOST:PORT"));
        }
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
