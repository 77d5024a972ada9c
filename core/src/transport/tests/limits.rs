//! Ends of exchanges: the deadline, the interrupt and the cut connection, in each phase.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::server::{Authority, OK, Server, answer_all, break_off, read_request};
use super::*;
use crate::test_support::ports::nobody;

fn never_resolves(_: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
    std::thread::sleep(Duration::from_secs(20));
    Ok(Vec::new())
}

/// A port whose queue of connections is full, so that a further one hangs; open while this lives.
struct FullPort(
    u16,
    #[expect(dead_code, reason = "held open")] Vec<socket2::Socket>,
);

impl FullPort {
    fn new() -> FullPort {
        let tcp =
            || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let listener = tcp();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = vec![listener];
        for _ in 0..4 {
            let socket = tcp();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            held.push(socket);
        }
        FullPort(address.as_socket().unwrap().port(), held)
    }
}

/// A link to a server that gets stuck in a phase.
struct Stuck {
    phase: &'static str,
    link: Arc<Link>,
    /// Whether the request has left by then.
    sent: bool,
    _held: Box<dyn std::any::Any>,
}

fn stuck_in_each_phase() -> Vec<Stuck> {
    let named = LinkSettings {
        host: "never.invalid".to_owned(),
        ..plain(80)
    };
    let full = FullPort::new();
    let full_port = full.0;
    let authority = Authority::new();
    let silent = Server::raw(|mut stream, _| {
        read_request(&mut stream);
        std::thread::sleep(Duration::from_secs(20));
    });
    let handshake = LinkSettings {
        tls: true,
        ca_bundle: Some(authority.file.clone()),
        ..plain(silent.port)
    };
    let stalled = Server::raw(|mut stream, _| {
        read_request(&mut stream).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .unwrap();
        std::thread::sleep(Duration::from_secs(20));
    });
    let trickling = Server::raw(|mut stream, _| {
        read_request(&mut stream).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n");
        while stream.write_all(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let stuck = |phase, link, sent, held| Stuck {
        phase,
        link,
        sent,
        _held: held,
    };
    let nothing = || Box::new(()) as Box<dyn std::any::Any>;
    let unresolved = Arc::new(Link::new(named, never_resolves).unwrap());
    vec![
        stuck("resolve", unresolved, false, nothing()),
        stuck("connect", link(plain(full_port)), false, Box::new(full)),
        stuck("handshake", link(handshake), false, Box::new(authority)),
        stuck("answer", link(plain(silent.port)), true, nothing()),
        stuck("body", link(plain(stalled.port)), true, nothing()),
        stuck("trickle", link(plain(trickling.port)), true, nothing()),
    ]
}

/// What a call may be late where the machine has nothing else to do.
const LATE: Duration = Duration::from_millis(200);

/// A call that gets stuck where it is to be. On a busy machine its time may be over before.
fn gets_there(failure: &Failure, sent: bool) -> Result<(), String> {
    assert!(sent || !failure.sent, "{failure:?}");
    match failure.sent == sent {
        true => Ok(()),
        false => Err("nothing was sent by then".to_owned()),
    }
}

#[test]
fn the_deadline_ends_a_call_in_every_phase() {
    within(300 * SECOND, || {
        for Stuck {
            phase,
            link,
            sent,
            _held,
        } in stuck_in_each_phase()
        {
            for by in EACH {
                in_time(phase, || {
                    let (start, due) = (Instant::now(), Duration::from_millis(300));
                    let failure = by.send(&link, "x", due).unwrap_err();
                    ended(start.elapsed(), due, LATE)?;
                    assert_eq!(failure.kind, FailureKind::Timeout, "{phase}, {by:?}");
                    gets_there(&failure, sent)
                });
            }
        }
    });
}

#[test]
fn the_interrupt_ends_a_call_in_every_phase() {
    within(300 * SECOND, || {
        for Stuck {
            phase,
            link,
            sent,
            _held,
        } in stuck_in_each_phase()
        {
            in_time(phase, || {
                let (start, due) = (Instant::now(), Duration::from_millis(120));
                let asked = AtomicUsize::new(0);
                let interrupt = || {
                    asked.fetch_add(1, Ordering::Relaxed);
                    start.elapsed() >= due
                };
                let limits = limits(10 * SECOND);
                let failure = post_until(&link, "x", &limits, Some(&interrupt)).unwrap_err();
                ended(start.elapsed(), due, Duration::from_millis(150))?;
                assert_eq!(failure.kind, FailureKind::Canceled, "{phase}");
                let asked = asked.load(Ordering::Relaxed);
                assert!(asked <= 8, "{phase}: asked {asked} times");
                if asked < 3 {
                    return Err(format!("asked {asked} times"));
                }
                gets_there(&failure, sent)
            });
            // A task is dropped.
            for by in [By::Task, By::Runtime] {
                in_time(phase, || {
                    let (start, due) = (Instant::now(), Duration::from_millis(120));
                    let failure = by.charge_until(&link, due).unwrap_err();
                    ended(start.elapsed(), due, Duration::from_millis(150))?;
                    assert_eq!(failure.kind, FailureKind::Canceled, "{phase}, {by:?}");
                    gets_there(&failure, sent)
                });
            }
        }
    });
}

#[test]
fn connect_timeout_ends_everything_before_the_request_and_nothing_after_it() {
    within(300 * SECOND, || {
        let (short, long) = (Duration::from_millis(200), Duration::from_millis(600));
        for Stuck {
            phase,
            link,
            sent,
            _held,
        } in stuck_in_each_phase()
        {
            for by in EACH {
                in_time(phase, || {
                    let start = Instant::now();
                    let limits = Limits {
                        connect_timeout: short,
                        ..limits(long)
                    };
                    let failure = by.post(&link, "x", limits).unwrap_err();
                    let took = start.elapsed();
                    // Who runs again after both times are over may find either of them first.
                    if !failure.sent && took >= long {
                        return Err(format!("{took:?} instead of {short:?}"));
                    }
                    // Of the phases before the request, where this one may not have got beyond them.
                    let kind = match failure.sent {
                        false => FailureKind::Connect,
                        true => FailureKind::Timeout,
                    };
                    assert_eq!(failure.kind, kind, "{phase}, {by:?}: {}", failure.message);
                    ended(took, if failure.sent { long } else { short }, LATE)?;
                    gets_there(&failure, sent)
                });
            }
        }
    });
}

#[test]
fn a_name_that_never_resolves_has_one_thread_for_all_who_wait() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn counted(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        ASKED.fetch_add(1, Ordering::SeqCst);
        never_resolves(host, port)
    }
    within(300 * SECOND, || {
        let named = LinkSettings {
            host: "never.invalid".to_owned(),
            ..plain(80)
        };
        let link = Link::new(named, counted).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| post(&link, "x", &limits(Duration::from_millis(100))).unwrap_err());
            }
        });
        post(&link, "x", &limits(Duration::from_millis(50))).unwrap_err();
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_deadline_that_has_passed_sends_nothing() {
    let server = Server::raw(|mut stream, _| answer_all(&mut stream));
    for by in EACH {
        let link = link(plain(server.port));
        let failure = by.send(&link, "x", Duration::ZERO).unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Timeout, false));
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_answer_that_came_in_time_is_taken_however_late_its_caller_runs() {
    within(300 * SECOND, || {
        let (go, order) = mpsc::channel::<()>();
        let (write, written) = mpsc::channel();
        let read = Arc::new(AtomicBool::new(false));
        let (its, order) = (read.clone(), Mutex::new(order));
        let server = Server::raw(move |mut stream, _| {
            read_request(&mut stream).unwrap();
            its.store(true, Ordering::SeqCst);
            order.lock().unwrap().recv().unwrap();
            stream.write_all(OK).unwrap();
            write.send(()).unwrap();
            let _ = read_request(&mut stream);
        });
        let limits = limits(10 * SECOND);
        let deadline = limits.deadline;
        // It is asked while the call waits for the answer, and takes longer than the call may.
        let interrupt = || {
            if read.swap(false, Ordering::SeqCst) {
                go.send(()).unwrap();
                written.recv().unwrap();
                let left = deadline.saturating_duration_since(Instant::now());
                std::thread::sleep(left + SECOND / 10);
            }
            false
        };
        let link = link(plain(server.port));
        let answer = post_until(&link, "x", &limits, Some(&interrupt));
        assert_eq!(answer.unwrap().body, b"ok");
        assert!(Instant::now() > deadline);
    });
}

#[test]
fn a_refused_connection_has_sent_nothing() {
    let nobody = nobody();
    for by in EACH {
        let failure = by
            .send(&link(plain(nobody.address.port())), "x", 20 * SECOND)
            .unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Connect, false));
        assert!(failure.message.contains("refused"), "{}", failure.message);
    }
}

