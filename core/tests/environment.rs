//! What the environment decides and what it does not: each case is a process of its own, this test once more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use pay88::{Config, OPTIONS, TokenManager};
use pay88_sandbox::{Sandbox, TEST_KEY, TEST_MERCHANT};

/// What the child does.
const ROLE: &str = "PAY88_TEST_ROLE";

/// The child: builds a manager as it is told, asks for a token, and says what came of it.
#[test]
#[ignore = "the other tests start it"]
fn child() {
    let role = std::env::var(ROLE).unwrap();
    let (environment, options) = role.split_once(' ').unwrap_or((&role, ""));
    let mut config = match environment {
        "read" => Config::new(),
        // As a language does whose environment is its own.
        "given" | "given_as_text" => {
            let mut config = Config::without_environment();
            for (name, value) in std::env::vars_os() {
                let name = name.to_string_lossy();
                match environment {
                    "given" => config.set_variable(&name, &value),
                    _ => config.set_variable(&name, &*value.to_string_lossy()),
                }
            }
            config
        }
        // It has another one than the process.
        "other" => {
            let mut config = Config::without_environment();
            config.set_variable("EIGHTY_EIGHT_PAY_API_KEY", "");
            config.set_variable("EIGHTY_EIGHT_PAY_API_KEY", TEST_KEY);
            config
        }
        _ => Config::without_environment(),
    };
    for option in options.split_whitespace() {
        let (name, value) = option.split_once('=').unwrap();
        config.set(name, value).unwrap();
    }
    let told = TokenManager::new(config).and_then(|manager| {
        if let Some(tier) = manager.tiers().iter().find(|tier| tier.kind == "store") {
            println!("STORE {:?}", tier.state);
        }
        manager.get_token()
    });
    match told {
        Ok(_) => println!("TOKEN"),
        Err(error) => println!("ERROR {error}"),
    }
}

/// What a child says with this role and these variables, and nothing else in its environment.
fn said(program: &Path, role: &str, variables: &[(&str, &OsStr)]) -> String {
    let done = Command::new("timeout")
        .args(["-k", "5", "30"])
        .arg(program)
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env_clear()
        .env(ROLE, role)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}");
    said
}

fn here(role: &str, variables: &[(&str, &OsStr)]) -> String {
    said(&std::env::current_exe().unwrap(), role, variables)
}

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

/// A sandbox, the file of its authority, and the options that lead there with nothing shared.
struct Harness {
    sandbox: Sandbox,
    directory: PathBuf,
    options: String,
}

