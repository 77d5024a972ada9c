//! A server that is far away: nginx and its clients in two network namespaces, joined by two TUN devices between which packets
//! are carried, each half a round trip late.
//!
//! Whole packets are late, those of TCP's handshake too, which a proxy for connections would answer at once. The namespaces
//! belong to this process and go with it. Making them needs root.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::job::{Failure, Job};
use crate::server::Server;

/// How long a packet and the answer to it are under way.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(80);

const SERVER: &str = "10.88.0.1";
const CLIENT: &str = "10.88.0.2";

/// Longer than any packet that a TUN device gives.
const LARGEST: usize = 65_536;

/// The two namespaces, and the server in one of them.
pub(crate) struct Far {
    clients: Namespace,
    server: Server,
    opened: Arc<AtomicU64>,
}

impl Far {
    /// Makes the namespaces and starts the server.
    pub(crate) fn start() -> Result<Far, Failure> {
        let (servers, there) = Namespace::with_tun(SERVER, CLIENT)?;
        let (clients, here) = Namespace::with_tun(CLIENT, SERVER)?;
        let opened = Arc::new(AtomicU64::new(0));
        let counter = opened.clone();
        carry(here.try_clone()?, there.try_clone()?, move |packet| {
            counter.fetch_add(u64::from(opens(packet)), Ordering::Relaxed);
        });
        carry(there, here, |_| {});
        let server = servers.within(|| Server::start(SERVER))??;
        Ok(Far {
            clients,
            server,
            opened,
        })
    }

    /// For clients that are far from the server.
    pub(crate) fn job(&self) -> &Job {
        &self.server.http1
    }

    /// Runs this where the clients are. Processes that it starts are there for their life.
    pub(crate) fn among_clients<T>(&self, work: impl FnOnce() -> T) -> Result<T, Failure> {
        self.clients.within(work)
    }

    /// How many connections clients have begun to open.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}

/// A network namespace, by which it is kept.
struct Namespace(File);

impl Namespace {
    /// A new one with a TUN device, which has this address and that one at its other end.
    fn with_tun(address: &str, peer: &str) -> Result<(Namespace, File), Failure> {
        let before = Namespace::of_this_thread()?;
        // SAFETY: it takes flags and gives a status.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Err(
                format!("no namespace (needs root): {}", io::Error::last_os_error()).into(),
            );
        }
        let made = Namespace::of_this_thread().and_then(|new| Ok((new, tun(address, peer)?)));
        before.enter()?;
        made
    }

    fn of_this_thread() -> Result<Namespace, Failure> {
        Ok(Namespace(File::open("/proc/thread-self/ns/net")?))
    }

    fn enter(&self) -> Result<(), Failure> {
        // SAFETY: the descriptor is open.
        if unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
            return Err(io::Error::last_os_error().into());
        }
        Ok(())
    }

    /// Runs this with the thread in the namespace, and brings the thread back.
    fn within<T>(&self, work: impl FnOnce() -> T) -> Result<T, Failure> {
        let before = Namespace::of_this_thread()?;
        self.enter()?;
        let done = work();
        before.enter()?;
        Ok(done)
    }
}

/// A TUN device in the thread's namespace, up.
fn tun(address: &str, peer: &str) -> Result<File, Failure> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    // SAFETY: all bytes zero are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"far0") {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the descriptor is open, and `request` is what this call takes.
    if unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &request) } != 0 {
        return Err(format!("no TUN device: {}", io::Error::last_os_error()).into());
    }
    for arguments in [
        "link set lo up".to_owned(),
        format!("address add {address} peer {peer} dev far0"),
        "link set far0 up".to_owned(),
    ] {
        let status = Command::new("ip")
            .args(arguments.split(' '))
            .status()
            .map_err(|e| format!("ip (iproute2) cannot be started: {e}"))?;
        if !status.success() {
            return Err(format!("ip {arguments}: {status}").into());
        }
    }
    Ok(device)
}

/// Carries packets until the process ends, each half a round trip late.
fn carry(mut from: File, mut to: File, look: impl Fn(&[u8]) + Send + 'static) {
    let (sender, packets) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut packet = vec![0; LARGEST];
        while let Ok(length) = from.read(&mut packet) {
            let arrival = Instant::now() + ROUND_TRIP / 2;
            look(&packet[..length]);
            if sender.send((arrival, packet[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (arrival, packet) in packets {
            thread::sleep(arrival.saturating_duration_since(Instant::now()));
            // One that the device does not take is lost, as packets may be.
            let _ = to.write_all(&packet);
        }
    });
}

/// Whether an IPv4 packet begins a TCP connection.
fn opens(packet: &[u8]) -> bool {
    const TCP: u8 = 6;
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    let Some(&first) = packet.first() else {
        return false;
    };
    let header = usize::from(first & 0x0f) * 4;
    let flags = packet.get(header + 13).copied().unwrap_or_default();
    first >> 4 == 4 && packet.get(9) == Some(&TCP) && flags & (SYN | ACK) == SYN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u8, protocol: u8, flags: u8) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = version << 4 | 5;
        packet[9] = protocol;
        packet[33] = flags;
        packet
    }

    #[test]
    fn a_connection_is_counted_by_its_first_packet_alone() {
        assert!(opens(&packet(4, 6, 0x02)));
        assert!(!opens(&packet(4, 6, 0x12)), "the answer to it");
        assert!(!opens(&packet(4, 6, 0x10)), "an acknowledgement");
        assert!(!opens(&packet(4, 17, 0x02)), "UDP");
        assert!(!opens(&packet(6, 6, 0x02)), "IPv6");
        assert!(!opens(&[0x45]), "cut");
        assert!(!opens(&[]));
    }
}
