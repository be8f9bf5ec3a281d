//! `/v1/invites`.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Query, State},
};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;
use serde_json::{Value, json};
use swift_chain::{Checkpoint, Invitation, InvitationTerms, Role, Ticket};
use swift_p2p::driver::wall_clock_ms;

use super::object::Object;
use crate::{
    access::{AdminOnly, Allowed},
    ingest::random,
    problem::Problem,
    services::Services,
};

const EXPIRES_S: u64 = 24 * 60 * 60;
const EXPIRES_S_MAX: u64 = 366 * 24 * 60 * 60;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Invite {
    role: Option<Role>,
    expires_s: Option<u64>,
}

pub(super) async fn invite(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    Query(query): Query<HashMap<String, String>>,
    body: axum::body::Bytes,
) -> Result<Json<Value>, Problem> {
    let Object(invite) = if body.is_empty() {
        Object::<Invite>::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| Problem::bad_request(error.to_string()))?
    };
    let inviter = services.key.id();
    let member = services.ledger.members().member(&inviter);
    let Some(member) = member.filter(|member| member.role == Role::Admin) else {
        return Err(Problem::forbidden(
            "this node is no admin of the network, so nobody would take its invitation",
        ));
    };
    let expires_s = invite.expires_s.unwrap_or(EXPIRES_S);
    if !(1..=EXPIRES_S_MAX).contains(&expires_s) {
        let detail = format!("expires_s is from 1 to {EXPIRES_S_MAX} seconds");
        return Err(Problem::bad_request(detail));
    }
    let head = services.ledger.head();
    // Block time can be ahead of this clock, and the invitation is judged by it.
    let not_after_ms = head.next_time_ms(wall_clock_ms()).saturating_add(expires_s * 1000);
    let role = invite.role.unwrap_or(Role::Publisher);
    let terms = InvitationTerms { inviter, role, nonce: random()?, not_after_ms };
    let network = services.ledger.network();
    let ticket = Ticket {
        network,
        checkpoint: Checkpoint { height: head.height, hash: head.hash },
        inviter,
        addresses: vec![member.address],
        invitation: Invitation::sign(&services.key, &network, terms),
    };
    let text = ticket.to_string();
    let mut answer = json!({ "ticket": text, "role": role, "expires_ms": not_after_ms });
    if query.contains_key("qr") {
        answer["qr"] = json!(picture(&text)?);
    }
    Ok(Json(answer))
}

/// A text as a QR code: a line for each row, 1 where it is dark.
fn picture(text: &str) -> Result<Vec<String>, Problem> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L);
    let code = code.map_err(|error| Problem::internal(&error))?;
    let dark = |color: &Color| if *color == Color::Dark { '1' } else { '0' };
    Ok(code.to_colors().chunks(code.width()).map(|row| row.iter().map(dark).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_fits_into_a_square_with_the_three_marks_of_a_code() {
        let rows = picture(&"swift1abcdefghijklmnopqrstuvwxyz234567".repeat(12)).unwrap();
        assert!(rows.iter().all(|row| row.len() == rows.len()), "{rows:?}");
        let end = rows.len() - 7;
        for (row, column) in [(0, 0), (0, end), (end, 0)] {
            assert_eq!(&rows[row][column..column + 7], "1111111");
            assert_eq!(&rows[row + 1][column..column + 7], "1000001");
        }
    }
}
