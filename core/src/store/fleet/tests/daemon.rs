//! Real servers for tests: on loopback or a Unix socket, in a directory of their own, gone with the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A directory that goes with the test.
pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new() -> Dir {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pay88-stores-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Dir(path)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A server's process, which is killed when this is dropped or when the test's thread ends.
pub(super) struct Daemon {
    child: Child,
    program: &'static str,
    arguments: Vec<String>,
    pub(super) port: u16,
    pub(super) dir: Dir,
}

impl Daemon {
    /// A redis-server with those settings beside the usual ones of a test.
    pub(super) fn redis(settings: &[&str]) -> Daemon {
        let dir = Dir::new();
        let place = dir.0.to_str().unwrap().to_owned();
        let mut arguments = vec![
            "--dir".to_owned(),
            place,
            "--save".to_owned(),
            String::new(),
        ];
        arguments.extend(["--bind", "127.0.0.1", "--port", "PORT"].map(str::to_owned));
        arguments.extend(settings.iter().map(|&setting| setting.to_owned()));
        Daemon::start("redis-server", arguments, dir)
    }

    pub(super) fn memcached(settings: &[&str]) -> Daemon {
        let mut arguments = ["-l", "127.0.0.1", "-U", "0", "-p", "PORT"]
            .map(str::to_owned)
            .to_vec();
        // SAFETY: geteuid only asks.
        if unsafe { libc::geteuid() } == 0 {
            arguments.extend(["-u", "root"].map(str::to_owned));
        }
        arguments.extend(settings.iter().map(|&setting| setting.to_owned()));
        Daemon::start("memcached", arguments, Dir::new())
    }

    /// `PORT` and `DIR` in the arguments stand for a free port and the directory.
    fn start(program: &'static str, arguments: Vec<String>, dir: Dir) -> Daemon {
        // Another test may take the port between the look and the start.
        for _ in 0..5 {
            let port = free_port();
            let arguments: Vec<String> = arguments
                .iter()
                .map(|argument| {
                    let argument = argument.replace("PORT", &port.to_string());
                    argument.replace("DIR", dir.0.to_str().unwrap())
                })
                .collect();
            let mut child = spawn(program, &arguments);
            if ready(&mut child, port, &dir.0) {
                return Daemon {
                    child,
                    program,
                    arguments,
                    port,
                    dir,
                };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("{program} does not start: see tests/setup.sh");
    }

    /// Stops it. A thread goes on for a moment after the signal was sent: none does when this returns.
    pub(super) fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let end = Instant::now() + Duration::from_secs(10);
        let is_stopped = |stat: String| {
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('T'))
        };
        loop {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
            let mut stats =
                tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")));
            if stats.all(|stat| stat.is_ok_and(is_stopped)) {
                return;
            }
            assert!(Instant::now() < end, "it does not stop");
        }
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the process is our child and has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// What it answers to a line of its protocol, if that is text.
    pub(super) fn command(&self, line: &str) -> String {
        String::from_utf8(self.answer(line)).unwrap()
    }

    /// What it answers to a line of its protocol.
    pub(super) fn answer(&self, line: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let patience = |time| stream.set_read_timeout(Some(time)).unwrap();
        // All of it: what comes within a while after its beginning, which a busy machine may be late with.
        patience(Duration::from_secs(10));
        let mut answer = vec![0; 4096];
        let begins = (&stream).read(&mut answer).unwrap();
        answer.truncate(begins);
        patience(Duration::from_millis(300));
        let _ = (&stream).read_to_end(&mut answer);
        answer
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same again, on the same port: nothing that it held is there any more.
    pub(super) fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.program, &self.arguments);
        assert!(ready(&mut self.child, self.port, &self.dir.0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &str, arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: prctl is a plain system call, which may be made between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        })
    };
    let child = command.spawn();
    child.unwrap_or_else(|e| panic!("{program}: {e}; tests/setup.sh installs it"))
}

/// Waits until it answers at its port or at `DIR/socket`; false if it ended instead.
fn ready(child: &mut Child, port: u16, dir: &Path) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok()
            || UnixStream::connect(dir.join("socket")).is_ok()
        {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("a server does not listen");
}
