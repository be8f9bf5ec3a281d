#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use swift_chunks::{CHUNK_LEN, ChunkFault, Download, Manifest, Store, StoreOptions};
use tokio::task::JoinSet;

use super::*;

const PIECE_LEN: usize = 64 * 1024;

struct Bench {
    bytes: Vec<u8>,
    file_id: FileId,
    download: Download,
    desk: Arc<Desk>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(len: u64) -> Self {
        let bytes: Vec<u8> = (0..len).map(|at| (at * at % 251) as u8).collect();
        let manifest = Manifest::of(&bytes[..]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { free_floor_bytes: 0, ..StoreOptions::in_dir(dir.path()) };
        let store = Store::open(options).unwrap();
        let download = store.begin_download(manifest.file_id(), manifest.hash(), len).unwrap();
        download.install_manifest(manifest.encoded()).unwrap();
        Self { bytes, file_id: manifest.file_id(), download, desk: Arc::default(), _dir: dir }
    }

    fn begin(&self, chunk: u64) -> (Box<ChunkWriter>, Turn) {
        let writer = self.download.chunk_writer(self.download.layout().chunk(chunk).unwrap()).unwrap();
        (Box::new(writer), self.desk.turn(self.file_id))
    }

    fn pieces(&self, chunk: u64) -> Vec<Piece> {
        let start = usize::try_from(chunk * CHUNK_LEN).unwrap();
        let end = self.bytes.len().min(start + usize::try_from(CHUNK_LEN).unwrap());
        let pieces = self.bytes[start..end].chunks(PIECE_LEN);
        pieces.map(|piece| Piece::Frame(Bytes::copy_from_slice(piece))).collect()
    }
}

async fn write_all(
    (mut writer, turn): (Box<ChunkWriter>, Turn),
    pieces: Vec<Piece>,
) -> Result<Box<ChunkWriter>, ChunkWriteError> {
    for piece in pieces {
        (writer, _) = turn.write(writer, piece).await?;
    }
    Ok(writer)
}

#[tokio::test]
async fn chunks_that_come_side_by_side_are_all_written_as_they_are() {
    let bench = Bench::new(4 * CHUNK_LEN + 3 * PIECE_LEN as u64 + 1);
    let mut fetches = JoinSet::new();
    for chunk in 0..5 {
        fetches.spawn(write_all(bench.begin(chunk), bench.pieces(chunk)));
    }
    while let Some(written) = fetches.join_next().await {
        bench.download.record(written.unwrap().unwrap().finish().unwrap()).unwrap();
    }
    assert_eq!(bench.download.commit().unwrap().len(), 5);
}

#[tokio::test]
async fn the_fault_of_one_does_not_touch_the_other() {
    let bench = Bench::new(2 * CHUNK_LEN);
    let mut lie = bench.pieces(1);
    lie.push(Piece::Batch(vec![0]));
    let (honest, liar) =
        tokio::join!(write_all(bench.begin(0), bench.pieces(0)), write_all(bench.begin(1), lie));
    bench.download.record(honest.unwrap().finish().unwrap()).unwrap();
    assert!(matches!(liar, Err(ChunkWriteError::Fault(ChunkFault::TooLong { .. }))));
}

#[tokio::test]
async fn who_is_broken_off_while_waiting_takes_its_bytes_away() {
    let bench = Bench::new(2 * CHUNK_LEN);
    let (first, second) = (bench.begin(0), bench.begin(1));
    let mut broken_off = Box::pin(write_all(first, bench.pieces(0)));
    assert!(futures_util::poll!(&mut broken_off).is_pending(), "it waits for the other");
    assert!(bench.desk.waiting().is_some());
    drop(broken_off);
    assert!(bench.desk.waiting().is_none());
    let written = write_all(second, bench.pieces(1)).await.unwrap();
    bench.download.record(written.finish().unwrap()).unwrap();
    let again = write_all(bench.begin(0), bench.pieces(0)).await.unwrap();
    bench.download.record(again.finish().unwrap()).unwrap();
}

#[tokio::test]
async fn two_that_wait_for_each_other_are_written_together() {
    let bench = Bench::new(2 * CHUNK_LEN);
    let (first, second) = (bench.begin(0), bench.begin(1));
    let mut waits = Box::pin(write_all(first, bench.pieces(0)));
    assert!(futures_util::poll!(&mut waits).is_pending());
    let (writer, turn) = second;
    let piece = bench.pieces(1).remove(0);
    let comes = turn.write(writer, piece);
    let (writer, _) = comes.await.unwrap();
    assert_eq!(writer.remaining(), CHUNK_LEN - PIECE_LEN as u64);
    assert!(bench.desk.waiting().is_none(), "it found the other's bytes and took them");
    drop((writer, turn));
    waits.await.unwrap().finish().unwrap();
}