#[test]
fn a_handshake_that_is_cut_has_sent_nothing() {
    let authority = Authority::new();
    let server = Server::raw(|stream, _| drop(stream));
    let settings = LinkSettings {
        tls: true,
        ca_bundle: Some(authority.file.clone()),
        ..plain(server.port)
    };
    for by in EACH {
        let failure = by
            .send(&link(settings.clone()), "x", 20 * SECOND)
            .unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Connect, false));
    }
}

#[test]
fn an_answer_that_is_cut_is_told_apart_by_whether_its_body_had_begun_and_was_sent() {
    within(300 * SECOND, || {
        let answers: [&[u8]; 5] = [
            b"",
            b"HTTP/1.1 20",
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
        ];
        for (answer, reset) in answers.into_iter().flat_map(|a| [(a, false), (a, true)]) {
            let server = Server::raw(move |mut stream, _| {
                read_request(&mut stream).unwrap();
                stream.write_all(answer).unwrap();
                if reset {
                    std::thread::sleep(Duration::from_millis(20));
                    break_off(&stream);
                }
            });
            let kind = match answer.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                true => FailureKind::Truncated,
                false => FailureKind::Cut,
            };
            for (count, by) in EACH.into_iter().enumerate() {
                let failure = by
                    .send(&link(plain(server.port)), "x", 20 * SECOND)
                    .unwrap_err();
                let got = (failure.kind, failure.sent);
                assert_eq!(got, (kind, true), "{answer:?}, {by:?}");
                assert_eq!(server.connections(), count + 1, "a request was repeated");
            }
        }
    });
}

