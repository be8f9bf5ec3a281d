//! Offers and confirmations: from members as messages of the swarm, and in the form of the original service.
//!
//! The form has `filename chunk total_chunks start_byte end_byte sha1 ip_address port`. Only the name, the number of the
//! chunk, counted from 1, and the bytes, of which `end_byte` is the last, are used: an address in it is not dialled, and
//! no hash in it is believed.

use axum::{
    Extension, Form, Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use swift_chain::NodeId;
use swift_chunks::{ChunkLayout, FileId, Slice};
use swift_p2p::offences::UNKNOWN_COST;
use swift_p2p::swarm::message::{Answer, Confirm, Message, Offer, TOGETHER_MAX, Verdict};

use super::files::named;
use crate::{
    access::Access,
    conduct,
    peer::{bare, decode_all},
    problem::Problem,
    services::Services,
    tokens::Scope,
};

/// Bytes of an answer without its map.
const BARE_ANSWER_LEN_MAX: usize = 64;

/// What is read of the original's form.
#[derive(Deserialize)]
struct Fields {
    filename: String,
    chunk: u32,
    start_byte: Option<u64>,
    end_byte: Option<u64>,
}

/// A body of either kind.
enum Exchange<M> {
    Messages(Vec<M>),
    Form(Fields),
}

impl<M: Message> Exchange<M> {
    async fn read(request: Request) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_form = content_type.and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value.split(';').next().is_some_and(|kind| kind.trim() == "application/x-www-form-urlencoded")
        });
        if is_form {
            let form = Form::<Fields>::from_request(request, &()).await;
            let Form(fields) = form.map_err(|error| Problem::bad_request(error.body_text()))?;
            return Ok(Self::Form(fields));
        }
        let bytes = Bytes::from_request(request, &()).await;
        let bytes = bytes.map_err(|error| Problem::bad_request(error.body_text()))?;
        decode_all(&bytes).map(Self::Messages)
    }
}

/// The name in a form.
pub(crate) async fn form_name(request: Request) -> Option<String> {
    match Exchange::<Offer>::read(request).await.ok()? {
        Exchange::Form(fields) => Some(fields.filename),
        Exchange::Messages(_) => None,
    }
}

/// Steps 1 and 2: an offer is answered at once. From a client it is a hint that the file can be had.
pub(super) async fn offer(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    request: Request,
) -> Result<Response, Problem> {
    access.require_member_or(Scope::Publish)?;
    let fields = match Exchange::<Offer>::read(request).await? {
        Exchange::Messages(offers) => {
            let from = access.require_member()?;
            conduct::charge(&services.conduct, from, offers.len())?;
            let mut answers = services.swarm.offers(from, offers).await?;
            charge_for_unknown(&services, from, &answers)?;
            fit(&mut answers);
            return Ok(bare(Answer::encode_all(&answers)));
        }
        Exchange::Form(fields) => fields,
    };
    let (file, slice) = match resolve(&services, &fields).await {
        Ok(found) => found,
        Err(problem) => return Ok(verdict(false, &problem.detail).into_response()),
    };
    let Some(member) = access.member() else {
        services.swarm.hint(file).await?;
        return Ok(verdict(true, "the members that can be reached are asked for the file").into_response());
    };
    let offer = Offer { file, slices: vec![slice.number()], take: 1, map: None };
    let answers = services.swarm.offers(member, vec![offer]).await?;
    Ok(match answers.first().and_then(|answer| answer.verdicts.first()) {
        Some(Verdict::Accept) => verdict(true, "the chunk is queued and will be requested from you"),
        Some(Verdict::Have) => verdict(true, "the chunk is here or on its way"),
        Some(Verdict::Busy | Verdict::Enough) => verdict(false, "busy; offer it again in a moment"),
        Some(Verdict::Declined) => verdict(false, "the chunk is not wanted from you"),
        Some(Verdict::Unknown) | None => verdict(false, "the file or this node's peer is not known yet"),
    }
    .into_response())
}

