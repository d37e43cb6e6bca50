//! The program itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use crate::kit::{CALL_TIMEOUT, Place};

const LIMIT: Duration = Duration::from_secs(20);

/// The program while it runs. It is killed when it is dropped.
struct Program {
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Program {
    fn start(args: &[&str], url: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dolls_web"));
        command.args(args).stderr(Stdio::piped()).env_remove("REGION_CACHE_URL");
        if let Some(url) = url {
            command.env("REGION_CACHE_URL", url).env("REGION_CACHE_CALL_TIMEOUT", CALL_TIMEOUT);
        }
        let mut process = command.spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        Self { process, log }
    }

    /// Waits for the line of the log that says where it listens.
    fn address(&mut self) -> String {
        let mut lines = self.log.by_ref().lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("listening on http://")).unwrap();
        let (_, address) = line.split_once("http://").unwrap();
        address.trim_end_matches('/').to_owned()
    }

    fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the program does not end");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: library\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Without its store a program renders pages anew.
fn wait_until_ready(address: &str) {
    let deadline = Instant::now() + LIMIT;
    while !get(address, "/health").contains(r#""status":"ready""#) {
        assert!(Instant::now() < deadline, "the store is not ready");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_program_keeps_its_database_and_ends_at_ctrl_c() {
    let place = Place::redis();
    let file = place.database().display().to_string();
    let args = ["--address", "127.0.0.1:0", "--database", &file];
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let mut program = Program::start(&args, Some(&place.url()));
        let address = program.address();
        wait_until_ready(&address);
        let answer = get(&address, "/");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        bodies.push(answer.split("\r\n\r\n").nth(1).unwrap().to_owned());
        let pid = program.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert_eq!(program.wait(), Some(0));
    }
    // The second program shows what the first has rendered.
    assert_eq!(bodies[0], bodies[1]);
}

#[test]
fn the_program_needs_neither_a_file_nor_a_server() {
    let mut program = Program::start(&["--address", "127.0.0.1:0"], None);
    assert!(get(&program.address(), "/").contains("Dead Souls"));
}

#[test]
fn a_wrong_url_is_said() {
    let mut program = Program::start(&["--address", "127.0.0.1:0"], Some("redis:/nowhere"));
    assert_eq!(program.wait(), Some(1));
    let mut log = String::new();
    program.log.read_to_string(&mut log).unwrap();
    assert!(log.contains("REGION_CACHE_URL"), "{log}");
}