#[test]
fn what_is_not_http_is_malformed() {
    within(300 * SECOND, || {
        for answer in [
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        ] {
            let server = Server::raw(move |mut stream, _| {
                read_request(&mut stream).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(200));
            });
            for by in EACH {
                let failure = by
                    .send(&link(plain(server.port)), "x", 20 * SECOND)
                    .unwrap_err();
                let got = (failure.kind, failure.sent);
                assert_eq!(got, (FailureKind::Malformed, true), "{answer:?}, {by:?}");
            }
        }
    });
}

#[test]
fn a_body_over_the_limit_is_refused_early() {
    within(300 * SECOND, || {
        let told = Server::raw(|mut stream, _| {
            read_request(&mut stream).unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")
                .unwrap();
            std::thread::sleep(Duration::from_secs(20));
        });
        let written = Arc::new(AtomicUsize::new(0));
        let count = written.clone();
        let untold = Server::raw(move |mut stream, _| {
            read_request(&mut stream).unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .unwrap();
            let chunk = [b"10000\r\n", vec![b'x'; 0x10000].as_slice(), b"\r\n"].concat();
            while count.load(Ordering::SeqCst) < 100 << 20 && stream.write_all(&chunk).is_ok() {
                count.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        });
        for (server, by) in [&told, &untold]
            .into_iter()
            .flat_map(|s| EACH.map(|by| (s, by)))
        {
            let failure = by
                .send(&link(plain(server.port)), "x", 20 * SECOND)
                .unwrap_err();
            let got = (failure.kind, failure.sent);
            assert_eq!(got, (FailureKind::TooLarge, true), "{by:?}");
        }
        std::thread::sleep(Duration::from_millis(100));
        assert!(
            written.load(Ordering::SeqCst) < 20 << 20,
            "the server went on"
        );
    });
}

#[test]
fn a_flood_of_interim_answers_ends_with_the_deadline_and_holds_nobody_up() {
    within(300 * SECOND, || {
        let authority = Authority::new();
        let flood = |stream: &mut dyn io::Write| {
            // Short ones: the client has more to do than the server.
            let answers = b"HTTP/1.1 100 C\r\n\r\n".repeat(20_000);
            while stream.write_all(&answers).is_ok() {}
        };
        let bare = Server::raw(move |mut stream, _| {
            read_request(&mut stream).unwrap();
            flood(&mut stream);
        });
        let secure = Server::tls(&authority, &[], move |mut stream, _| {
            read_request(stream).unwrap();
            flood(&mut stream);
        });
        let under_tls = LinkSettings {
            tls: true,
            ca_bundle: Some(authority.file.clone()),
            ..plain(secure.port)
        };
        let honest = Server::raw(|mut stream, _| answer_all(&mut stream));
        for settings in [plain(bare.port), under_tls] {
            for by in EACH {
                let flooded = link(settings.clone());
                let call = std::thread::spawn(move || {
                    let begun = Instant::now();
                    let failure = by.send(&flooded, "x", 3 * SECOND).unwrap_err();
                    (failure, begun.elapsed())
                });
                std::thread::sleep(SECOND / 4);
                let begun = Instant::now();
                By::Task
                    .send(&link(plain(honest.port)), "x", 5 * SECOND)
                    .unwrap();
                let beside = begun.elapsed();
                let (failure, took) = call.join().unwrap();
                assert_eq!((failure.kind, failure.sent), (FailureKind::Timeout, true));
                println!("{by:?}: ended after {took:?}; another call took {beside:?}");
                assert!(took < SECOND * 10, "{by:?}: {took:?}");
                assert!(beside < SECOND * 3, "{by:?}: another call took {beside:?}");
            }
        }
    });
}

/// Waits until no more comes to be read.
fn wait_for_all(descriptor: i32) {
    let (mut before, mut there) = (-1, 0);
    while there == 0 || there != before {
        std::thread::sleep(SECOND / 10);
        before = there;
        // SAFETY: the descriptor is open and the number may be written to.
        unsafe { libc::ioctl(descriptor, libc::FIONREAD, &mut there) };
    }
}

#[test]
fn a_turn_ends_after_its_share_however_much_has_come() {
    within(300 * SECOND, || {
        const MOST: usize = 64 * 1024;
        let server = Server::raw(|mut stream, _| {
            let _ = stream.write_all(&[b'x'; 4 * MOST]);
            std::thread::sleep(10 * SECOND);
        });
        let address = [SocketAddr::from(([127, 0, 0, 1], server.port))];
        let reactor = CallersThread::new(None);
        let mut deadline = deadline::Deadline::new(&reactor, Instant::now() + 5 * SECOND);
        let watched = run_here(socket::Socket::connect(&address, "it", &mut deadline)).unwrap();
        let mut socket = &**watched.socket();
        for _ in 0..2 {
            wait_for_all(socket.as_raw_fd());
            let (mut read, mut buf) = (0, [0; 1000]);
            let end = loop {
                match io::Read::read(&mut socket, &mut buf) {
                    Ok(n) => read += n,
                    Err(error) => break error,
                }
            };
            assert_eq!((read, end.kind()), (MOST, io::ErrorKind::WouldBlock));
            assert!(socket.turn_is_over());
            // There is more, so nothing is waited for.
            run_here(deadline.ready(&watched)).unwrap();
        }
    });
}

#[test]
fn a_connection_that_hangs_costs_the_call_on_it_and_no_other() {
    within(300 * SECOND, || {
        std::thread::scope(|scope| {
            for by in EACH {
                scope.spawn(move || in_time("answered meanwhile", || one_of_32_hangs(by)));
            }
        });
    });
}

/// A request that is never answered.
fn silent(request: Request<'_>) -> Request<'_> {
    Request {
        target: "/silent",
        ..charge(request)
    }
}

/// Of 32 calls at once one is never answered. The others, and a hundred more, are to be answered before it ends.
fn one_of_32_hangs(by: By) -> Result<(), String> {
    let together = Barrier::new(32);
    let server = Server::raw(move |mut stream, number| {
        let mut first = number < 32;
        while let Some(request) = read_request(&mut stream) {
            // None is answered before all 32 have come, each over a connection of its own.
            if std::mem::take(&mut first) {
                together.wait();
            }
            if !request.starts_with("POST /silent ") {
                stream.write_all(OK).unwrap();
            }
        }
    });
    let settings = LinkSettings {
        max_connections: 32,
        ..plain(server.port)
    };
    let (link, begin, further) = (link(settings), Barrier::new(32), AtomicUsize::new(0));
    let answered = || by.charge(&link, 30 * SECOND).unwrap().body == b"ok";
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            begin.wait();
            by.exchange(&link, silent, limits(10 * SECOND), None)
        });
        let others: Vec<_> = (0..31)
            .map(|_| {
                scope.spawn(|| {
                    begin.wait();
                    assert!(answered(), "{by:?}");
                    while further.fetch_add(1, Ordering::SeqCst) < 100 {
                        assert!(answered(), "{by:?}");
                    }
                })
            })
            .collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        let still_silent = !call.is_finished();
        let failure = call.join().unwrap().unwrap_err();
        let got = (failure.kind, failure.sent);
        assert_eq!(got, (FailureKind::Timeout, true), "{by:?}");
        assert!(answered(), "{by:?}");
        match still_silent {
            true => Ok(()),
            false => Err("the silent call ended before the others".to_owned()),
        }
    })
}

