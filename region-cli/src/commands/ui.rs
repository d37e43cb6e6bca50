//! `region ui`: a page for a browser on this machine.

mod events;
mod guard;
mod live;
mod pages;
mod serve;

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;

use crate::args::Ui;
use crate::commands::{interrupts, passed};
use crate::exit::{Code, Failure};
use crate::output::{Format, Output, say};
use crate::target::Target;
use guard::Token;
use live::Live;
use pages::Shared;

/// The only address that it listens on. There is no option for another: what it shows is nobody else's business.
const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Where the page is.
#[derive(Debug, Serialize)]
struct UiReport {
    url: String,
}

pub(crate) async fn run(target: Target, ui: &Ui, output: Output) -> Result<Code, Failure> {
    let mut interrupts = interrupts()?;
    let listener = serve::listen(ADDRESS, ui.port)?;
    let port = listener.local_addr()?.port();
    let token = Token::random();
    output.print(&UiReport { url: format!("http://{ADDRESS}:{port}/{token}/") })?;
    if output.0 == Format::Text {
        say("Open it in a browser on this machine, and give it to nobody. Ctrl-C ends it.");
    }
    let live = Arc::new(Live::new(target.root.path().as_str()));
    let target = Arc::new(target);
    let app = pages::router(token, Shared::new(&target, ui.bounds, &live));
    // Whatever is still being served ends with the process.
    tokio::select! {
        biased;
        _ = interrupts.recv() => {}
        () = passed(ui.duration) => {}
        () = live.run(&target) => {}
        () = serve::serve(listener, app) => {}
    }
    Ok(Code::Done)
}

impl fmt::Display for UiReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
