//! Servers that are none, or that are unwell: whatever they do costs no more than the time given, and a reason comes of it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::{Mutex, mpsc};

use super::*;
use crate::test_support::ports::nobody;

const TIME: Duration = Duration::from_millis(300);
/// What the machine may be late.
const LATE: Duration = Duration::from_millis(1500);

const SCHEMES: [&str; 2] = ["redis", "memcached"];

/// A port at which each connection is dealt with like that, as long as the test's process lives.
fn fake_server(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(60 * SECOND)).unwrap();
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// One that answers whatever it is asked with these bytes.
fn answering(bytes: &'static [u8]) -> u16 {
    fake_server(move |mut stream| {
        let mut asked = [0; 4096];
        while matches!(stream.read(&mut asked), Ok(1..)) && stream.write_all(bytes).is_ok() {}
    })
}

/// Why nothing can be found at that URL, where this takes no time. It has enough for a busy machine.
fn reason(url: &str) -> String {
    reason_within(10 * SECOND, url)
}

/// Why nothing can be found at that URL, which is told in time.
fn reason_within(time: Duration, url: &str) -> String {
    let server = server(url);
    let asked = Instant::now();
    let reason = match server.open(NAME, owner(), time) {
        Ok(mut session) => session.read(time).err(),
        Err(reason) => Some(reason),
    };
    let took = asked.elapsed();
    assert!(took < 2 * time + LATE, "{url}: {took:?}");
    reason.unwrap_or_else(|| panic!("{url} passes for a store"))
}

#[test]
fn a_server_that_accepts_and_says_nothing_costs_the_time_given() {
    within(30 * SECOND, || {
        let port = fake_server(|stream| {
            std::thread::sleep(20 * SECOND);
            drop(stream);
        });
        for scheme in SCHEMES {
            let reason = reason_within(TIME, &format!("{scheme}://127.0.0.1:{port}"));
            assert!(reason.contains("time"), "{reason}");
        }
        // A handshake that never goes on is no different.
        let ca = daemon::Dir::new();
        let ca = ca.write("ca.pem", &redis::certificates().authority);
        let reason = reason_within(TIME, &format!("rediss://127.0.0.1:{port}?ca={ca}"));
        assert!(reason.contains("time"), "{reason}");
    });
}

#[test]
fn a_server_that_drips_costs_the_time_given() {
    within(30 * SECOND, || {
        for (scheme, begins) in [
            ("redis", "*4\r\n:0\r\n:1700000000000\r\n:-2\r\n$60000\r\n"),
            ("memcached", "VA 60000 t100\r\n"),
        ] {
            let port = fake_server(move |mut stream| {
                let endless = begins.bytes().chain(std::iter::repeat(b'x'));
                for byte in endless {
                    std::thread::sleep(Duration::from_millis(if byte == b'x' { 100 } else { 1 }));
                    if stream.write_all(&[byte]).is_err() {
                        break;
                    }
                }
            });
            let reason = reason_within(TIME, &format!("{scheme}://127.0.0.1:{port}"));
            assert!(reason.contains("time"), "{reason}");
        }
    });
}

#[test]
fn a_late_answer_is_not_taken_for_that_to_the_next_question() {
    within(30 * SECOND, || {
        let (go, order) = mpsc::channel::<()>();
        let (write, written) = mpsc::channel();
        let order = Arc::new(Mutex::new(order));
        let port = fake_server(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = order.lock().unwrap().recv();
            let _ = stream.write_all(b"*4\r\n:0\r\n:1700000000000\r\n:-2\r\n$-1\r\n");
            let _ = write.send(());
            std::thread::sleep(20 * SECOND);
        });
        let server = server(&format!("redis://127.0.0.1:{port}"));
        let mut session = session_of(&server, NAME);
        assert!(session.read(TIME).is_err());
        // The answer is there before the next question is asked.
        go.send(()).unwrap();
        written.recv().unwrap();
        assert!(session.read(5 * SECOND).is_err());
        // It is an answer, if one waits for it.
        go.send(()).unwrap();
        let mut patient = session_of(&server, NAME);
        assert!(patient.read(10 * SECOND).is_ok());
    });
}

#[test]
fn a_server_that_reads_nothing_costs_the_time_given() {
    within(30 * SECOND, || {
        let port = fake_server(|stream| {
            std::thread::sleep(20 * SECOND);
            drop(stream);
        });
        // Nothing larger is written than the kernel's buffers may take: it is the answer that does not come.
        let opened = server(&format!("redis://127.0.0.1:{port}")).open(NAME, owner(), TIME);
        let asked = Instant::now();
        let written = opened
            .unwrap()
            .write(&[7; 65_536], SECOND, None, Some(MINE), TIME);
        assert!(written.is_err() && asked.elapsed() < TIME + LATE);
    });
}

#[test]
fn rubbish_is_refused() {
    within(60 * SECOND, || {
        let rubbish: [&[u8]; 22] = [
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            b"\x15\x03\x03\x00\x02\x02\x46",
            b"\r\n",
            b"\n\n\n\n",
            b"\xff\xfe\r\n",
            b"$99999999999999999999\r\n",
            b"$70000\r\n",
            b"$-7\r\n",
            b"*1000000000\r\n",
            b"*-1\r\n",
            b"*4\r\n*4\r\n*4\r\n",
            b"*4\r\n:0\r\n:-1\r\n:-2\r\n$-1\r\n",
            b"*4\r\n:0\r\n:1\r\n:-1\r\n$-1\r\n",
            b"*4\r\n:0\r\n:1\r\n:-2\r\n$-1\r\n+OK\r\n",
            b"*4\r\n:0\r\n:1\r\n:-2\r\n$3\r\nabcde",
            b"VA 99999999999 c1 t1\r\n",
            b"VA 8 c1 t99\r\n12345678XXXXXXXXXXX\r\n",
            b"VA 3 c1 t99\r\nabc\r\nEN\r\nEN\r\n",
            b"VA 8 c1 t-1\r\n12345678\r\nEN\r\nEN\r\n",
            b"VA 8 c1 t9999999999\r\n12345678\r\nEN\r\nEN\r\n",
            b"HD\r\nHD\r\nHD\r\nHD\r\nHD\r\n",
        ];
        for bytes in rubbish {
            let port = answering(bytes);
            // The end of a line is waited for.
            let time = match bytes.contains(&b'\n') {
                true => 10 * SECOND,
                false => TIME,
            };
            for scheme in SCHEMES {
                let reason = reason_within(time, &format!("{scheme}://127.0.0.1:{port}"));
                assert!(reason.len() > 10, "{reason}");
            }
        }
    });
}

