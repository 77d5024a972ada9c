//! `pay88 doctor`: what it says of those who share the token, and what `--reset` forgets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

#[path = "../../core/src/store/fleet/tests/daemon.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod daemon;
#[path = "../../core/src/test_support/ports.rs"]
mod ports;
#[path = "../../core/src/test_support/skip.rs"]
mod skip;
mod support;
#[path = "../../core/tests/host/yardstick.rs"]
mod yardstick;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use daemon::Daemon;
use pay88_sandbox::{Action, Config, Fault, Match};
use ports::nobody;
use serde_json::{Value, json};
use skip::is_root;
use support::diagnosis::{Diagnosis, diagnose};
use support::{Ended, Stand, quiet, run, shows_nothing_of};
use tempfile::TempDir;
use yardstick::in_time;

/// A sandbox, and hosts that are played by directories of their own.
struct Hosts {
    stand: Stand,
    dirs: Vec<TempDir>,
    stores: String,
}

impl Hosts {
    fn one() -> Hosts {
        Hosts::with(1, "", Config::default())
    }

    /// `stores` begins with a comma, if there are any.
    fn with(number: usize, stores: &str, config: Config) -> Hosts {
        let dir = |_| {
            let dir = tempfile::Builder::new()
                .prefix("doctor-test-")
                .tempdir_in("/dev/shm");
            let dir = dir.unwrap();
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o2770)).unwrap();
            dir
        };
        Hosts {
            stand: Stand::with(config),
            dirs: (0..number).map(dir).collect(),
            stores: stores.to_owned(),
        }
    }

    fn share(&self, host: usize) -> String {
        format!("host:{}{}", self.dirs[host].path().display(), self.stores)
    }

    /// The command as a process of that host.
    fn command(&self, host: usize, arguments: &[&str]) -> Command {
        let mut command = self.stand.pay88(arguments);
        command.env("EIGHTY_EIGHT_PAY_SHARE", self.share(host));
        command
    }

    fn run(&self, host: usize, arguments: &[&str]) -> Ended {
        quiet(run(self.command(host, arguments)))
    }

    fn doctor(&self, host: usize) -> Diagnosis {
        diagnose(self.command(host, &["doctor", "--json"]))
    }

    /// What `--reset` says, and its status: the checks of its tiers.
    fn reset(&self, host: usize) -> (i32, Vec<Value>) {
        let ended = self.run(host, &["doctor", "--reset", "--json"]);
        let report = ended.json();
        let checks = report["checks"].as_array().unwrap();
        let of_tier = |check: &&Value| check["name"] == "host" || check["name"] == "store";
        (
            ended.status,
            checks.iter().filter(of_tier).cloned().collect(),
        )
    }

    fn requested(&self) -> u64 {
        self.stand.sandbox.counters().tokens_requested
    }
}

fn said(check: &Value, pieces: &[&str]) {
    for piece in pieces {
        assert!(
            check["detail"].as_str().unwrap().contains(piece),
            "{piece}: {check}"
        );
    }
}

fn number(tier: &Value, name: &str) -> f64 {
    tier[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name}: {tier}"))
}

/// `pay88 doctor --json` after a shell has made a machine of another kind, in mount and process namespaces of its own.
fn on_machine(stand: &Stand, share: &str, script: &str) -> Ended {
    let mut command = Command::new("unshare");
    let script = format!("set -e; {script}\nexec \"$0\" doctor --json");
    command
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            &script,
        ])
        .arg(env!("CARGO_BIN_EXE_pay88"))
        .env_clear();
    for (name, value) in stand.pay88(&[]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("EIGHTY_EIGHT_PAY_SHARE", share);
    quiet(run(command))
}

