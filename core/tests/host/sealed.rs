//! What lies in memory for all of this user's processes shows nothing.

use std::fs;

use pay88_sandbox::TEST_KEY;

use crate::harness::Harness;

#[test]
fn neither_token_nor_session_nor_key_nor_merchant_occur_in_any_file() {
    let harness = Harness::new();
    let mut worker = harness.worker();
    let answer = worker.ask("pair");
    let merchant = harness.options["merchant_id"].as_str().unwrap();
    let (token, session) = (
        answer["token"].as_str().unwrap(),
        answer["session"].as_str().unwrap(),
    );
    let mut searched = 0;
    for entry in fs::read_dir(&harness.dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = [fs::read(&path).unwrap(), path.to_str().unwrap().into()].concat();
        searched += bytes.len();
        for secret in [
            token,
            session,
            TEST_KEY,
            merchant,
            &token[..12],
            "access_token",
        ] {
            let hidden = !bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(hidden, "{} of {}", path.display(), secret.len());
        }
    }
    assert!(searched >= 4096);
}
