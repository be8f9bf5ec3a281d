//! `invite`: a ticket for one machine.

use std::time::Duration;

use serde_json::json;
use swift_chain::Role;

use crate::{
    api::Invite,
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, note},
    text::{date, duration},
};

/// What the ticket grants.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new member's role: admin, publisher or reader; the node's default is publisher
    #[arg(long)]
    role: Option<Role>,
    /// How long the ticket can be used; the node's default is 24h
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    expires: Option<Duration>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let what = "cannot invite";
    let mut body = serde_json::Map::new();
    if let Some(role) = args.role {
        body.insert("role".into(), json!(role));
    }
    if let Some(expires) = args.expires {
        body.insert("expires_s".into(), json!(expires.as_secs()));
    }
    let answer = context.client()?.post(what, "/v1/invites", &body).await?;
    let invite: Invite = understand(what, &answer)?;
    let output = context.output(&args.shown);
    output.show(&answer, || invite.ticket.clone())?;
    if !output.is_json() {
        note(&told(&invite));
    }
    Ok(())
}

/// The ticket is as good as a password, so it is not repeated here.
fn told(invite: &Invite) -> String {
    let until = date::rfc3339(invite.expires_ms);
    format!(
        "for one new {}, until {until}; on that machine: swiftserve-node --data-dir FOLDER --join TICKET",
        invite.role
    )
}
