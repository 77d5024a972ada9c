//! What Redis alone has: users, databases, TLS, and reasons to refuse.

use super::*;
use crate::store::fleet::tests::daemon::Dir;
use crate::test_support::ports::nobody;

/// What the store at `url` has to say against a session that leads and writes; empty if nothing.
fn reason(url: &str) -> String {
    let try_it = || {
        let mut session = server(url).open(NAME, owner(), AMPLE)?;
        session.take_lease(9 * SECOND, AMPLE)?;
        session.write(b"x", 60 * SECOND, None, Some(MINE), AMPLE)?;
        session.read(AMPLE)
    };
    match try_it() {
        Ok(found) => {
            assert_eq!(**found.value.unwrap(), *b"x");
            String::new()
        }
        Err(reason) => {
            assert!(!reason.contains("hush"), "{reason}");
            reason
        }
    }
}

#[test]
fn a_password_is_asked_for_and_taken() {
    within(30 * SECOND, || {
        let daemon = Daemon::redis(&["--requirepass", "hush:word"]);
        let at = format!("127.0.0.1:{}", daemon.port);
        assert!(reason(&format!("redis://{at}")).starts_with("NOAUTH"));
        assert!(reason(&format!("redis://:hush-wrong@{at}")).starts_with("WRONGPASS"));
        assert_eq!(reason(&format!("redis://:hush%3Aword@{at}")), "");
        assert_eq!(reason(&format!("redis://default:hush%3Aword@{at}/2")), "");
        let open = Daemon::redis(&[]);
        let needless = reason(&format!("redis://:hush-word@127.0.0.1:{}", open.port));
        assert!(needless.contains("may have none"), "{needless}");
    });
}

#[test]
fn a_user_needs_no_more_rights_than_the_module_says() {
    within(30 * SECOND, || {
        let rights = "~pay88:* +eval +time +get +getrange +set +del +pttl +pexpire";
        let mut settings = vec!["--user", "pay", "on", ">hush-pay"];
        settings.extend(rights.split(' '));
        settings.extend([
            "--user",
            "poor",
            "on",
            ">hush-poor",
            "~other:*",
            "+eval",
            "+time",
        ]);
        let daemon = Daemon::redis(&settings);
        let at = format!("127.0.0.1:{}", daemon.port);
        assert_eq!(reason(&format!("redis://pay:hush-pay@{at}")), "");
        let mut session = session_of(&server(&format!("redis://pay:hush-pay@{at}")), NAME);
        session.read(AMPLE).unwrap();
        let marks = session.marks(b"another", AMPLE).unwrap();
        assert_eq!(marks, [MINE, b"another"].concat());
        assert!(session.take_lease(SECOND, AMPLE).unwrap().0);
        session.release(AMPLE).unwrap();
        assert!(reason(&format!("redis://poor:hush-poor@{at}")).starts_with("NOPERM"));
        assert!(reason(&format!("redis://pay:hush-poor@{at}")).starts_with("WRONGPASS"));
    });
}

#[test]
fn a_right_that_is_missing_is_named_and_a_store_that_takes_no_writes_is_found_out() {
    within(30 * SECOND, || {
        let rights = "~pay88:* +eval +time +get +getrange +set +del +pttl +pexpire";
        let users: Vec<String> = ["+set", "+del", "+pexpire", "+getrange", "+eval"]
            .iter()
            .map(|left_out| rights.replace(&format!(" {left_out}"), ""))
            .chain([rights.to_owned()])
            .collect();
        let mut settings = Vec::new();
        let names: Vec<String> = (0..users.len())
            .map(|number| format!("user{number}"))
            .collect();
        for (name, rights) in names.iter().zip(&users) {
            settings.extend(["--user", name, "on", ">hush"]);
            settings.extend(rights.split(' '));
        }
        let daemon = Daemon::redis(&settings);
        let at = |user: &str, database: &str| {
            server(&format!(
                "redis://{user}:hush@127.0.0.1:{}{database}",
                daemon.port
            ))
        };
        let writable = |server: &Server| {
            let mut session = session_of(server, NAME);
            session.read(AMPLE)?;
            session.writable(AMPLE)
        };
        let (all, fewer) = names.split_last().unwrap();
        assert_eq!(writable(&at(all, "")), Ok(()));
        assert_eq!(
            value(&mut *session_of(&at(all, ""), NAME)),
            None,
            "something was left there"
        );
        for name in fewer {
            let why = writable(&at(name, "")).unwrap_err();
            assert!(
                why.starts_with("NOPERM") && why.contains("+pexpire"),
                "{name}: {why}"
            );
        }
        let why = at(all, "/3").open(NAME, owner(), AMPLE).err().unwrap();
        assert!(
            why.starts_with("NOPERM") && why.contains("+select"),
            "{why}"
        );

        let nobody = nobody();
        let port = nobody.address.port().to_string();
        for (settings, code) in [
            (["--replicaof", "127.0.0.1", &port].as_slice(), "READONLY"),
            (
                &["--maxmemory", "1", "--maxmemory-policy", "noeviction"],
                "OOM",
            ),
            (&["--min-replicas-to-write", "1"], "NOREPLICAS"),
        ] {
            let daemon = Daemon::redis(settings);
            let why = writable(&server(&format!("redis://127.0.0.1:{}", daemon.port))).unwrap_err();
            assert!(why.starts_with(code), "{code}: {why}");
        }
    });
}