#[test]
fn an_answer_without_an_end_is_given_up() {
    within(60 * SECOND, || {
        let endless: [&[u8]; 5] = [b"x", b"*1\r\n", b"+OK\r\n", b"HD\r\n", b"EN\r\n"];
        for bytes in endless {
            let port = fake_server(
                move |mut stream| while stream.write_all(&bytes.repeat(512)).is_ok() {},
            );
            for scheme in SCHEMES {
                reason(&format!("{scheme}://127.0.0.1:{port}"));
            }
        }
    });
}

#[test]
fn arrays_in_one_another_do_not_use_up_the_stack() {
    within(30 * SECOND, || {
        let port = fake_server(|mut stream| {
            let _ = stream.write_all(&b"*1\r\n".repeat(100_000));
            std::thread::sleep(SECOND);
        });
        let url = format!("redis://127.0.0.1:{port}");
        let small = std::thread::Builder::new().stack_size(128 * 1024);
        small.spawn(move || reason(&url)).unwrap().join().unwrap();
    });
}

#[test]
fn a_server_that_closes_is_told_as_such() {
    within(30 * SECOND, || {
        let port = fake_server(drop);
        for scheme in SCHEMES {
            let reason = reason(&format!("{scheme}://127.0.0.1:{port}"));
            assert!(
                reason.contains("closed") || reason.contains("lost"),
                "{reason}"
            );
        }
    });
}

#[test]
fn writing_to_a_server_that_has_closed_raises_no_signal() {
    within(30 * SECOND, || {
        let dir = daemon::Dir::new();
        let path = dir.0.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let server = server(&format!("redis+unix://{}", path.display()));
        let status = in_a_child(|| {
            // SAFETY: the child alone lets the signal end it, which test programs ignore.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            let mut told = 0;
            for _ in 0..5 {
                let session = server.open(NAME, owner(), SECOND);
                // Until the other end is closed.
                std::thread::sleep(Duration::from_millis(20));
                told += i32::from(session.is_ok_and(|mut session| session.read(SECOND).is_err()));
            }
            i32::from(told != 5)
        });
        assert_eq!(status, 0);
    });
}

#[test]
fn nobody_at_the_port_and_no_such_name_are_told_in_time() {
    within(30 * SECOND, || {
        let nobody = nobody();
        let port = nobody.address.port();
        for scheme in SCHEMES {
            let refused = reason(&format!("{scheme}://127.0.0.1:{port}"));
            assert!(refused.contains("refused"), "{refused}");
            let unknown = reason_within(TIME, &format!("{scheme}://nobody.invalid:{port}"));
            assert!(
                unknown.contains("nobody.invalid") || unknown.contains("time"),
                "{unknown}"
            );
        }
    });
}

#[test]
fn no_reason_repeats_what_the_server_says() {
    within(30 * SECOND, || {
        for answer in [
            &b"-ERR unknown command `AUTH`, with args beginning with: `hush-word`\r\n"[..],
            b"-hush-word\r\n",
            b"+hush-word\r\n",
            b"-NOAUTH hush-word\r\n",
            b"$9\r\nhush-word\r\n",
            b"hush-word\r\n",
            b"SERVER_ERROR hush-word\r\nSERVER_ERROR hush-word\r\nSERVER_ERROR hush-word\r\n",
            b"CLIENT_ERROR hush-word\r\n",
        ] {
            let port = answering(answer);
            for url in ["redis://:hush-word@", "redis://", "memcached://"] {
                let reason = reason(&format!("{url}127.0.0.1:{port}"));
                assert!(!reason.contains("hush"), "{reason}");
            }
        }
    });
}

#[test]
fn each_refusal_of_a_redis_has_its_reason() {
    within(30 * SECOND, || {
        for (answer, begins) in [
            (&b"-LOADING Redis is loading the dataset in memory\r\n"[..], "LOADING"),
            (b"-MOVED 3999 127.0.0.1:6381\r\n", "MOVED"),
            (b"-MISCONF Redis is configured to save RDB snapshots\r\n", "MISCONF"),
            (b"-DENIED Redis is running in protected mode\r\n", "DENIED"),
            (
                b"-ERR Error running script (call to f_0): @user_script:2: @user_script: 2: -READONLY You can't write\r\n",
                "READONLY",
            ),
            (b"-ERR unknown command\r\n", "it refuses to run a script"),
        ] {
            let reason = reason(&format!("redis://127.0.0.1:{}", answering(answer)));
            assert!(reason.starts_with(begins), "{reason}");
        }
    });
}

#[test]
fn a_memcached_without_meta_commands_is_told_as_too_old() {
    within(30 * SECOND, || {
        let reason = reason(&format!(
            "memcached://127.0.0.1:{}",
            answering(b"ERROR\r\n")
        ));
        assert!(reason.contains("1.6"), "{reason}");
    });
}
