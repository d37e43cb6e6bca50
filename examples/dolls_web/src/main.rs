//! The program: see its README.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use dolls_web::app::App;
use dolls_web::database::Database;
use region_cache::{BoxError, Configuration};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// The longest time that requests and edits may go on after Ctrl-C.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The store, if no variable names one: this process.
const DEFAULT_URL: &str = "memory:?max_bytes=256MiB";

/// The bytes of decoded fragments that are held in this process, if no variable says another number.
const NEAR_BYTES: u64 = 64 * 1024 * 1024;

/// A library of rooms, shelves and books in fragments that nest like Russian dolls.
///
/// REGION_CACHE_URL says where fragments are stored, such as redis://127.0.0.1:6379. Without it they are in this
/// process.
#[derive(Parser)]
struct Args {
    /// The address to listen on; port 0 is one that is free.
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,

    /// The file of the database, which is created if it is not there. By default the database ends with the program.
    #[arg(long, default_value = ":memory:")]
    database: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the program ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), BoxError> {
    let listener = TcpListener::bind(args.address).await?;
    let address = listener.local_addr()?;
    let database = Database::open(&args.database)?;
    let app = App::new(settings()?.builder()?, database, &address.port().to_string())?;
    tracing::info!("listening on http://{address}/");

    let edits = app.edits.clone();
    let serve = axum::serve(listener, dolls_web::router(app)).with_graceful_shutdown(interrupt());
    tokio::select! {
        served = serve.into_future() => served?,
        // A client that keeps its connection does not keep the program.
        () = async { interrupt().await; tokio::time::sleep(END_LIMIT).await } => {}
    }
    // An edit whose client has gone away is in the database, and is still to be told to the cache.
    edits.close();
    timeout(END_LIMIT, edits.wait()).await?;
    Ok(())
}

/// The settings of the cache: variables go over these (docs/configuration.md).
fn settings() -> region_cache::Result<Configuration> {
    let mut settings = Configuration::new();
    settings.store.url = Some(DEFAULT_URL.into());
    settings.near.bytes = Some(NEAR_BYTES);
    settings.with_env()
}

/// Waits for Ctrl-C.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // It cannot be listened for: the program runs until it is killed.
        std::future::pending::<()>().await;
    }
}