#[test]
fn the_host_says_where_its_token_is_and_what_is_left() {
    let hosts = Hosts::one();
    assert_eq!(hosts.run(0, &["token"]).status, 0);
    let diagnosis = hosts.doctor(0);
    let dir = hosts.dirs[0].path().to_str().unwrap();
    diagnosis
        .expect("token", "passed", &["shared"])
        .passes("jwt", "call")
        .expect(
            "host",
            "passed",
            &[
                dir,
                "a token, asked for",
                "9 tokens left in this minute, 99 in this hour",
            ],
        );
    assert_eq!(hosts.requested(), 1, "the doctor needed none of its own");

    let [tier] = diagnosis.tiers.as_slice() else {
        panic!("{:?}", diagnosis.tiers);
    };
    assert!(
        fs::metadata(tier["place"].as_str().unwrap())
            .unwrap()
            .is_file()
    );
    let (age, left) = (number(tier, "token_age"), number(tier, "token_valid_for"));
    assert!(
        age > 0.0 && left > 0.0 && (49.9..=50.0).contains(&(age + left)),
        "{tier}"
    );
    assert_eq!(
        (&tier["budget_left_minute"], &tier["budget_left_hour"]),
        (&json!(9), &json!(99))
    );
    assert_eq!(
        (&tier["kind"], &tier["error"], &tier["hold"]),
        (&json!("host"), &json!(null), &json!(null))
    );
}

#[test]
fn a_process_that_shares_nothing_is_told_so() {
    let stand = Stand::start();
    diagnose(stand.pay88(&["doctor", "--json"]))
        .passes("api_key", "call")
        .expect("process", "passed", &["nothing is shared"]);
    let reset = stand.run(&["doctor", "--reset"]);
    assert_eq!(reset.status, 0);
    assert!(
        reset.out.contains("process      nothing is shared"),
        "{reset:?}"
    );
}

#[test]
fn nothing_is_made_for_the_report_alone() {
    in_time(|| {
        let store = Daemon::redis(&[]);
        let hosts = Hosts::with(
            1,
            &format!(",redis://127.0.0.1:{}", store.port),
            Config::default(),
        );
        let mut command = hosts.command(0, &["doctor", "--json"]);
        // 88Pay is out of reach, so that no token is asked for.
        let nobody = nobody();
        command.env(
            "EIGHTY_EIGHT_PAY_BASE_URL",
            format!("http://{}", nobody.address),
        );
        let nothing = [
            "no token",
            "10 tokens left in this minute, 100 in this hour",
        ];
        diagnose(command)
            .skips("token", "call")
            .expect("host", "passed", &nothing)
            .expect("store", "passed", &nothing);
        assert_eq!(fs::read_dir(hosts.dirs[0].path()).unwrap().count(), 0);
        assert!(
            store.command("DBSIZE").contains(":0"),
            "{}",
            store.command("DBSIZE")
        );
        let (status, checks) = hosts.reset(0);
        assert_eq!((status, checks.len()), (0, 2));
        assert_eq!(fs::read_dir(hosts.dirs[0].path()).unwrap().count(), 0);
    });
}

#[test]
fn a_429_that_is_remembered_is_shown_and_reset_forgets_it_and_no_count() {
    let hosts = Hosts::one();
    let refusal = Action::status_with(429, &[("Retry-After", "600")]);
    hosts
        .stand
        .sandbox
        .fault(Fault::once(Match::Token, refusal));
    for _ in 0..2 {
        let error = hosts.run(0, &["token", "--json"]).error_json();
        assert_eq!(error["error"]["code"], "rate_limited");
    }
    assert_eq!(
        hosts.requested(),
        1,
        "the second process was told by the first one"
    );
    let diagnosis = hosts.doctor(0);
    diagnosis.skips("jwt", "call").expect(
        "host",
        "warning",
        &[
            "rate_limited is remembered for 5",
            "pay88 doctor --reset",
            "9 tokens left in this minute",
        ],
    );
    let hold = &diagnosis.tiers[0]["hold"];
    assert!(
        hold["class"] == "rate_limited" && number(hold, "left") > 500.0,
        "{hold}"
    );

    let (status, checks) = hosts.reset(0);
    assert_eq!(status, 0);
    said(
        &checks[0],
        &[
            "forgot rate_limited, which held for 5",
            "9 tokens left in this minute, 99 in this hour",
        ],
    );
    assert_eq!(hosts.run(0, &["token"]).status, 0);
    assert_eq!(hosts.requested(), 2);
    hosts.doctor(0).expect(
        "host",
        "passed",
        &["8 tokens left in this minute, 98 in this hour"],
    );
    let (status, checks) = hosts.reset(0);
    assert_eq!(status, 0);
    said(
        &checks[0],
        &["no failure was remembered", "8 tokens left in this minute"],
    );
}

