//! A whole node inside another program: founds a network, takes a file in, lists what there is, and stops.
//!
//! ```text
//! cargo run -p swiftserve-node --example embed
//! ```

use std::{error::Error, time::Duration};

use swift_chain::FileFilter;
use swiftserve_node::{Node, NodeOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A program that means to keep its node keeps its folder: the key in it is what the node is.
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().to_string_lossy();
    let mut options = NodeOptions::new(&data_dir, "127.0.0.1", 8000)?;
    // Any port that is free. Others could not find such a node; a real one listens where its address says.
    options.config.bind.set_port(0);
    let node = Node::start(options).await?;
    println!("node {} serves network {}", node.id(), node.network());

    // Clients speak HTTP to it, with the token that the first start left in the folder.
    let token = std::fs::read_to_string(node.data_dir().file("admin-token"))?;
    let answer = put(&node, token.trim(), "hello.txt", b"hello, network").await?;
    println!("{answer}");

    // The program itself can ask the ledger.
    let filter = FileFilter { prefix: None, after: None, limit: 100 };
    for record in node.ledger().read(move |reader| reader.files(&filter)).await? {
        let file = record.entry;
        println!("block {}: {} ({} bytes, {})", record.height, file.name.as_str(), file.size, file.file_id);
    }

    node.stop(Duration::from_secs(10)).await;
    Ok(())
}

/// Uploads with nothing but a socket; any HTTP client does the same.
async fn put(node: &Node, token: &str, name: &str, content: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut socket = TcpStream::connect(node.local_addr()).await?;
    let head = format!(
        "PUT /v1/files/{name} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        content.len()
    );
    socket.write_all(&[head.as_bytes(), content].concat()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    if !answer.starts_with("HTTP/1.1 200 ") {
        return Err(answer.into());
    }
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
