//! Uplinks and downlinks, shared by what runs over them as fairly as can be (max-min).

use std::time::Duration;

use swift_chunks::{FileId, Slice};

use super::{Behaviour, Lab};

/// One slice on its way.
#[derive(Clone)]
pub struct Flow {
    pub from: usize,
    pub to: usize,
    pub file: FileId,
    pub slice: Slice,
    /// Bytes per second at present.
    pub rate: f64,
    len: u64,
    left: f64,
}

impl Flow {
    #[allow(clippy::cast_precision_loss, reason = "a slice is short")]
    pub fn new(from: usize, to: usize, file: FileId, slice: Slice, len: u64) -> Self {
        Self { from, to, file, slice, rate: 0.0, len, left: len as f64 }
    }

    /// Less than a byte is left: clocks have nanoseconds.
    pub fn is_done(&self) -> bool {
        self.left < 1.0
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a slice is short")]
    pub fn bytes_done(&self) -> u64 {
        self.len - (self.left as u64).min(self.len)
    }
}

impl Lab {
    pub(super) fn next_flow_end(&self) -> Option<Duration> {
        let moving = self.flows.iter().filter(|flow| flow.rate > 0.0);
        let left = moving.map(|flow| flow.left / flow.rate).min_by(f64::total_cmp)?;
        Some(self.now + Duration::from_secs_f64(left) + Duration::from_nanos(1))
    }

    pub(super) fn advance_flows(&mut self, to: Duration) {
        let seconds = to.saturating_sub(self.now).as_secs_f64();
        for flow in &mut self.flows {
            let bytes = (flow.rate * seconds).min(flow.left);
            flow.left -= bytes;
            self.nodes[flow.from].bytes_sent += bytes;
        }
    }

    /// Fills all flows alike until a link is full, holds those over it, and goes on with the rest.
    pub(super) fn share_links(&mut self) {
        let nodes = self.nodes.len();
        let mut room: Vec<f64> = self.nodes.iter().map(|node| node.up).collect();
        room.extend(self.nodes.iter().map(|node| node.down));
        let mut users = vec![0_u32; 2 * nodes];
        let mut open = Vec::new();
        for (at, flow) in self.flows.iter_mut().enumerate() {
            flow.rate = 0.0;
            if self.nodes[flow.from].behaviour != Behaviour::Stalls {
                users[flow.from] += 1;
                users[nodes + flow.to] += 1;
                open.push(at);
            }
        }
        while !open.is_empty() {
            let share = |link: usize| room[link] / f64::from(users[link]);
            let used = (0..2 * nodes).filter(|&link| users[link] > 0);
            let Some(tight) = used.min_by(|&a, &b| share(a).total_cmp(&share(b))) else { break };
            let rate = share(tight);
            open.retain(|&at| {
                let flow = &mut self.flows[at];
                let links = [flow.from, nodes + flow.to];
                if links.contains(&tight) {
                    flow.rate = rate;
                    for link in links {
                        room[link] = (room[link] - rate).max(0.0);
                        users[link] -= 1;
                    }
                }
                !links.contains(&tight)
            });
        }
    }
}
