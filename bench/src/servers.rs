//! The servers that groups use: one on this machine, and one far away, which is started when a group first wants it.

use std::cell::OnceCell;

use tempfile::TempDir;

use crate::far::Far;
use crate::job::{Failure, Job};
use crate::server::Server;
use crate::suite::Port;

/// All of them, and a directory of their own in which processes share a token.
pub(crate) struct Servers {
    pub(crate) near: Server,
    far: OnceCell<Far>,
    shared: TempDir,
}

impl Servers {
    pub(crate) fn start() -> Result<Servers, Failure> {
        Ok(Servers {
            near: Server::start("127.0.0.1")?,
            far: OnceCell::new(),
            // pay88 shares in memory only.
            shared: tempfile::Builder::new()
                .prefix("pay88-bench-")
                .tempdir_in("/dev/shm")?,
        })
    }

    /// The job of a contender at that port, and the way to its server if it is far.
    pub(crate) fn job(&self, port: Port, on_host: bool) -> Result<(Job, Option<&Far>), Failure> {
        let (job, far) = match port {
            Port::Http1 => (&self.near.http1, None),
            Port::Http2 => (&self.near.http2, None),
            Port::Brief => (&self.near.brief, None),
            Port::Far => {
                let far = self.far()?;
                (far.job(), Some(far))
            }
        };
        let job = match on_host {
            true => job.sharing(&format!("host:{}", self.shared.path().display())),
            false => job.clone(),
        };
        Ok((job, far))
    }

    fn far(&self) -> Result<&Far, Failure> {
        if let Some(far) = self.far.get() {
            return Ok(far);
        }
        let far = Far::start()?;
        Ok(self.far.get_or_init(|| far))
    }
}