#[test]
fn a_401_that_is_remembered_is_forgotten_too() {
    // It holds for 5 s: where the machine was slower than that nothing was shown.
    for _ in 0..10 {
        let hosts = Hosts::one();
        hosts
            .stand
            .sandbox
            .fault(Fault::once(Match::Token, Action::status(401)));
        let begun = Instant::now();
        let error = hosts.run(0, &["token", "--json"]).error_json();
        assert_eq!(error["error"]["code"], "credentials_rejected");
        let (status, checks) = hosts.reset(0);
        let ended = hosts.run(0, &["token"]);
        if begun.elapsed() < Duration::from_secs(5) {
            assert_eq!((status, ended.status), (0, 0));
            said(&checks[0], &["forgot unauthorized"]);
            assert_eq!(hosts.requested(), 2);
            return;
        }
    }
    panic!("too slow");
}

#[test]
fn reset_does_nothing_without_usable_credentials() {
    let hosts = Hosts::one();
    let mut command = hosts.command(0, &["doctor", "--reset"]);
    command.env("EIGHTY_EIGHT_PAY_MERCHANT_ID", "");
    let ended = quiet(run(command));
    assert_eq!(ended.status, 1);
    assert!(ended.out.contains("skipped  share"), "{}", ended.out);
}

#[test]
fn the_hosts_of_a_fleet_see_one_token_and_reset_frees_all_of_them() {
    in_time(|| {
        let store = Daemon::redis(&["--requirepass", "hunter2hunter2"]);
        let url = format!(",redis://:hunter2hunter2@127.0.0.1:{}", store.port);
        let hosts = Hosts::with(2, &url, Config::default());
        let refusal = Action::status_with(429, &[("Retry-After", "600")]);
        hosts
            .stand
            .sandbox
            .fault(Fault::once(Match::Token, refusal));
        for host in 0..2 {
            let error = hosts.run(host, &["token", "--json"]).error_json();
            assert_eq!(error["error"]["code"], "rate_limited");
        }
        assert_eq!(
            hosts.requested(),
            1,
            "the second host was told by the store"
        );
        let place = format!("redis://127.0.0.1:{}", store.port);
        let ended = hosts.run(1, &["doctor", "--json"]);
        shows_nothing_of(&ended, "hunter2hunter2");
        Diagnosis::of(ended)
            .expect("host", "warning", &["rate_limited is remembered"])
            .expect(
                "store",
                "warning",
                &[
                    &place,
                    "rate_limited is remembered",
                    "9 tokens left in this minute, 99 in this hour",
                ],
            );

        let (status, checks) = hosts.reset(0);
        assert_eq!((status, checks.len()), (0, 2));
        for check in &checks {
            said(
                check,
                &[
                    "forgot rate_limited",
                    "9 tokens left in this minute, 99 in this hour",
                ],
            );
        }
        // The other host looks into the store again within five seconds.
        let begun = Instant::now();
        while hosts.run(1, &["token"]).status != 0 {
            assert!(begun.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(hosts.requested(), 2);
        assert_eq!(hosts.run(0, &["token"]).status, 0);
        assert_eq!(hosts.requested(), 2);
        let diagnosis = hosts.doctor(0);
        diagnosis
            .expect("host", "passed", &["a token, asked for", "knows: 2"])
            .expect(
                "store",
                "passed",
                &["hosts that have it: 2", "8 tokens left in this minute, 98"],
            );
        assert_eq!(diagnosis.tiers[1]["hosts"], 2);
    });
}

#[test]
fn a_store_that_cannot_be_had_is_told_with_the_reason_and_costs_less_than_a_second() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    let nobody = nobody();
    let stores = format!(
        ",redis://user:hunter2hunter2@127.0.0.1:{silent}/3,memcached://{}",
        nobody.address
    );
    let hosts = Hosts::with(1, &stores, Config::default());
    // Once the token is there, all that is waited for is the report's.
    assert_eq!(hosts.run(0, &["token"]).status, 0);
    let rounds = (0..3).map(|_| {
        let mut alone = hosts.command(0, &["doctor", "--json"]);
        alone.env(
            "EIGHTY_EIGHT_PAY_SHARE",
            hosts.share(0).replace(&stores, ""),
        );
        let (without, _) = time(alone);
        let (took, ended) = time(hosts.command(0, &["doctor", "--json"]));
        (took.saturating_sub(without), ended)
    });
    // A busy machine is late now and then: what counts is the middle one.
    let mut rounds: Vec<(Duration, Ended)> = rounds.collect();
    rounds.sort_by_key(|(more, _)| *more);
    let (more, ended) = rounds.swap_remove(1);
    assert!(more < Duration::from_secs(1), "{more:?} more");
    shows_nothing_of(&ended, "hunter2hunter2");
    let diagnosis = Diagnosis::of(ended);
    diagnosis
        .passes("token", "call")
        .expect("host", "passed", &["a token"]);
    let stores: Vec<&Value> = diagnosis
        .checks
        .iter()
        .filter(|c| c["name"] == "store")
        .collect();
    said(
        stores[0],
        &[&format!("redis://127.0.0.1:{silent}/3 cannot be used")],
    );
    said(stores[1], &["memcached://127.0.0.1:", "refused"]);
    assert!(
        stores.iter().all(|store| store["status"] == "warning"),
        "{stores:?}"
    );
    assert!(diagnosis.tiers[1]["error"].is_string() && diagnosis.tiers[1]["hosts"].is_null());
}

#[test]
fn a_store_that_takes_no_writes_or_lacks_a_right_does_not_pass() {
    let nobody = nobody();
    let port = nobody.address.port().to_string();
    let rights = "~pay88:* +eval +time +get +getrange +set +del +pttl +pexpire";
    let user = |rights: &str| -> Vec<String> {
        let words = ["--user", "pay", "on", ">hush-hush-hush"].into_iter();
        words.chain(rights.split(' ')).map(str::to_owned).collect()
    };
    let plain = |settings: &[&str]| settings.iter().map(|&one| one.to_owned()).collect();
    for (settings, login, database, told) in [
        (
            plain(&["--replicaof", "127.0.0.1", &port]),
            "",
            "",
            "READONLY: it is a replica",
        ),
        (
            plain(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]),
            "",
            "",
            "OOM: its memory is full",
        ),
        (user(rights), "pay:hush-hush-hush@", "/2", "+select"),
        (
            user(&rights.replace(" +del", "")),
            "pay:hush-hush-hush@",
            "",
            "+del",
        ),
        (user(rights), "pay:hush-hush-hush@", "", ""),
    ] {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        in_time(|| {
            let store = Daemon::redis(&settings);
            let url = format!(",redis://{login}127.0.0.1:{}{database}", store.port);
            let diagnosis = Hosts::with(1, &url, Config::default()).doctor(0);
            match told {
                "" => diagnosis.expect("store", "passed", &["a token"]),
                told => diagnosis.expect("store", "warning", &["cannot be used", told]),
            };
        });
    }
}