impl Harness {
    fn new(name: &str) -> Harness {
        let sandbox = Sandbox::start(pay88_sandbox::Config::default()).unwrap();
        let directory = std::env::temp_dir().join(format!("pay88-{name}-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        sandbox.write_ca(directory.join("ca.pem")).unwrap();
        let base_url = sandbox.base_url();
        let options = format!(
            "api_key={TEST_KEY} merchant_id={TEST_MERCHANT} base_url={base_url} share=process"
        );
        Harness {
            sandbox,
            directory,
            options,
        }
    }

    fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn whom_to_trust_is_said_by_the_environment_only_where_it_is_read() {
    let harness = Harness::new("trust");
    let (file, directory) = (harness.ca(), harness.directory.clone());
    for (name, value) in [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", directory)] {
        let variables = [(name, value.as_os_str())];
        let read = here(&format!("read {}", harness.options), &variables);
        assert!(read.contains("TOKEN"), "{name}: {read}");
        let ignored = here(&format!("ignored {}", harness.options), &variables);
        assert!(
            ignored.contains("ERROR tls_failed") || ignored.contains("no usable certificate"),
            "{name}: {ignored}"
        );
    }
    assert_eq!(harness.sandbox.counters().tokens_issued, 2);
}

#[test]
fn whom_a_store_is_taken_for_is_said_by_the_environment_only_where_it_is_read() {
    let harness = Harness::new("store-trust");
    // The sandbox is no store, and its certificate is as good as one's.
    let store = harness.sandbox.base_url().replace("https://", "rediss://");
    let options = harness
        .options
        .replace("share=process", &format!("share={store}"));
    let ca = format!("ca_bundle={}", harness.ca().display());
    let (file, runtime) = (harness.ca(), harness.directory.clone());
    let variables = [
        ("SSL_CERT_FILE", file.as_os_str()),
        ("XDG_RUNTIME_DIR", runtime.as_os_str()),
    ];
    let refused =
        |said: &str| said.contains("UnknownIssuer") || said.contains("no usable certificate");
    // A store is given 250 ms, which a busy machine may take away.
    let asked = |role: &str| {
        let mut told = (0..100).map(|_| here(role, &variables));
        let in_time = |said: &String| !said.contains("the time for the call ran out");
        told.find(in_time).unwrap()
    };
    let read = asked(&format!("read {options} {ca}"));
    assert!(read.contains("STORE Err") && !refused(&read), "{read}");
    let ignored = asked(&format!("ignored {options} {ca}"));
    assert!(
        ignored.contains("STORE Err") && refused(&ignored),
        "{ignored}"
    );
}

#[test]
fn an_environment_that_is_given_is_read_in_place_of_that_of_the_process() {
    let harness = Harness::new("given");
    let (key, file) = (os(TEST_KEY), harness.ca());
    let base_url = harness.sandbox.base_url();
    let variables = [
        ("EIGHTY_EIGHT_PAY_API_KEY", key),
        ("EIGHTY_EIGHT_PAY_BASE_URL", os(&base_url)),
        ("EIGHTY_EIGHT_PAY_SHARE", os("process")),
        ("SSL_CERT_FILE", file.as_os_str()),
    ];
    let role = format!("given merchant_id={TEST_MERCHANT}");
    assert!(here(&role, &variables).contains("TOKEN"));
    let bytes = OsString::from_vec(b"sk_test_\xff".to_vec());
    let told = here(&role, &[("EIGHTY_EIGHT_PAY_API_KEY", &bytes)]);
    assert!(told.contains("API_KEY is not UTF-8"), "{told}");
    // Text in which bytes were replaced is no value either, and nobody looks what the process has.
    let as_text = format!("given_as_text merchant_id={TEST_MERCHANT}");
    let told = here(&as_text, &[("EIGHTY_EIGHT_PAY_API_KEY", &bytes)]);
    assert!(
        told.contains("ERROR config_invalid") && !told.contains("not UTF-8"),
        "{told}"
    );
    let told = here(&role, &[("EIGHTY_EIGHT_PAY_API_KE", key)]);
    assert!(
        told.contains("Did you mean EIGHTY_EIGHT_PAY_API_KEY?"),
        "{told}"
    );

    // Nothing comes from the process beside it: no merchant ID, and nobody to trust.
    let told = here(
        "other",
        &[("EIGHTY_EIGHT_PAY_MERCHANT_ID", os("MCH-COL-1"))],
    );
    assert!(told.contains("merchant_id is missing"), "{told}");
    let role = format!("other merchant_id={TEST_MERCHANT} base_url={base_url} share=process");
    let told = here(&role, &[("SSL_CERT_FILE", file.as_os_str())]);
    assert!(
        told.contains("ERROR tls_failed") || told.contains("no usable certificate"),
        "{told}"
    );
}

#[test]
fn a_program_with_rights_that_its_user_does_not_have_reads_no_environment() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        assert!(
            std::env::var_os("PAY88_TEST_NOTHING_SKIPPED").is_none(),
            "it needs root"
        );
        eprintln!("left out: it needs root");
        return;
    }
    let harness = Harness::new("setuid");
    fs::set_permissions(&harness.directory, fs::Permissions::from_mode(0o755)).unwrap();
    let program = harness.directory.join("setuid");
    // Not by this process: a child that another thread starts meanwhile has what is written open, and it cannot be run.
    let mut copy = Command::new("cp");
    copy.arg(std::env::current_exe().unwrap()).arg(&program);
    assert!(copy.status().unwrap().success());
    // Nobody's, so that the program has another user than the one who starts it.
    chown(&program, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();

    let file = harness.ca();
    let variables = [("SSL_CERT_FILE", file.as_os_str())];
    let trust = said(&program, &format!("read {}", harness.options), &variables);
    assert!(
        trust.contains("ERROR tls_failed") || trust.contains("no usable certificate"),
        "{trust}"
    );

    let variables = [
        ("EIGHTY_EIGHT_PAY_API_KEY", os(TEST_KEY)),
        ("EIGHTY_EIGHT_PAY_BASEURL", os("https://pay.example")),
    ];
    let missing = said(&program, "read merchant_id=MCH-COL-1", &variables);
    assert!(missing.contains("The api_key is missing."), "{missing}");
    assert!(missing.contains("setcap"), "{missing}");
    let missing = said(&program, "given merchant_id=MCH-COL-1", &variables);
    assert!(missing.contains("The api_key is missing."), "{missing}");
    assert!(missing.contains("setcap"), "{missing}");
    assert_eq!(harness.sandbox.counters().tokens_issued, 0);
}

#[test]
fn a_variable_that_is_no_text_is_refused_by_its_name_for_every_option() {
    let bytes = OsString::from_vec(b"/etc/ssl/\xff.pem".to_vec());
    let own = "api_key=sk_test_x1 merchant_id=MCH-COL-1 base_url=https://pay.example share=process";
    let variables: Vec<String> = OPTIONS
        .iter()
        .map(|option| option.environment_variable())
        .collect();
    for (variable, option) in variables.iter().zip(OPTIONS) {
        // Given, an option does not come from there.
        let given: Vec<&str> = own
            .split(' ')
            .filter(|one| !one.starts_with(&format!("{}=", option.name)))
            .collect();
        let told = here(&format!("read {}", given.join(" ")), &[(variable, &bytes)]);
        let expected =
            format!("ERROR config_invalid: The environment variable {variable} is not UTF-8.");
        assert!(told.contains(&expected), "{told}");
    }
    for variable in ["HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        let told = here(&format!("read {own}"), &[(variable, &bytes)]);
        assert!(
            told.contains(&format!("variable {variable} is not UTF-8")),
            "{told}"
        );
    }
    let proxy = os("http://127.0.0.1:9");
    let told = here(
        &format!("read {own}"),
        &[("HTTPS_PROXY", proxy), ("NO_PROXY", &bytes)],
    );
    assert!(told.contains("variable NO_PROXY is not UTF-8"), "{told}");
}

#[test]
fn a_mistyped_variable_is_refused_unless_its_option_has_a_value() {
    let own = "api_key=sk_test_x1 merchant_id=MCH-COL-1 share=process timeout=0.2 connect_timeout=0.2 proxy=http://127.0.0.1:9";
    for (typed, meant) in [
        ("BASEURL", "BASE_URL"),
        ("BASE_URI", "BASE_URL"),
        ("TOKENS_PER_HOURS", "TOKENS_PER_HOUR"),
        ("SHARED", "SHARE"),
    ] {
        let (typed, meant) = (
            format!("EIGHTY_EIGHT_PAY_{typed}"),
            format!("EIGHTY_EIGHT_PAY_{meant}"),
        );
        let told = here(
            &format!("read {}", own.replace("share=process", "")),
            &[(&typed, os("7"))],
        );
        assert!(
            told.contains(&format!(
                "ERROR config_invalid: The environment variable {typed} is set"
            )),
            "{told}"
        );
        assert!(told.contains(&format!("Did you mean {meant}?")), "{told}");
    }
    let told = here(
        "read merchant_id=MCH-COL-1",
        &[("EIGHTY_EIGHT_PAY_APIKEY", os("sk_test_secret_value"))],
    );
    assert!(
        told.contains("Did you mean EIGHTY_EIGHT_PAY_API_KEY?"),
        "{told}"
    );
    assert!(!told.contains("secret_value"), "{told}");

    // A program's own: far from every option, near one that has a value, or not read at all.
    for (name, value) in [
        ("EIGHTY_EIGHT_PAY_WEBHOOK_SECRET", "x"),
        ("EIGHTY_EIGHT_PAY_API_KEY_2", "sk_test_x2"),
        ("EIGHTY_EIGHT_PAY_TIME_OUT", "10"),
        ("EIGHTY_EIGHT_PAY_STAGE", "x"),
        ("EIGHTY_EIGHT_PAY_X@Y", "x"),
        ("EIGHTY_EIGHT_PAY_sk_test_0123", "x"),
    ] {
        let told = here(&format!("read {own}"), &[(name, os(value))]);
        assert!(!told.contains("config_invalid"), "{name}: {told}");
    }
    let told = here(
        &format!("ignored {own}"),
        &[("EIGHTY_EIGHT_PAY_BASEURL", os("x"))],
    );
    assert!(!told.contains("config_invalid"), "{told}");
}

#[test]
fn a_blank_variable_counts_as_unset_for_every_option() {
    let blank: Vec<String> = OPTIONS
        .iter()
        .map(|option| option.environment_variable())
        .chain(
            [
                "HTTPS_PROXY",
                "NO_PROXY",
                "SSL_CERT_FILE",
                "SSL_CERT_DIR",
                "XDG_RUNTIME_DIR",
            ]
            .map(String::from),
        )
        .collect();
    let harness = Harness::new("blank");
    let ca = format!("ca_bundle={}", harness.ca().display());
    let variables: Vec<(&str, &OsStr)> =
        blank.iter().map(|name| (name.as_str(), os(" "))).collect();
    let told = here(&format!("read {} {ca}", harness.options), &variables);
    assert!(told.contains("TOKEN"), "{told}");
    // Not given either, the required ones are missing.
    let told = here("read share=process", &variables);
    assert!(told.contains("The api_key is missing"), "{told}");
}

#[test]
fn a_proxy_of_the_environment_is_left_out_by_the_word_none() {
    // Nothing listens on port 9; a name under .invalid has no address.
    let options = "api_key=sk_test_x1 merchant_id=MCH-COL-1 base_url=https://pay.invalid share=process timeout=5";
    let through = [("HTTPS_PROXY", os("http://127.0.0.1:9"))];
    let told = here(&format!("read {options}"), &through);
    assert!(told.contains("127.0.0.1:9"), "{told}");
    for (role, variables) in [
        (format!("read {options} proxy=none"), through.to_vec()),
        (
            format!("read {options}"),
            [through[0], ("EIGHTY_EIGHT_PAY_PROXY", os("none"))].to_vec(),
        ),
    ] {
        let told = here(&role, &variables);
        assert!(
            told.contains("pay.invalid") && !told.contains("127.0.0.1:9"),
            "{told}"
        );
    }
    // Blank, it says nothing, as every variable.
    let told = here(
        &format!("read {options}"),
        &[through[0], ("EIGHTY_EIGHT_PAY_PROXY", os(""))],
    );
    assert!(told.contains("127.0.0.1:9"), "{told}");
}
