//! `GET /v1/proof`.

use axum::{
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use swift_chain::{DbError, FileName, FileRecord, Hash, LedgerReader, Receipt};

use crate::{
    access::{Allowed, ReadOnly},
    content,
    problem::Problem,
    services::Services,
};

#[derive(Deserialize)]
pub(super) struct Which {
    name: Option<String>,
    id: Option<Hash>,
}

/// The receipt of the transaction that published a live file.
pub(super) async fn receipt(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let wanted = Wanted::try_from(which)?;
    let made = services.ledger.read(move |reader| {
        let Some(record) = wanted.find(reader)? else { return Ok(Err(wanted.missing())) };
        Ok(Ok((Receipt::of_file(reader, &record), record)))
    });
    let (receipt, record) = made.await??;
    let mut response = Body::from(receipt?.to_bytes()).into_response();
    content::attach(response.headers_mut(), &format!("{}.receipt", content::last_part(&record)));
    Ok(response)
}

/// A live file.
enum Wanted {
    Name(FileName),
    /// Some file with this content.
    Id(Hash),
}

impl TryFrom<Which> for Wanted {
    type Error = Problem;

    fn try_from(which: Which) -> Result<Self, Problem> {
        match which {
            Which { name: Some(name), id: None } => Ok(Self::Name(FileName::normalized(&name)?)),
            Which { name: None, id: Some(id) } => Ok(Self::Id(id)),
            _ => Err(Problem::bad_request("ask for either name=NAME or id=FILE_ID")),
        }
    }
}

impl Wanted {
    fn find(&self, ledger: &LedgerReader) -> Result<Option<FileRecord>, DbError> {
        match self {
            Self::Name(name) => {
                let found = ledger.file(&name.key())?;
                Ok(found.filter(|record| record.entry.name == *name))
            }
            Self::Id(id) => ledger.file_by_id(id),
        }
    }

    fn missing(&self) -> Problem {
        Problem::not_found(match self {
            Self::Name(name) => format!("no file has the name {:?}", name.as_str()),
            Self::Id(id) => format!("no live file has the id {id}"),
        })
    }
}