fn time(command: Command) -> (Duration, Ended) {
    let begun = Instant::now();
    let ended = quiet(run(command));
    (begun.elapsed(), ended)
}

#[test]
fn while_the_store_is_away_the_host_says_what_its_part_of_the_budget_is() {
    let two_hosts = || {
        let store = Daemon::redis(&[]);
        let short = Config {
            expires_in: json!(11),
            ..Config::default()
        };
        let hosts = Hosts::with(2, &format!(",redis://127.0.0.1:{}", store.port), short);
        for host in 0..2 {
            assert_eq!(hosts.run(host, &["token"]).status, 0);
        }
        (store, hosts)
    };
    // A host whose store answers late, as on a busy machine, rightly goes on without and knows of no other.
    let (mut store, hosts) = (0..5)
        .map(|_| two_hosts())
        .find(|(_, hosts)| hosts.requested() == 1)
        .expect("one token for both");
    let common = 1;
    store.kill();
    // The token is handed out for 9 s.
    thread::sleep(Duration::from_millis(9_100));
    let diagnosis = hosts.doctor(1);
    diagnosis
        .expect("host", "passed", &["this host's share, one of 2"])
        .expect("store", "warning", &["cannot be used"]);
    let tier = &diagnosis.tiers[0];
    assert_eq!(
        (&tier["budget_split"], &tier["hosts"]),
        (&json!(2), &json!(2))
    );
    // What both knew of is off, each has half of the rest, and this one has taken from its half.
    let own = hosts.requested() - common;
    assert!(own > 0);
    assert_eq!(tier["budget_left_minute"], (10 - common) / 2 - own);
    assert_eq!(tier["budget_left_hour"], (100 - common) / 2 - own);
}

