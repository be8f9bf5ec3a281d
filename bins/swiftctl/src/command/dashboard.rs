//! `dashboard`: an address that signs a browser in.

use serde::Deserialize;
use serde_json::json;

use crate::{
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, note},
    text::date,
};

/// What the node made. The address is a secret.
#[derive(Deserialize)]
struct Invitation {
    url: String,
    expires_ms: u64,
}

pub(crate) async fn run(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot make a sign-in address";
    let answer = context.client()?.post(what, "/v1/dashboard", &json!({})).await?;
    let Invitation { url, expires_ms } = understand(what, &answer)?;
    let output = context.output(shown);
    output.show(&answer, || url)?;
    if !output.is_json() {
        note(&format!(
            "open it in a browser before {}; it works once and allows everything",
            date::rfc3339(expires_ms)
        ));
    }
    Ok(())
}
