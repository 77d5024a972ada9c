//! The server that all calls go to: Debian's nginx with one worker, TLS 1.3 and connections that stay open.
//!
//! Answers are static, so that it costs every contender the same. It ends with this process and leaves nothing behind.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::job::{Failure, Job};

/// How long nginx may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

const BODY: &str = r#"{"flow":"PAYIN","method_code":"CARDS","method_category":"CARD","amount":50000,"currency":"COP","country":"COL","description":"Order 10472 of the shop","customer_id":"cus_0193f5f2a4","notification_url":"https://shop.example/88pay/notify","return_url":"https://shop.example/orders/10472/thanks"}"#;

const ANSWER: &str = r#"{"status":"Success","code":200,"message":"Transaction created successfully","data":{"reference":"TRX-0193f5f2-a46b-7c1e-9d0f-6f5b2c1a8e47","amount":50000,"currency":"COP","status":"PENDING","method_code":"CARDS","created_at":"2026-01-15T12:00:00Z","urlCheckout":"https://checkout.example/pay/0193f5f2a46b"}}"#;

/// nginx, running.
pub(crate) struct Server {
    nginx: Child,
    /// Charges over HTTP/1.1.
    pub(crate) http1: Job,
    /// The same where the server offers HTTP/2.
    pub(crate) http2: Job,
    /// What nginx calls itself.
    pub(crate) version: String,
    _directory: TempDir,
}

impl Server {
    /// Starts it on two free ports of the loopback address.
    pub(crate) fn start() -> Result<Server, Failure> {
        let directory = tempfile::Builder::new().prefix("pay88-bench-").tempdir()?;
        let root = directory.path();
        let ca = write_certificates(root)?;
        let [port1, port2] = free_ports()?;
        let job = |port| Job {
            base_url: format!("https://127.0.0.1:{port}"),
            ca: ca.clone(),
            // As long as an ES256 JWT with a few claims.
            access_token: format!("{}.{}.{}", "e".repeat(48), "y".repeat(260), "J".repeat(86)),
            session_id: "sess_0193f5f2-a46b-7c1e-9d0f-6f5b2c1a8e47".to_owned(),
            body: BODY.to_owned(),
            answer_bytes: ANSWER.len(),
        };
        let http1 = job(port1);
        let configuration = root.join("nginx.conf");
        fs::write(&configuration, configure(root, [port1, port2], &http1))?;
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
            http2: job(port2),
            version: version(program)?,
            _directory: directory,
        };
        server.wait_until_listening(port2)?;
        Ok(server)
    }

    fn wait_until_listening(&mut self, port: u16) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
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
        let end = Instant::now() + PATIENCE;
        while matches!(self.nginx.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn configure(root: &Path, ports: [u16; 2], job: &Job) -> String {
    let root = root.display();
    let [port1, port2] = ports;
    let (token, session) = (&job.access_token, &job.session_id);
    format!(
        r#"daemon off;
worker_processes 1;
pid {root}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type application/json;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    ssl_certificate {root}/server.pem;
    ssl_certificate_key {root}/server.key;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
    server {{
        listen 127.0.0.1:{port1} ssl;
        listen 127.0.0.1:{port2} ssl http2;
        location = /api/auth/token {{
            return 200 '{{"status":"Success","code":200,"message":"Token generated successfully","data":{{"access_token":"{token}","expires_in":3600,"session_id":"{session}"}}}}';
        }}
        location = /api/transactions/charges {{
            return 200 '{ANSWER}';
        }}
    }}
}}
"#
    )
}

/// Writes a CA and the server's certificate; gives the CA's file.
fn write_certificates(root: &Path) -> Result<String, Failure> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "pay88 bench CA");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    fs::write(root.join("server.pem"), certificate.pem())?;
    fs::write(root.join("server.key"), key.serialize_pem())?;
    let path = root.join("ca.pem");
    fs::write(&path, ca.pem())?;
    Ok(path.display().to_string())
}

fn free_ports() -> Result<[u16; 2], Failure> {
    let first = TcpListener::bind("127.0.0.1:0")?;
    let second = TcpListener::bind("127.0.0.1:0")?;
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

fn version(program: &str) -> Result<String, Failure> {
    let output = Command::new(program).arg("-v").output()?;
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok(text.trim_start_matches("nginx version: ").to_owned())
}