#[test]
fn connections_that_hang_cost_two_calls_at_most() {
    calls_lost_to_connections_that_hang(|by, link| by.charge(link, 5 * SECOND));
}

#[test]
fn calls_that_are_canceled_over_connections_that_hang_are_two_at_most() {
    calls_lost_to_connections_that_hang(|by, link| by.charge_until(link, 5 * SECOND));
}

fn calls_lost_to_connections_that_hang(charge: fn(By, &Arc<Link>) -> Result<Answer, Failure>) {
    within(300 * SECOND, move || {
        for by in EACH {
            // Each of the first eight answers once, all together, and is silent from then on.
            let together = Barrier::new(8);
            let server = Server::raw(move |mut stream, number| {
                if number >= 8 {
                    return answer_all(&mut stream);
                }
                read_request(&mut stream).unwrap();
                together.wait();
                stream.write_all(OK).unwrap();
                std::thread::sleep(20 * SECOND);
            });
            let link = link(plain(server.port));
            std::thread::scope(|scope| {
                let call = || by.send(&link, "x", 5 * SECOND).unwrap();
                (0..8).for_each(|_| drop(scope.spawn(call)));
            });
            // Long enough for each to be one that this server keeps.
            std::thread::sleep(Duration::from_millis(100));
            let calls = (0..6).map(|_| charge(by, &link));
            let lost = calls.filter(Result::is_err).count();
            assert!((1..=2).contains(&lost), "{by:?}: {lost} calls were lost");
        }
    });
}

