use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use swift_chunks::{DiskOp, DiskWatcher, Hold, StoreOptions};

use super::*;

/// Counts what makes the disk wait.
#[derive(Default)]
struct Counting {
    commits: AtomicUsize,
    directories: AtomicUsize,
}

impl DiskWatcher for Counting {
    fn run(&self, op: &DiskOp<'_>, action: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        match op {
            DiskOp::Commit => _ = self.commits.fetch_add(1, Ordering::Relaxed),
            DiskOp::SyncDir(_) => _ = self.directories.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
        action()
    }
}

impl Counting {
    fn take(&self) -> (usize, usize) {
        (self.commits.swap(0, Ordering::Relaxed), self.directories.swap(0, Ordering::Relaxed))
    }
}

/// As many as a task may send in one go.
const MANY: usize = 64;

fn key(number: usize) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn adoption(store: &Store, number: usize) -> Adoption {
    let mut upload = store.begin_upload(None).unwrap();
    upload.write(&key(number)).unwrap();
    Adoption { staged: upload.finish().unwrap(), hold: Some(Hold { key: key(number), payload: Vec::new() }) }
}

#[tokio::test]
async fn many_files_that_come_at_once_cost_as_many_synchronisations_as_one() {
    let (dir, counting) = (tempfile::tempdir().unwrap(), Arc::new(Counting::default()));
    let mut options = StoreOptions::in_dir(dir.path());
    options.free_floor_bytes = 0;
    let store = Store::open_watched(options, counting.clone()).unwrap();
    let tasks = TaskTracker::new();
    let intake = Intake::spawn(store.clone(), &tasks);

    let one = adoption(&store, 0);
    counting.take();
    intake.adopt(one).await.unwrap().unwrap();
    let cost_of_one = counting.take();
    assert!(cost_of_one.0 > 0 && cost_of_one.1 > 0, "{cost_of_one:?}");

    let many: Vec<Adoption> = (1..=MANY).map(|number| adoption(&store, number)).collect();
    counting.take();
    for adopted in join_all(many.into_iter().map(|one| intake.adopt(one))).await {
        adopted.unwrap().unwrap();
    }
    assert_eq!(counting.take(), cost_of_one);
    assert_eq!(store.holds().unwrap().len(), MANY + 1);

    for released in join_all((1..=MANY).map(|number| intake.release(key(number)))).await {
        released.unwrap().unwrap();
    }
    assert_eq!(counting.take(), (1, 0));
    assert_eq!(store.holds().unwrap().len(), 1);

    drop(intake);
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn what_is_handed_over_is_done_although_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::in_dir(dir.path());
    options.free_floor_bytes = 0;
    let store = Store::open(options).unwrap();
    let tasks = TaskTracker::new();
    let intake = Intake::spawn(store.clone(), &tasks);
    let adoption = adoption(&store, 7);
    let asked = tokio::spawn({
        let intake = intake.clone();
        async move { drop(futures_util::poll!(Box::pin(intake.adopt(adoption)))) }
    });
    asked.await.unwrap();
    drop(intake);
    tasks.close();
    tasks.wait().await;
    assert_eq!(store.holds().unwrap().len(), 1);
}
