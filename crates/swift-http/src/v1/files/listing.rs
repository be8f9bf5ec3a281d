//! `GET /v1/files`: live files in the order that is asked for, page by page.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use swift_chain::{Direction, FileName, FileOrder, FilePlace, FileSearch, NameKey, NodeId};

use super::{FileRow, id_of, others_with};
use crate::{
    access::{Allowed, ReadOnly},
    problem::Problem,
    services::Services,
    v1::{in_store, page::PageLen},
};

/// Bytes of a text that is looked for in names: as many as a name may have.
const TEXT_LEN_MAX: usize = 1024;

#[derive(Deserialize)]
pub(in crate::v1) struct Asked {
    copies: Option<String>,
    search: Option<String>,
    prefix: Option<String>,
    publisher: Option<NodeId>,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    order: Way,
    after: Option<String>,
    limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Name,
    Size,
    Published,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    #[default]
    Asc,
    Desc,
}

impl Asked {
    fn search(self) -> Result<FileSearch, Problem> {
        for (name, text) in [("search", &self.search), ("prefix", &self.prefix)] {
            if text.as_ref().is_some_and(|text| text.len() > TEXT_LEN_MAX) {
                return Err(Problem::bad_request(format!(
                    "{name}: no name is longer than {TEXT_LEN_MAX} bytes"
                )));
            }
        }
        Ok(FileSearch {
            order: match self.sort {
                Sort::Name => FileOrder::Name,
                Sort::Size => FileOrder::Size,
                Sort::Published => FileOrder::Published,
            },
            direction: match self.order {
                Way::Asc => Direction::Ascending,
                Way::Desc => Direction::Descending,
            },
            prefix: self.prefix.as_deref().map(NameKey::fold_prefix),
            text: self.search.as_deref().map(NameKey::fold_prefix),
            publisher: self.publisher,
            after: self.after.map(|after| self.sort.place_of(&after)).transpose()?,
            limit: PageLen::of(self.limit).len(),
        })
    }
}

impl Sort {
    /// The cursor of a page that ended there. It says of which order it is, in a way that no name can be written: names
    /// have no colon.
    fn cursor(self, place: &FilePlace) -> String {
        match self {
            Self::Name => format!("name:{}", place.key),
            Self::Size => format!("size:{}:{}", place.rank, place.key),
            Self::Published => format!("published:{}:{}", place.rank, place.key),
        }
    }

    fn place_of(self, cursor: &str) -> Result<FilePlace, Problem> {
        let ranked = |order: &str| {
            let (rank, key) = cursor.strip_prefix(order)?.split_once(':')?;
            // Sizes and heights are stored with a sign.
            let rank = rank.parse().ok().filter(|rank| i64::try_from(*rank).is_ok())?;
            Some(FilePlace { rank, key: key.to_owned() })
        };
        let place = match self {
            // Also behind a name.
            Self::Name => match cursor.strip_prefix("name:") {
                Some(key) => Some(key.to_owned()),
                None => FileName::normalized(cursor).ok().map(|name| name.key().as_str().to_owned()),
            }
            .map(|key| FilePlace { rank: 0, key }),
            Self::Size => ranked("size:"),
            Self::Published => ranked("published:"),
        };
        let no_place =
            || Problem::bad_request(format!("after: {cursor:?} is not the `next` of a page in this order"));
        place.ok_or_else(no_place)
    }
}

pub(in crate::v1) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let (sort, ask_others) = (asked.sort, asked.copies.is_some());
    let search = asked.search()?;
    let page = services.ledger.read(move |reader| reader.search_files(&search)).await?;
    let (records, total) = (page.files, page.total);
    let next = page.next.map(|place| sort.cursor(&place));
    let others = others_with(&services, records.iter().map(id_of).collect(), ask_others).await?;
    let files: Vec<FileRow> = in_store(&services, move |store| {
        let rows = records.into_iter().zip(others);
        rows.map(|(record, others)| FileRow::new(record, others, &store)).collect()
    })
    .await?;
    Ok(Json(json!({ "files": files, "next": next, "total": total })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_in_its_own_order_and_in_no_other() {
        let orders = [Sort::Name, Sort::Size, Sort::Published];
        for (sort, rank) in orders.into_iter().zip([0, 7, i64::MAX.unsigned_abs()]) {
            let place = FilePlace { rank, key: "dir/a b".to_owned() };
            let cursor = sort.cursor(&place);
            for other in orders {
                let read = other.place_of(&cursor).ok();
                assert_eq!(read, (other == sort).then(|| place.clone()), "{cursor} in {other:?}");
            }
        }
        assert_eq!(Sort::Name.place_of("Dir/A").unwrap().key, "dir/a");
        for text in ["", "size:", "size:7", "size:-1:a", "size:9223372036854775808:a", "published::a", "../a"]
        {
            for sort in orders {
                assert!(sort.place_of(text).is_err(), "{text:?} in {sort:?}");
            }
        }
    }
}
