use std::collections::HashMap;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command as Program};
use tokio::sync::{Notify, oneshot};

use crate::message::{Answer, Command, Line, Request, Setup};

/// The longest time that any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process with a cache, which is given commands `C` and answers `A`. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Worker<C = Command, A = Answer> {
    name: String,
    process: tokio::sync::Mutex<Child>,
    input: tokio::sync::Mutex<ChildStdin>,
    heard: Arc<Heard<A>>,
    next: AtomicU64,
    commands: PhantomData<fn(C)>,
}

/// What the process has said.
#[derive(Debug)]
struct Heard<A> {
    waiting: Mutex<HashMap<u64, oneshot::Sender<A>>>,
    is_ready: Notify,
    loads: AtomicU64,
}

impl Worker {
    /// Starts `program` and waits until its cache is connected.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(program: impl AsRef<Path>, setup: &Setup) -> Self {
        let setup_line = serde_json::to_string(setup).expect("settings are JSON");
        let mut program = Program::new(program.as_ref());
        program.arg(setup_line);
        Self::launch(program, &setup.name).await
    }

    /// As [`try_ask`](Self::try_ask), of a process that goes on, for something that succeeds.
    ///
    /// # Panics
    /// When the process has ended, or the command has failed.
    pub async fn ask(&self, command: Command) -> Answer {
        let text = format!("{command:?}");
        let answer = self.try_ask(command).await;
        let answer = answer.unwrap_or_else(|| panic!("{} has ended: {text}", self.name));
        assert_eq!(answer.error, None, "{}: {text}", self.name);
        answer
    }
}

impl<C, A> Worker<C, A>
where
    C: Serialize + Debug,
    A: DeserializeOwned + Send + 'static,
{
    /// Starts a program that speaks in lines as `cache-process` does, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn launch(mut program: Program, name: &str) -> Self {
        let mut process = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program was built with the tests");
        let input = process.stdin.take().expect("it is piped");
        let output = process.stdout.take().expect("it is piped");
        let heard = Arc::new(Heard::new());
        tokio::spawn(listen(BufReader::new(output), Arc::clone(&heard)));
        let ready = tokio::time::timeout(PATIENCE, heard.is_ready.notified()).await;
        ready.expect("the process connects");
        let (process, input) = (tokio::sync::Mutex::new(process), tokio::sync::Mutex::new(input));
        let (name, next, commands) = (name.to_owned(), AtomicU64::new(0), PhantomData);
        Self { name, process, input, heard, next, commands }
    }

    /// The name that it has on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of loads that have begun in it.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.heard.loads.load(Ordering::SeqCst)
    }

    /// Gives a command and waits for what comes of it. `None` if the process has ended.
    ///
    /// # Panics
    /// When it takes too long.
    pub async fn try_ask(&self, command: C) -> Option<A> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.heard.waiting().insert(id, sender);
        let text = format!("{command:?}");
        let request = serde_json::to_string(&Request { id, command }).expect("it is JSON");
        {
            let mut input = self.input.lock().await;
            // One that has ended reads nothing.
            input.write_all(format!("{request}\n").as_bytes()).await.ok()?;
            input.flush().await.ok()?;
        }
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.unwrap_or_else(|_| panic!("{}: no answer to {text}", self.name)).ok()
    }

    /// Stops the process: it does nothing until [`resume`](Self::resume).
    ///
    /// # Panics
    /// When it has ended.
    pub async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// Lets a stopped process go on.
    ///
    /// # Panics
    /// When it has ended.
    pub async fn resume(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.process.lock().await.id().expect("it has not ended");
        let sent = Program::new("kill").args([format!("-{signal}"), id.to_string()]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "{}: {signal}", self.name);
    }

    /// Kills the process, as a crash does, and waits until it has gone.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub async fn kill(&self) {
        self.process.lock().await.kill().await.expect("it can be killed");
    }
}

impl<A> Heard<A> {
    fn new() -> Self {
        Self { waiting: Mutex::default(), is_ready: Notify::new(), loads: AtomicU64::new(0) }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen<A: DeserializeOwned>(output: BufReader<ChildStdout>, heard: Arc<Heard<A>>) {
    let mut lines = output.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(Line::Ready) => heard.is_ready.notify_one(),
            Ok(Line::LoadBegan) => {
                heard.loads.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Line::Answer(id, answer)) => {
                if let Some(waiting) = heard.waiting().remove(&id) {
                    // A test that has given up needs no answer.
                    let _ = waiting.send(answer);
                }
            }
            Err(error) => panic!("{error} in {line}"),
        }
    }
    // Whoever still waits is told that none comes.
    heard.waiting().clear();
}
