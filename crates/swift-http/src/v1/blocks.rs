//! `/v1/blocks`.

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{BlockHash, Hash, NodeId, SealedBlock, Transaction, TransactionId};

use crate::{
    access::{Access, Allowed, ReadOnly},
    problem::Problem,
    services::Services,
    tokens::Scope,
};

const PAGE_LEN: u64 = 50;
const PAGE_LEN_MAX: u64 = 200;
/// A page ends early when its blocks hold this many transactions.
const PAGE_TRANSACTIONS: usize = 4096;

#[derive(Serialize)]
struct BlockRow {
    height: u64,
    hash: BlockHash,
    previous: BlockHash,
    time_ms: u64,
    creator: NodeId,
    state_hash: Hash,
    transactions: Vec<TransactionRow>,
    certificate: CertificateRow,
}

#[derive(Serialize)]
struct TransactionRow {
    id: TransactionId,
    #[serde(flatten)]
    transaction: Transaction,
}

#[derive(Serialize)]
struct CertificateRow {
    round: u32,
    signers: Vec<NodeId>,
}

impl From<SealedBlock> for BlockRow {
    fn from(sealed: SealedBlock) -> Self {
        let (block, certificate) = (sealed.block, sealed.certificate);
        let hash = block.header.hash();
        let transactions = block
            .transactions
            .into_iter()
            .map(|signed| TransactionRow { id: signed.id(), transaction: signed.transaction });
        Self {
            height: block.header.height,
            hash,
            previous: block.header.previous,
            time_ms: block.header.time_ms,
            creator: block.header.creator,
            state_hash: block.header.state_hash,
            transactions: transactions.collect(),
            certificate: CertificateRow {
                round: certificate.round,
                signers: certificate.signatures.into_iter().map(|(node, _)| node).collect(),
            },
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    from: Option<u64>,
    limit: Option<u64>,
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let from = page.from.unwrap_or(1).max(1);
    let limit = page.limit.unwrap_or(PAGE_LEN).clamp(1, PAGE_LEN_MAX);
    let looked = services.ledger.read(move |reader| {
        let (mut rows, mut transactions) = (Vec::new(), 0);
        for height in from..from.saturating_add(limit) {
            let Some(sealed) = reader.block(height)? else { return Ok((rows, None)) };
            transactions += sealed.block.transactions.len();
            rows.push(BlockRow::from(sealed));
            if transactions >= PAGE_TRANSACTIONS {
                break;
            }
        }
        let next = from + rows.len() as u64;
        let more = reader.block_hash(next)?.is_some();
        Ok((rows, more.then_some(next)))
    });
    let (blocks, next) = looked.await?;
    Ok(Json(json!({ "blocks": blocks, "next": next })))
}

pub(super) async fn one(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Path(height): Path<u64>,
) -> Result<Json<Value>, Problem> {
    access.require(Scope::Read)?;
    let sealed = services.ledger.read(move |reader| reader.block(height)).await?;
    let sealed = sealed.ok_or_else(|| Problem::not_found(format!("there is no block {height}")))?;
    Ok(Json(json!(BlockRow::from(sealed))))
}