/// Step 5: a confirmation frees a place for the next offer. One that fits no open offer has no effect.
pub(super) async fn confirm(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    request: Request,
) -> Result<Response, Problem> {
    access.require_member_or(Scope::Publish)?;
    let fields = match Exchange::<Confirm>::read(request).await? {
        Exchange::Messages(confirms) => {
            let by = access.require_member()?;
            conduct::charge(&services.conduct, by, confirms.len())?;
            services.swarm.confirmed(by, confirms).await?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Exchange::Form(fields) => fields,
    };
    let (file, slice) = match resolve(&services, &fields).await {
        Ok(found) => found,
        Err(problem) => return Ok(verdict(false, &problem.detail).into_response()),
    };
    let Some(member) = access.member() else {
        return Ok(verdict(true, "nothing was offered to a client, so nothing changes").into_response());
    };
    services.swarm.confirmed(member, vec![Confirm { file, slice: slice.number() }]).await?;
    Ok(verdict(true, "noted").into_response())
}

/// A file that this node does not know is looked for in the ledger. One whose block is on its way here is offered now and
/// then; files that do not exist are offered by nobody else.
fn charge_for_unknown(services: &Services, from: NodeId, answers: &[Answer]) -> Result<(), Problem> {
    let is_unknown = |answer: &&Answer| answer.verdicts.iter().all(|verdict| *verdict == Verdict::Unknown);
    let unknown = answers.iter().filter(is_unknown).count();
    conduct::charge(&services.conduct, from, unknown * UNKNOWN_COST)
}

/// Leaves out the maps for which there is no room: they are told again by and by.
fn fit(answers: &mut [Answer]) {
    if answers.len() < 2 {
        return;
    }
    let mut room = Answer::TOGETHER_BYTES_MAX - TOGETHER_MAX * BARE_ANSWER_LEN_MAX;
    for answer in answers {
        match room.checked_sub(answer.encoded_len()) {
            Some(left) => room = left,
            None => answer.map = None,
        }
    }
}

async fn resolve(services: &Services, fields: &Fields) -> Result<(FileId, Slice), Problem> {
    let record = named(services, &fields.filename).await?;
    let slice = slice_of(record.entry.size, fields)?;
    Ok((FileId::from_bytes(*record.entry.file_id.as_bytes()), slice))
}

/// The part of a file that a form means: a whole chunk, unless it says which bytes of it.
fn slice_of(len: u64, fields: &Fields) -> Result<Slice, Problem> {
    let layout = ChunkLayout::new(len).map_err(|error| Problem::bad_request(error.to_string()))?;
    let number = fields.chunk.checked_sub(1).ok_or_else(|| Problem::bad_request("chunks count from 1"))?;
    let chunk = layout.chunk(number.into());
    let chunk = chunk.ok_or_else(|| Problem::bad_request("the file has no such chunk"))?;
    let slice = match (fields.start_byte, fields.end_byte) {
        (Some(start), Some(last)) => Slice::of_range(layout, &(start..last.saturating_add(1))),
        _ => Some(Slice::of_chunk(chunk)),
    };
    slice
        .filter(|slice| slice.chunk() == chunk)
        .ok_or_else(|| Problem::bad_request("start_byte to end_byte is no slice of that chunk"))
}

fn verdict(status: bool, reason: &str) -> Json<Value> {
    Json(json!({ "status": status, "reason": reason }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_chunks::{CHUNK_LEN, GRAIN_LEN};
    use swift_p2p::swarm::message::{HELD_BYTES_MAX, Held, Interest, Map, OFFER_SLICES_MAX, Stamp};

    fn slice(chunk: u32, bytes: Option<(u64, u64)>) -> Option<Slice> {
        let filename = "a".to_owned();
        let fields = Fields {
            filename,
            chunk,
            start_byte: bytes.map(|bytes| bytes.0),
            end_byte: bytes.map(|bytes| bytes.1),
        };
        slice_of(2 * CHUNK_LEN + 5, &fields).ok()
    }

    #[test]
    fn many_answers_leave_out_maps_and_one_does_not() {
        let map = Map {
            stamp: Stamp { incarnation: u64::MAX, seq: u64::MAX },
            interest: Interest::Wanted,
            held: Held::All(vec![0; HELD_BYTES_MAX]),
            open: Vec::new(),
            ahead: Vec::new(),
        };
        let verdicts = vec![Verdict::Unknown; OFFER_SLICES_MAX];
        let answer = Answer { stamp: map.stamp, verdicts, map: Some(map) };
        let mut one = [answer.clone()];
        fit(&mut one);
        assert!(one[0].map.is_some());
        let mut many = vec![answer; TOGETHER_MAX];
        fit(&mut many);
        assert!(many.iter().all(|answer| answer.map.is_none()));
        assert!(Answer::decode_all(&Answer::encode_all(&many)).is_ok());
        let mut small = vec![Answer { map: None, ..many[0].clone() }; TOGETHER_MAX];
        small[3].map = Some(Map { held: Held::Added(vec![1]), ..one[0].map.clone().unwrap() });
        fit(&mut small);
        assert!(small[3].map.is_some());
    }

    #[test]
    fn a_form_counts_chunks_from_one_and_names_the_last_byte() {
        let layout = ChunkLayout::new(2 * CHUNK_LEN + 5).unwrap();
        let chunk = |number| Slice::of_chunk(layout.chunk(number).unwrap());
        assert_eq!(slice(1, None), Some(chunk(0)));
        assert_eq!(slice(2, Some((CHUNK_LEN, 2 * CHUNK_LEN - 1))), Some(chunk(1)));
        assert_eq!(slice(3, Some((2 * CHUNK_LEN, 2 * CHUNK_LEN + 4))), Some(chunk(2)));
        let second_grain = Slice::around(layout, layout.chunk(0).unwrap(), 1, 0);
        assert_eq!(slice(1, Some((GRAIN_LEN, 2 * GRAIN_LEN - 1))), second_grain);
    }

    #[test]
    fn a_form_that_means_no_slice_is_refused() {
        let range = |start, last| Some((start, last));
        for (chunk, bytes) in [
            (0, None),
            (4, None),
            (u32::MAX, None),
            (1, range(0, CHUNK_LEN)),
            (2, range(0, CHUNK_LEN - 1)),
            (1, range(1, CHUNK_LEN - 1)),
            (1, range(CHUNK_LEN - 1, 0)),
            (1, range(u64::MAX, u64::MAX)),
        ] {
            assert_eq!(slice(chunk, bytes), None, "{chunk} {bytes:?}");
        }
    }
}
