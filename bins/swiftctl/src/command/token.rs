//! `token`: the credentials of clients.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use super::pages::all_pages;
use crate::{
    api::{NewToken, TokenRecord},
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, note, print, table},
    text::{date, duration, name},
};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Prints the token that these commands use, and nothing else
    Show,
    /// Makes a token; it is printed now and can never be shown again
    Create(CreateArgs),
    /// Lists the tokens that the node knows
    List(Shown),
    /// Makes a token useless
    Revoke(RevokeArgs),
}

/// The token to make.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// What it is called, in lists and in the ledger
    #[arg(value_name = "LABEL")]
    label: String,
    /// What it allows; several are separated by commas, or the option is repeated
    #[arg(long = "scope", required = true, value_enum, value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// How long it works; without this, until it is revoked
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    expires: Option<Duration>,
    #[command(flatten)]
    shown: Shown,
}

/// The token to revoke.
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// What it is called
    #[arg(value_name = "LABEL")]
    label: String,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Scope {
    /// Everything that only reads
    Read,
    /// Adding files, and replacing what this token published
    Publish,
    /// Removing what this token published
    Remove,
    /// Everything
    Admin,
}

pub(crate) async fn run(context: &Context, command: &TokenCommand) -> Result<(), Error> {
    match command {
        TokenCommand::Show => print(&context.token()?),
        TokenCommand::Create(args) => create(context, args).await,
        TokenCommand::List(shown) => list(context, shown).await,
        TokenCommand::Revoke(args) => revoke(context, args).await,
    }
}

async fn create(context: &Context, args: &CreateArgs) -> Result<(), Error> {
    let what = format!("cannot make the token {}", args.label);
    let mut body = json!({"label": args.label, "scopes": args.scopes});
    if let (Some(expires), Some(fields)) = (args.expires, body.as_object_mut()) {
        fields.insert("expires_s".into(), json!(expires.as_secs()));
    }
    let answer = context.client()?.post(&what, "/v1/tokens", &body).await?;
    let made: NewToken = understand(&what, &answer)?;
    let output = context.output(&args.shown);
    output.show(&answer, || made.token)?;
    if !output.is_json() {
        note(
            "keep it like a password: the node cannot show it again; use it as SWIFTSERVE_TOKEN, or in a file with --token-file",
        );
    }
    Ok(())
}

async fn list(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot list the tokens";
    let rows = all_pages(&context.client()?, what, "/v1/tokens", "tokens", &[]).await?;
    let tokens: Vec<TokenRecord> = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    context.output(shown).show(&rows, || table(["label", "scopes", "expires"], tokens.into_iter().map(row)))
}

fn row(token: TokenRecord) -> [String; 3] {
    let expires = token.expires_ms.map_or_else(|| "never".into(), date::rfc3339);
    let expires = if token.expired { format!("expired {expires}") } else { expires };
    [token.label, token.scopes.join(", "), expires]
}

async fn revoke(context: &Context, args: &RevokeArgs) -> Result<(), Error> {
    let what = format!("cannot revoke the token {}", args.label);
    let path = format!("/v1/tokens/{}", name::encode_segment(&args.label));
    let answer: Value = context.client()?.delete(&what, &path).await?;
    context.plain_output().show(&answer, || format!("revoked {}", args.label))
}