/// Sets a handler, without SA_RESTART, that only counts; gives what it has counted on this thread.
fn count_signal(signal: i32) -> impl Fn() -> usize {
    thread_local! {
        static COUNTS: [AtomicUsize; 32] = const { [const { AtomicUsize::new(0) }; 32] };
    }
    extern "C" fn handler(signal: i32) {
        // A thread that has ended counts no more.
        let _ = COUNTS.try_with(|counts| counts[signal as usize].fetch_add(1, Ordering::SeqCst));
    }
    // SAFETY: the handler touches an atomic only; a zeroed sigaction is a valid one without flags.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(i32) as usize;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
    move || COUNTS.with(|counts| counts[signal as usize].load(Ordering::SeqCst))
}

#[test]
fn a_storm_of_signals_breaks_no_call_and_prolongs_no_deadline() {
    within(300 * SECOND, || {
        let count = count_signal(libc::SIGUSR1);
        // SAFETY: asks for the calling thread only.
        let target = unsafe { libc::pthread_self() };
        let over = Arc::new(AtomicBool::new(false));
        let stop = over.clone();
        let storm = std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                // SAFETY: the target joins this thread before it ends, so it is alive.
                unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let authority = Authority::new();
        let slow = Server::tls(&authority, &[], |stream, _| {
            while read_request(stream).is_some() {
                std::thread::sleep(Duration::from_millis(20));
                stream.write_all(OK).unwrap();
            }
        });
        let settings = LinkSettings {
            tls: true,
            ca_bundle: Some(authority.file.clone()),
            ..plain(slow.port)
        };
        let good = link(settings);
        // Until there was a storm: on a busy machine the thread that makes it may come late.
        let mut answers = Vec::new();
        while answers.len() < 10 || count() <= 100 {
            answers.push(post(&good, "x", &limits(5 * SECOND)));
        }
        let (ends, due) = (stuck_in_each_phase(), Duration::from_millis(200));
        for Stuck { phase, link, .. } in &ends {
            in_time(phase, || {
                let start = Instant::now();
                let failure = post(link, "x", &limits(due)).unwrap_err();
                assert_eq!(failure.kind, FailureKind::Timeout, "{phase}");
                ended(start.elapsed(), due, LATE)
            });
        }
        over.store(true, Ordering::SeqCst);
        storm.join().unwrap();
        assert!(
            answers
                .into_iter()
                .all(|a| a.is_ok_and(|a| a.body == b"ok"))
        );
    });
}

