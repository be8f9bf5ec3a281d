//! Who is to blame for content that is not what the ledger says: its sender, or its publisher, and never anybody else.

use axum::response::IntoResponse as _;
use serde_json::Value;
use swift_chain::{Action, FileEntry, Hash, SignedTransaction};
use swift_chunks::{FileId, Manifest};

use crate::{
    client::until,
    hostile::{part, whole_chunk},
    liar::Liar,
    site::{Site, content},
};

const CHUNK: usize = 4 << 20;
/// Bytes of a manifest's entry: SHA-1 and chaining value.
const ENTRY_LEN: usize = 52;
const SHA1_LEN: usize = 20;

fn sha256(bytes: &[u8]) -> Hash {
    use sha2::Digest as _;
    Hash::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// Serves these bytes and this manifest to whoever asks.
pub(crate) fn serves(member: &Liar, manifest: Vec<u8>, bytes: Vec<u8>) {
    member.answers("/peer/manifest", move |_, _| manifest.clone().into_response());
    member.answers("/download", move |request, _| {
        let range = request.headers()["range"].to_str().unwrap().trim_start_matches("bytes=").to_owned();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last) = (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap());
        let end = bytes.len().min(last + 1);
        part(bytes[first.min(end)..end].to_vec(), &format!("bytes {range}/*"))
    });
}

/// Offers a file until something is so.
async fn offered_until(
    site: &Site,
    member: &Liar,
    (file, slices): (FileId, Vec<u32>),
    is_so: impl AsyncFn(&Site) -> bool,
) {
    until(|| async { member.row(site).await["connected"] == true }).await;
    until(|| async {
        member.offers(file, slices.clone()).await;
        is_so(site).await
    })
    .await;
}

fn count(row: &Value, kind: &str) -> u64 {
    row["offences"][kind].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_sha_1_is_false_is_its_publishers_and_no_senders() {
    let site = Site::found().await;
    let (publisher, sender) = (Liar::join(&site).await, Liar::join(&site).await);
    let bytes = content(2 * CHUNK, 21);
    let mut manifest = Manifest::of(&bytes[..]).unwrap().encoded().to_vec();
    let entry = manifest.len() - ENTRY_LEN;
    manifest[entry] ^= 1;
    let file = publisher.publishes(&site, "false.bin", &bytes, Some(sha256(&manifest))).await;
    let slices = vec![whole_chunk(bytes.len(), 0), whole_chunk(bytes.len(), 1)];
    serves(&sender, manifest, bytes);
    let is_exposed = async |site: &Site| count(&publisher.row(site).await, "false_manifest") > 0;
    offered_until(&site, &sender, (file, slices), is_exposed).await;
    let row = publisher.row(&site).await;
    assert!(row["last_offence"]["detail"].as_str().unwrap().contains(&file.to_string()), "{row}");
    assert_eq!(sender.row(&site).await["offences"], serde_json::json!({}));
    assert!(!site.home.path("files/false.bin").exists());
}

/// The publisher's list says what the sender's bytes are, and not the file's: SHA-1 alone would take them.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_passes_sha_1_and_not_blake3_is_refused_and_its_senders() {
    let site = Site::found().await;
    let (publisher, sender) = (Liar::join(&site).await, Liar::join(&site).await);
    let (bytes, other) = (content(2 * CHUNK, 22), content(2 * CHUNK, 23));
    let mut manifest = Manifest::of(&bytes[..]).unwrap().encoded().to_vec();
    let of_other = Manifest::of(&other[..]).unwrap().encoded().to_vec();
    for entry in [manifest.len() - ENTRY_LEN, manifest.len() - 2 * ENTRY_LEN] {
        manifest[entry..entry + SHA1_LEN].copy_from_slice(&of_other[entry..entry + SHA1_LEN]);
    }
    let file = publisher.publishes(&site, "false.bin", &bytes, Some(sha256(&manifest))).await;
    let slices = vec![whole_chunk(bytes.len(), 0), whole_chunk(bytes.len(), 1)];
    serves(&sender, manifest, other);
    let is_blamed = async |site: &Site| count(&sender.row(site).await, "wrong_bytes") > 0;
    offered_until(&site, &sender, (file, slices), is_blamed).await;
    assert_eq!(publisher.row(&site).await["offences"], serde_json::json!({}));
    assert_eq!(site.client.record("false.bin").await["held_bytes"], 0);
}

/// Who holds the file under its true length serves what it has. The one who said it was longer, or shorter, is to blame.
#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_a_size_is_its_publishers_and_no_senders() {
    for (len, claimed) in [(1_000, 999), (1_000, 1_001), (2 * CHUNK, 2 * CHUNK - 1), (CHUNK, CHUNK + 1)] {
        let site = Site::found().await;
        let (publisher, sender) = (Liar::join(&site).await, Liar::join(&site).await);
        let bytes = content(len, 24);
        let manifest = Manifest::of(&bytes[..]).unwrap();
        let file = FileEntry {
            name: "lie.bin".parse().unwrap(),
            size: claimed as u64,
            file_id: Hash::from_bytes(*manifest.file_id().as_bytes()),
            manifest_hash: Hash::from_bytes(*manifest.hash().as_bytes()),
        };
        let height = site.node.ledger().head().height;
        let add = Action::AddFile { file, replaces: None };
        publisher.brings(&SignedTransaction::sign(&publisher.key, publisher.signs(add))).await;
        site.reaches(height + 1).await;
        serves(&sender, manifest.encoded().to_vec(), bytes);
        let is_exposed = async |site: &Site| count(&publisher.row(site).await, "false_manifest") > 0;
        let offer = (manifest.file_id(), vec![whole_chunk(claimed, 0)]);
        offered_until(&site, &sender, offer, is_exposed).await;
        assert_eq!(sender.row(&site).await["offences"], serde_json::json!({}), "{len} as {claimed}");
        assert!(!site.home.path("files/lie.bin").exists());
    }
}

/// It offered the file, and then heard of its removal before others did: it has it no more, and told no lie. Four such files
/// in some minutes isolated an honest node.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_heard_of_a_removal_before_others_is_not_blamed() {
    let site = Site::found().await;
    let (asking, holder) = (Liar::join(&site).await, Liar::join(&site).await);
    let removed =
        site.client.put("removed", b"content").await.ok().json()["file_id"].as_str().unwrap().to_owned();
    site.client.delete("/v1/files/removed").await.ok();
    // What a node says that is ahead...
    let path = format!("/download?id={removed}");
    let says = crate::client::soon(asking.client.get(&path).send()).await.unwrap().status();
    assert_eq!(says, 409);
    // ...and what one that is behind makes of it.
    let bytes = content(CHUNK, 25);
    let file = holder.publishes(&site, "ahead.bin", &bytes, None).await;
    let manifest = Manifest::of(&bytes[..]).unwrap().encoded().to_vec();
    holder.answers("/peer/manifest", move |_, _| manifest.clone().into_response());
    holder.answers("/download", move |_, _| says.into_response());
    // When it is asked again, what it answered first has been judged.
    let is_asked = async |_: &Site| holder.asked("/download") > 1;
    offered_until(&site, &holder, (file, vec![whole_chunk(bytes.len(), 0)]), is_asked).await;
    assert_eq!(holder.row(&site).await["offences"], serde_json::json!({}));
}