#[test]
fn a_directory_that_is_no_memory_is_told_with_what_it_has_to_be() {
    let stand = Stand::start();
    let mut command = stand.pay88(&["doctor", "--json"]);
    command.env("EIGHTY_EIGHT_PAY_SHARE", "host:/proc");
    diagnose(command).passes("token", "call").expect(
        "host",
        "warning",
        &["/proc is not in memory", "has to be on a tmpfs"],
    );
}

#[test]
fn a_machine_without_memory_file_system_is_told_which_setting_helps() {
    if !is_root() {
        return;
    }
    let stand = Stand::start();
    for script in [
        "mount --bind /proc /dev/shm",
        "mount --bind /var/empty /dev",
    ] {
        // Of the second machine there is no /dev/shm at all.
        let script = script.replace("/var/empty", stand.directory.path().to_str().unwrap());
        let ended = on_machine(&stand, "host", &script);
        Diagnosis::of(ended).passes("token", "call").expect(
            "host",
            "warning",
            &[
                "/dev/shm",
                "Nothing can be shared on this host",
                "Mount a tmpfs at /dev/shm",
            ],
        );
    }
}

#[test]
fn where_dev_shm_is_no_memory_the_users_runtime_directory_is_used_if_it_is_memory() {
    if !is_root() {
        return;
    }
    let no_shm = |runtime_dir: &Path| {
        format!(
            "mount --bind /proc /dev/shm; export XDG_RUNTIME_DIR={}",
            runtime_dir.display()
        )
    };
    let run = tempfile::tempdir().unwrap();
    let run = run.path();
    let script = format!(
        "{}; mount -t tmpfs none $XDG_RUNTIME_DIR; \"$0\" token >&2",
        no_shm(run)
    );
    let stand = Stand::start();
    let diagnosis = Diagnosis::of(on_machine(&stand, "host", &script));
    let file = format!("{}/pay88-0/pay88-", run.display());
    diagnosis.expect("token", "passed", &["shared"]).expect(
        "host",
        "passed",
        &[&file, "a token, asked for"],
    );
    assert_eq!(stand.sandbox.counters().tokens_requested, 1);

    // As in the host's own tests: what was built lies on a disk.
    let disk = Path::new(env!("CARGO_BIN_EXE_pay88")).parent().unwrap();
    let ended = on_machine(&Stand::start(), "host", &no_shm(disk));
    let reasons = [
        "/dev/shm is not in memory",
        &format!("{} is not in memory", disk.display()),
        "Nothing can be shared on this host",
    ];
    Diagnosis::of(ended)
        .passes("token", "call")
        .expect("host", "warning", &reasons);
    assert!(!disk.join("pay88-0").exists());
}

