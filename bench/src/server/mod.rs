//! The server that all calls go to: Debian's nginx with one worker, TLS 1.3 and connections that stay open.
//!
//! Answers are static, so that it costs every contender the same; its ports differ in protocol and in how long a token
//! lives. It ends with this process and leaves nothing behind.

mod certificates;
mod configuration;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::configuration::Ports;
use crate::job::{API_KEY, Failure, Job};

/// How long nginx may take to listen, and to end.
const TIMEOUT: Duration = Duration::from_secs(10);

const BODY: &str = r#"{"flow":"PAYIN","method_code":"CARDS","method_category":"CARD","amount":50000,"currency":"COP","country":"COL","description":"Order 10472 of the shop","customer_id":"cus_0193f5f2a4","notification_url":"https://shop.example/88pay/notify","return_url":"https://shop.example/orders/10472/thanks"}"#;

const ANSWER: &str = r#"{"status":"Success","code":200,"message":"Transaction created successfully","data":{"reference":"TRX-0193f5f2-a46b-7c1e-9d0f-6f5b2c1a8e47","amount":50000,"currency":"COP","status":"PENDING","method_code":"CARDS","created_at":"2026-01-15T12:00:00Z","urlCheckout":"https://checkout.example/pay/0193f5f2a46b"}}"#;

/// What the ports are for.
#[derive(Clone, Copy)]
enum Port {
    Http1,
    Http2,
    Brief,
    Minute,
}

/// nginx, running.
pub(crate) struct Server {
    nginx: Child,
    /// Charges over HTTP/1.1 with a token that lives an hour.
    pub(crate) http1: Job,
    /// The same where the server offers HTTP/2.
    pub(crate) http2: Job,
    /// Tokens live 11 s, the least that pay88 takes.
    pub(crate) brief: Job,
    /// Tokens live 60 s, as 88Pay's do.
    pub(crate) minute: Job,
    /// One line for each token of `minute`: Unix time in seconds, and the API key.
    pub(crate) token_log: PathBuf,
    /// What nginx calls itself.
    pub(crate) version: String,
    _directory: TempDir,
}

impl Server {
    /// Starts it on free ports of an address that this machine has.
    pub(crate) fn start(address: &str) -> Result<Server, Failure> {
        let directory = tempfile::Builder::new().prefix("pay88-bench-").tempdir()?;
        let root = directory.path();
        let ca = certificates::write(root, address)?;
        write_answers(&root.join("answers"))?;
        let ports = free_ports(address)?;
        let job = |port: Port| Job {
            base_url: format!("https://{address}:{}", ports[port as usize]),
            api_key: API_KEY.to_owned(),
            share: "process".to_owned(),
            ca: ca.clone(),
            // As long as an ES256 JWT with a few claims.
            access_token: format!("{}.{}.{}", "e".repeat(48), "y".repeat(260), "J".repeat(86)),
            session_id: "sess_0193f5f2-a46b-7c1e-9d0f-6f5b2c1a8e47".to_owned(),
            body: BODY.to_owned(),
            answer: ANSWER.to_owned(),
            answer_bytes: ANSWER.len(),
        };
        let http1 = job(Port::Http1);
        let configuration = root.join("nginx.conf");
        fs::write(
            &configuration,
            configuration::text(root, address, ports, &http1),
        )?;
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .unwrap_or("nginx");
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(root)
            .arg("-c")
            .arg(&configuration)
            .arg("-e")
            .arg(root.join("error.log"))
            .stdin(Stdio::null());
        // SAFETY: between fork and exec only prctl is called, which is safe there.
        unsafe {
            command.pre_exec(|| {
                // Whoever kills the benchmark does not leave nginx behind.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        let nginx = command
            .spawn()
            .map_err(|e| format!("{program} cannot be started: {e}"))?;
        let mut server = Server {
            nginx,
            http1,
            http2: job(Port::Http2),
            brief: job(Port::Brief),
            minute: job(Port::Minute),
            token_log: root.join("tokens.log"),
            version: version(program)?,
            _directory: directory,
        };
        server.wait_until_listening((address, ports[Port::Minute as usize]))?;
        Ok(server)
    }

    fn wait_until_listening(&mut self, at: (&str, u16)) -> Result<(), Failure> {
        let end = Instant::now() + TIMEOUT;
        while TcpStream::connect(at).is_err() {
            if let Some(status) = self.nginx.try_wait()? {
                return Err(format!("nginx ended at its start: {status}").into());
            }
            if Instant::now() > end {
                return Err("nginx does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM also ends the worker, which SIGKILL to the master would leave behind.
        // SAFETY: the child has not been waited for, so its number is still its own.
        unsafe { libc::kill(self.nginx.id() as libc::pid_t, libc::SIGTERM) };
        let end = Instant::now() + TIMEOUT;
        while matches!(self.nginx.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Files of the lengths that contenders ask for.
fn write_answers(directory: &Path) -> Result<(), Failure> {
    fs::create_dir(directory)?;
    for length in [1_000, 100_000, 10_000_000] {
        fs::write(directory.join(length.to_string()), "x".repeat(length))?;
    }
    Ok(())
}

fn free_ports(address: &str) -> Result<Ports, Failure> {
    let mut held = Vec::new();
    let mut ports = Ports::default();
    for port in &mut ports {
        let listener = TcpListener::bind((address, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

fn version(program: &str) -> Result<String, Failure> {
    let output = Command::new(program).arg("-v").output()?;
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok(text.trim_start_matches("nginx version: ").to_owned())
}