#[test]
fn a_closed_connection_raises_no_sigpipe() {
    within(300 * SECOND, || {
        let count = count_signal(libc::SIGPIPE);
        let server = Server::raw(|mut stream, _| {
            // Closed under a body that is too large for the socket's buffers.
            let _ = io::Read::read(&mut stream, &mut [0; 1024]);
        });
        let link = link(plain(server.port));
        let big: &'static str = Box::leak("x".repeat(16 << 20).into_boxed_str());
        for _ in 0..5 {
            let failure = post(&link, big, &limits(5 * SECOND)).unwrap_err();
            assert_eq!((failure.kind, failure.sent), (FailureKind::Cut, true));
        }
        assert_eq!(count(), 0);
    });
}

#[test]
fn a_socket_that_the_peer_has_reset_takes_no_byte_and_raises_no_sigpipe() {
    within(300 * SECOND, || {
        let count = count_signal(libc::SIGPIPE);
        let (connected, order) = mpsc::channel();
        let order = Mutex::new(order);
        let server = Server::raw(move |stream, _| {
            order.lock().unwrap().recv().unwrap();
            break_off(&stream);
        });
        let address = [SocketAddr::from(([127, 0, 0, 1], server.port))];
        let reactor = CallersThread::new(None);
        let mut deadline = deadline::Deadline::new(&reactor, Instant::now() + 5 * SECOND);
        let connecting = socket::Socket::connect(&address, "it", &mut deadline);
        let watched = run_here(connecting).unwrap();
        let mut socket = &**watched.socket();
        connected.send(()).unwrap();
        server.wait_for_ends(1);
        socket.begin_request();
        assert!(socket.write(b"x").is_err());
        assert!(socket.write(b"x").is_err());
        assert_eq!(socket.sent(), 0);
        assert_eq!(count(), 0);
    });
}
