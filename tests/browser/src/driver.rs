use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PROGRAM: &str = "chromedriver";

/// The browser that the driver starts.
const BROWSER: &str = "chromium";

const INSTALL: &str = "apt-get install chromium chromium-driver";

/// What the driver says once it listens, before the number of the port.
const LISTENS: &str = "started successfully on port ";

/// The longest time that the driver may take to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(20);

/// The longest time that killed processes may go on to write into their folder.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);

const WAIT: Duration = Duration::from_millis(10);

/// A driver, and the browsers that it starts, in a group of processes of their own.
///
/// A shell leads the group, and kills it when nothing can be written to it any more: when this value is
/// dropped, and when this process ends, however it does.
#[derive(Debug)]
pub(crate) struct Driver {
    shell: Child,
    folder: PathBuf,
    port: u16,
}

impl Driver {
    /// # Panics
    /// When a program is missing or the driver does not listen in time.
    pub(crate) fn start() -> Self {
        Self::start_program(PROGRAM, BROWSER)
    }

    fn start_program(program: &str, browser: &str) -> Self {
        let folder = new_folder();
        let shell = start_shell(program, browser, &folder);
        let mut driver = Self { shell, folder, port: 0 };
        if let Some(missing) = driver.first_line().strip_prefix("missing ") {
            panic!("{missing} is not installed; install it: {INSTALL}");
        }
        driver.port = driver.wait_until_it_listens();
        driver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder for the browser's profile.
    pub(crate) fn profile(&self) -> PathBuf {
        self.folder.join("profile")
    }

    /// What the driver and the browser have said.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(log_of(&self.folder)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What the shell says: that it has started the driver, or what is missing.
    fn first_line(&mut self) -> String {
        let mut line = String::new();
        if let Some(output) = self.shell.stdout.take() {
            let read = BufReader::new(output).read_line(&mut line);
            read.unwrap_or_else(|error| panic!("the shell says nothing: {error}"));
        }
        line.trim().to_owned()
    }

    /// Returns the port, which the driver chooses: so no other process can take it before.
    fn wait_until_it_listens(&self) -> u16 {
        let deadline = Instant::now() + LISTEN_LIMIT;
        loop {
            let log = self.log();
            if let Some(port) = port_in(&log) {
                return port;
            }
            assert!(Instant::now() < deadline, "{PROGRAM} does not listen:\n{log}");
            std::thread::sleep(WAIT);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
        // What is killed may still write a file while the folder is being removed.
        let deadline = Instant::now() + REMOVE_LIMIT;
        while fs::remove_dir_all(&self.folder).is_err() && Instant::now() < deadline {
            std::thread::sleep(WAIT);
        }
    }
}

fn start_shell(program: &str, browser: &str, folder: &Path) -> Child {
    const SCRIPT: &str = r#"
        for program in "$1" "$2"; do
            command -v "$program" >/dev/null || { echo "missing $program"; exit; }
        done
        "$1" --port=0 </dev/null >&2 &
        echo started
        read -r end
        kill -KILL 0
    "#;
    let log = log_of(folder);
    let log = File::create(&log).unwrap_or_else(|error| panic!("{log:?}: {error}"));
    Command::new("sh")
        .args(["-c", SCRIPT, "sh", program, browser])
        .current_dir(folder)
        .env("TMPDIR", folder)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("no shell: {error}"))
}

fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("browser-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    folder
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// The port in a log. A number at the very end may lack digits.
fn port_in(log: &str) -> Option<u16> {
    let rest = log.split_once(LISTENS)?.1;
    let digits = rest.find(|character: char| !character.is_ascii_digit())?;
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_way_to_install_it() {
        for (program, browser) in [("no-such-program", BROWSER), (PROGRAM, "no-such-program")] {
            let panic = catch_unwind(|| Driver::start_program(program, browser)).unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert_eq!(
                message,
                "no-such-program is not installed; install it: apt-get install chromium chromium-driver"
            );
        }
    }

    #[test]
    fn a_port_is_read_only_when_it_is_whole() {
        assert_eq!(port_in("Starting ChromeDriver on port 0\n"), None);
        assert_eq!(port_in("ChromeDriver was started successfully on port 42"), None);
        assert_eq!(port_in("ChromeDriver was started successfully on port 42917.\n"), Some(42917));
    }

    /// The folder is the driver's until it is dropped.
    #[test]
    fn nothing_is_left_behind() {
        let driver = Driver::start();
        let (folder, port) = (driver.folder.clone(), driver.port);
        assert!(folder.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        drop(driver);
        assert!(!folder.exists());
        // It is killed, and ends when it next runs.
        let deadline = Instant::now() + LISTEN_LIMIT;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(Instant::now() < deadline, "{PROGRAM} still listens");
            std::thread::sleep(WAIT);
        }
    }
}
