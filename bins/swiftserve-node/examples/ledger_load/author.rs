//! A node of the load's own.

use std::{path::Path, time::Duration};

use swift_chain::{Action, DbError, FileEntry, NodeChange, NodeId};
use swiftserve_node::{Node, NodeOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Result, Seat};

/// How long a stopping node may take to finish what it was asked.
const GRACE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Author(Node);

impl Author {
    /// Joins the network of a ticket.
    pub(crate) async fn join(folder: &Path, seat: &Seat) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.to_str().ok_or("the folder's path is no UTF-8")?;
        let mut options = NodeOptions::new(folder, "127.0.0.1", seat.port)?;
        options.config.join = Some(seat.ticket.clone());
        Ok(Self(Node::start(options).await?))
    }

    pub(crate) fn id(&self) -> NodeId {
        self.0.id()
    }

    pub(crate) fn height(&self) -> u64 {
        self.0.ledger().head().height
    }

    /// Publishes a few bytes as any client would, and tells what the ledger has of them.
    pub(crate) async fn publish(&self, name: &str) -> Result<FileEntry> {
        let token = std::fs::read_to_string(self.0.data_dir().file("admin-token"))?;
        let mut socket = TcpStream::connect(self.0.local_addr()).await?;
        let request = format!(
            "PUT /v1/files/{name} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{name}",
            token.trim(),
            name.len()
        );
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        if !answer.starts_with("HTTP/1.1 200 ") {
            return Err(format!("the upload was refused: {answer}").into());
        }
        let key = name.parse::<swift_chain::FileName>()?.key();
        let record = self.0.ledger().read(move |reader| reader.file(&key)).await?;
        Ok(record.ok_or("the upload is not in the ledger")?.entry)
    }

    /// Publishes the same content under another name; final when this returns.
    pub(crate) async fn write(&self, content: &FileEntry, name: &str) -> Result<()> {
        let file = FileEntry { name: name.parse()?, ..content.clone() };
        self.0.ledger().submit(Action::AddFile { file, replaces: None }, None).await?;
        Ok(())
    }

    /// Makes these nodes the validators, each with a weight of 1, and nobody else.
    pub(crate) async fn appoint(&self, nodes: &[NodeId]) -> Result<()> {
        let before: Vec<NodeId> = self.0.ledger().members().validators().iter().map(|one| one.node).collect();
        let added = nodes.iter().filter(|node| !before.contains(node)).map(|node| (*node, 1));
        let removed = before.iter().filter(|node| !nodes.contains(node)).map(|node| (*node, 0));
        for (node, weight) in added.chain(removed) {
            let change = NodeChange::ValidatorWeight(weight);
            self.0.ledger().submit(Action::UpdateNode { node, change }, None).await?;
        }
        Ok(())
    }

    /// Blocks from a height on that took more than one round: somebody waited in vain.
    pub(crate) async fn late_rounds(&self, from: u64) -> Result<usize> {
        let late = self.0.ledger().read(move |reader| {
            let rounds = (from..=reader.head()?.height)
                .map(|height| Ok(reader.block(height)?.map_or(0, |sealed| sealed.certificate.round)));
            Ok(rounds
                .collect::<std::result::Result<Vec<_>, DbError>>()?
                .into_iter()
                .filter(|round| *round > 0)
                .count())
        });
        Ok(late.await?)
    }

    /// Waits until the folder for people has everything that was published below a name.
    pub(crate) async fn shows(&self, below: &str, count: usize) -> Result<()> {
        let folder = self.0.data_dir().file("files").join(below);
        while files_in(&folder)? < count {
            // The folder tells nobody when it changes.
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    pub(crate) async fn stop(self) {
        self.0.stop(GRACE).await;
    }
}

/// Files in a folder and those in it; none if it is not there.
fn files_in(folder: &Path) -> Result<usize> {
    if !folder.is_dir() {
        return Ok(0);
    }
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() { files_in(&entry.path())? } else { 1 };
    }
    Ok(count)
}
