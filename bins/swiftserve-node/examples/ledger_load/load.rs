//! Writes, one by one and many at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use swift_chain::FileEntry;

use crate::{
    Result,
    author::Author,
    report::{Batch, Latencies},
};

/// Below this name stand the writes of [`at_once`].
const FOLDER: &str = "many";

/// Each write begins when the one before is final and the network has come to rest.
pub(crate) async fn one_by_one(
    author: &Author,
    content: &FileEntry,
    folder: &str,
    count: usize,
    rest: Duration,
) -> Result<Latencies> {
    let mut took = Vec::with_capacity(count);
    for number in 0..count {
        tokio::time::sleep(rest).await;
        let begun = Instant::now();
        author.write(content, &format!("{folder}/{number}")).await?;
        took.push(begun.elapsed());
    }
    Ok(Latencies::new(took))
}

/// Every author keeps `in_flight` writes waiting until `count` are final in all.
pub(crate) async fn at_once(
    authors: &[Author],
    content: &FileEntry,
    count: usize,
    in_flight: usize,
) -> Result<Batch> {
    let (next, first_height) = (Arc::new(AtomicUsize::new(0)), authors[0].height() + 1);
    let begun = Instant::now();
    let writers = authors.iter().flat_map(|author| (0..in_flight).map(move |_| author));
    let writers = writers.map(|author| {
        let next = next.clone();
        async move {
            let mut took = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(took);
                }
                let begun = Instant::now();
                author.write(content, &format!("{FOLDER}/{}/{number}", number / 1000)).await?;
                took.push(begun.elapsed());
            }
        }
    });
    let took = try_join_all(writers).await?.concat();
    let seconds = begun.elapsed().as_secs_f64();
    let blocks = authors[0].height() + 1 - first_height;
    let begun = Instant::now();
    authors[0].shows(FOLDER, count).await?;
    let shown_after = begun.elapsed();
    Ok(Batch { writes: took.len(), in_flight, seconds, blocks, shown_after, latencies: Latencies::new(took) })
}