#[test]
fn no_directory_is_made_for_the_report_alone() {
    if !is_root() {
        return;
    }
    let nobody = nobody();
    let script = format!(
        "mount -t tmpfs none /dev/shm
         EIGHTY_EIGHT_PAY_BASE_URL=http://{} \"$0\" doctor >&2 || [ $? = 1 ]
         [ -z \"$(ls -A /dev/shm)\" ]",
        nobody.address
    );
    let ended = on_machine(&Stand::start(), "host", &script);
    assert!(ended.err.contains("/dev/shm/pay88-0/pay88-"), "{ended:?}");
    Diagnosis::of(ended).expect("host", "passed", &["a token"]);
}

#[test]
fn other_users_who_share_among_themselves_are_named() {
    if !is_root() {
        return;
    }
    let stand = Stand::start();
    // One has a hidden name, since somebody else has taken the first.
    let script = "mount -t tmpfs none /dev/shm; cd /dev/shm; hidden=pay88-0123456789abcdef0123456789abcdef; \
         mkdir pay88-61001 pay88-61002 $hidden pay88-x other; \
         chown 61001 pay88-61001; chown 61003 pay88-61002; chown 61005 $hidden; chown 61006 other";
    let diagnosis = Diagnosis::of(on_machine(&stand, "host", script));
    diagnosis
        .expect("host", "passed", &["/dev/shm/pay88-0/pay88-"])
        .expect(
            "others",
            "warning",
            &["of their own: 61001, 61005", "share=host:<dir>"],
        );
    assert_eq!(diagnosis.tiers[0]["other_users"], json!([61001, 61005]));
}

#[test]
fn who_has_taken_a_name_is_told() {
    if !is_root() {
        return;
    }
    let stand = Stand::start();
    let script = "mount -t tmpfs none /dev/shm; cd /dev/shm; mkdir pay88-0; chown 61002 pay88-0";
    let diagnosis = Diagnosis::of(on_machine(&stand, "host", script));
    diagnosis
        .expect("host", "passed", &["/dev/shm/pay88-", "a token"])
        .expect(
            "names",
            "warning",
            &["/dev/shm/pay88-0 belongs to user 61002", "the next name"],
        );
    let taken = json!([{"path": "/dev/shm/pay88-0", "by": 61002}]);
    assert_eq!(diagnosis.tiers[0]["taken_names"], taken);
}

#[test]
fn a_container_is_told_how_it_shares_with_others() {
    if !is_root() {
        return;
    }
    let stand = Stand::start();
    let ended = on_machine(&stand, "host", "mount -t tmpfs none /dev/shm");
    Diagnosis::of(ended)
        .expect("host", "passed", &["9 tokens left"])
        .expect(
            "container",
            "passed",
            &["the same /dev/shm/pay88-0", "share=host:<dir>"],
        );
    // With a store it needs nothing.
    let ended = on_machine(
        &stand,
        "host,redis://127.0.0.1:1",
        "mount -t tmpfs none /dev/shm",
    );
    let named = |check: &&Value| check["name"] == "container";
    assert_eq!(Diagnosis::of(ended).checks.iter().find(named), None);
}

#[test]
fn a_full_memory_file_system_is_told() {
    if !is_root() {
        return;
    }
    let stand = Stand::start();
    let script = "mount -t tmpfs -o size=8k none /dev/shm; ! head -c 9000 /dev/zero >/dev/shm/full";
    Diagnosis::of(on_machine(&stand, "host", script))
        .passes("token", "call")
        .expect("host", "warning", &["No space left on device"]);
}