#[test]
fn databases_are_apart() {
    within(30 * SECOND, || {
        let daemon = Daemon::redis(&[]);
        let at = |database: &str| server(&format!("redis://127.0.0.1:{}{database}", daemon.port));
        publish(&mut *session_of(&at("/3"), NAME), b"third");
        assert_eq!(value(&mut *session_of(&at(""), NAME)), None);
        assert_eq!(value(&mut *session_of(&at("/3"), NAME)).unwrap(), b"third");
        let refused = at("/99").open(NAME, owner(), AMPLE).err().unwrap();
        assert!(refused.contains("database"), "{refused}");
    });
}

#[test]
fn a_unix_socket_is_a_way_too() {
    within(30 * SECOND, || {
        let settings = [
            "--unixsocket",
            "DIR/socket",
            "--port",
            "0",
            "--requirepass",
            "hush",
        ];
        let daemon = Daemon::redis(&settings);
        let socket = daemon.dir.0.join("socket");
        let url = format!("redis+unix://{}?db=1&password=hush", socket.display());
        assert_eq!(reason(&url), "");
        let refused = reason("redis+unix:///nowhere/socket");
        assert!(refused.contains("/nowhere/socket"), "{refused}");
    });
}

#[test]
fn a_store_that_can_only_be_read_gives_way_to_the_next_of_the_list() {
    within(30 * SECOND, || {
        let nobody = nobody();
        let port = nobody.address.port().to_string();
        let replica = Daemon::redis(&["--replicaof", "127.0.0.1", &port]);
        let primary = Daemon::redis(&[]);
        let urls = [&replica, &primary].map(|store| format!("redis://127.0.0.1:{}", store.port));
        let stores = urls.each_ref().map(|url| StoreUrl::parse(url).unwrap());
        let clock = Arc::new(crate::platform::virtual_clock::VirtualClock::default());
        let virtual_clock = Clock::Virtual(clock.clone());
        let fleet = Fleet::new(&stores, "https://pay.example", "MCH-COL-1", virtual_clock);
        let fleet = Arc::new(fleet);
        let key = record::api_key("sk_test_sandbox_1");
        for (first, seconds) in [(0, 4), (1, 1), (0, 9), (1, 1), (0, 0)] {
            let mut client = fleet.client(&key).unwrap();
            client.ask(Ask::Read, AMPLE).unwrap();
            assert_eq!(client.shown().unwrap(), urls[first]);
            let lead = Ask::Lease { lease: AMPLE };
            let Answer::Found(found) = client.ask(lead, AMPLE).unwrap() else {
                panic!("not found")
            };
            assert!(found.leads);
            assert_eq!(client.shown().unwrap(), urls[1]);
            assert!(matches!(
                client.ask(Ask::Release, AMPLE),
                Ok(Answer::Stored(true))
            ));
            clock.advance(seconds * SECOND);
        }
    });
}

/// A certificate authority and a certificate of it for `127.0.0.1` and `localhost`, as PEM.
pub(super) struct Certificates {
    pub(super) authority: String,
    certificate: String,
    key: String,
}

