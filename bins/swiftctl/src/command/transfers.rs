//! `transfers`: what is coming in.

use crate::{
    api::Transfer,
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, table},
    text::size,
};

pub(crate) async fn run(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot list the transfers";
    let answer = context.client()?.get(what, "/v1/transfers").await?;
    let transfers: Vec<Transfer> = understand(what, &answer)?;
    context.output(shown).show(&answer, || {
        table(["file", "done", "of", "%", "from", "state", "detail"], transfers.into_iter().map(row))
    })
}

fn row(transfer: Transfer) -> [String; 7] {
    let Transfer { file, done_bytes, total_bytes, peers, state, detail } = transfer;
    let percent = size::percent(done_bytes, total_bytes).to_string();
    let from = match peers.len() {
        1 => "1 node".into(),
        count => format!("{count} nodes"),
    };
    [
        file,
        size::human(done_bytes),
        size::human(total_bytes),
        percent,
        from,
        state,
        detail.unwrap_or_default(),
    ]
}