pub(super) fn certificates() -> Certificates {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, key);
    let names = ["127.0.0.1", "localhost"].map(str::to_owned).to_vec();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(names).unwrap();
    Certificates {
        authority,
        certificate: params.signed_by(&key, &issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

#[test]
fn tls_is_verified_against_the_ca_of_the_url() {
    within(60 * SECOND, || {
        let dir = Dir::new();
        let Certificates {
            authority,
            certificate,
            key,
        } = certificates();
        let ca = dir.write("ca.pem", &authority);
        let other_ca = dir.write("other.pem", &certificates().authority);
        let (certificate, key) = (dir.write("c.pem", &certificate), dir.write("k.pem", &key));
        let plain_port = daemon::free_port().to_string();
        let settings = [
            ["--tls-port", "PORT"],
            ["--port", &plain_port],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &ca],
            ["--tls-auth-clients", "no"],
            ["--requirepass", "hush"],
        ];
        let daemon = Daemon::redis(&settings.concat());
        for host in ["127.0.0.1", "localhost"] {
            let at = format!("rediss://:hush@{host}:{}", daemon.port);
            assert_eq!(reason(&format!("{at}/1?ca={ca}")), "");
            let refused = reason(&format!("{at}?ca={other_ca}"));
            assert!(
                refused.contains("TLS failed") && refused.contains("?ca="),
                "{refused}"
            );
        }
        let at = format!("127.0.0.1:{}", daemon.port);
        let unread = reason(&format!("rediss://:hush@{at}?ca=/nowhere/ca.pem"));
        assert!(unread.contains("/nowhere/ca.pem"), "{unread}");
        let plain = reason(&format!("rediss://:hush@127.0.0.1:{plain_port}?ca={ca}"));
        assert!(!plain.is_empty());
        assert!(!reason(&format!("redis://:hush@{at}")).is_empty());
        // A large value takes several records of TLS each way.
        let mut session = session_of(&server(&format!("rediss://:hush@{at}?ca={ca}")), NAME);
        let large: Vec<u8> = (0..=255).cycle().take(65_536).collect();
        publish(&mut *session, &large);
        assert_eq!(value(&mut *session).unwrap(), large);
    });
}

#[test]
fn a_full_store_says_so_and_still_takes_a_lease_back() {
    within(30 * SECOND, || {
        let daemon = Daemon::redis(&["--maxmemory-policy", "noeviction"]);
        let url = format!("redis://127.0.0.1:{}", daemon.port);
        let mut session = session_of(&server(&url), NAME);
        publish(&mut *session, b"before");
        assert!(session.take_lease(9 * SECOND, AMPLE).unwrap().0);
        daemon.command("CONFIG SET maxmemory 1");
        let refused = session.write(b"x", 60 * SECOND, None, Some(MINE), AMPLE);
        assert!(refused.unwrap_err().starts_with("OOM"));
        assert_eq!(value(&mut *session).unwrap(), b"before");
        session.release(AMPLE).unwrap();
        assert!(session.read(AMPLE).unwrap().leased.is_none());
        assert!(
            session
                .take_lease(9 * SECOND, AMPLE)
                .err()
                .unwrap()
                .starts_with("OOM")
        );
    });
}

#[test]
fn a_replica_and_a_cluster_without_its_nodes_say_what_they_are() {
    within(30 * SECOND, || {
        let primary = Daemon::redis(&[]);
        let url = format!("redis://127.0.0.1:{}", primary.port);
        assert_eq!(reason(&url), "");
        let port = primary.port.to_string();
        let replica = Daemon::redis(&["--replicaof", "127.0.0.1", &port]);
        let at_replica = format!("redis://127.0.0.1:{}", replica.port);
        let refused = reason(&at_replica);
        assert!(
            refused.starts_with("READONLY") && refused.contains("primary"),
            "{refused}"
        );
        // What it has can be read.
        let mut session = session_of(&server(&at_replica), NAME);
        let end = Instant::now() + 15 * SECOND;
        while value(&mut *session).is_none() {
            assert!(Instant::now() < end, "nothing was copied");
            std::thread::sleep(Duration::from_millis(50));
        }
        let cluster = Daemon::redis(&["--cluster-enabled", "yes"]);
        let refused = reason(&format!("redis://127.0.0.1:{}", cluster.port));
        assert!(refused.starts_with("CLUSTERDOWN"), "{refused}");
    });
}

#[test]
fn the_keys_of_a_credential_share_a_hash_tag() {
    within(30 * SECOND, || {
        let daemon = Daemon::redis(&["--cluster-enabled", "yes"]);
        daemon.command("CLUSTER ADDSLOTSRANGE 0 16383");
        let url = format!("redis://127.0.0.1:{}", daemon.port);
        let end = Instant::now() + 10 * SECOND;
        while reason(&url).starts_with("CLUSTERDOWN") {
            assert!(Instant::now() < end, "the cluster does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(reason(&url), "");
    });
}

#[test]
fn what_is_written_ends_by_itself() {
    within(30 * SECOND, || {
        let daemon = Daemon::redis(&[]);
        let mut session = session_of(&server(&format!("redis://127.0.0.1:{}", daemon.port)), NAME);
        for counted in [false, true] {
            publish(&mut *session, b"x");
            if counted {
                session.marks(b"another", AMPLE).unwrap();
            }
            assert!(session.take_lease(9 * SECOND, AMPLE).unwrap().0);
            for key in ["value", "lease", "hosts"] {
                let left = daemon.command(&format!("PTTL pay88:{{{NAME}}}:{key}"));
                let left: i64 = left.trim().trim_start_matches(':').parse().unwrap();
                assert!((1..=60_000).contains(&left), "{key}: {left}");
            }
            session.release(AMPLE).unwrap();
        }
        assert_eq!(daemon.command("DBSIZE"), ":2\r\n");
    });
}
