//! `pay88 token`: gets a token, and shows it only if asked to.

use std::process::ExitCode;

use clap::Args;
use pay88::{TokenManager, mask};
use serde_json::json;

use crate::options::Options;
use crate::output::{self, Result};

/// Get a token and its session ID.
///
/// Both are masked unless --show is given: whoever has them can act in your name for a minute. All processes of this
/// user on this host share the token as long as it lives. A new token costs one of the 10 a minute and 100 an hour
/// that 88Pay grants to a key.
#[derive(Args)]
#[command(
    after_help = "Exit status: 0 a token was granted, 1 none was, 2 the command line is wrong, 3 it cannot be printed."
)]
pub(crate) struct Token {
    /// Prints JSON: `access_token`, `session_id`, `expires_in`, and `valid_for` in seconds. The first two are masked
    /// unless --show is given. Errors are JSON as well, on standard error.
    #[arg(long)]
    pub(crate) json: bool,

    /// Shows the token and the session ID unmasked. Keep them out of logs and files.
    #[arg(long)]
    show: bool,

    #[command(flatten)]
    options: Options,
}

impl Token {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let token = TokenManager::new(self.options.config()?)?.get_token()?;
        output::print(self.shown(&token, self.show)).map_err(|failure| {
            // Not shown on standard error, because that goes into logs.
            failure.keeping(self.shown(&token, false).as_bytes(), None)
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn shown(&self, token: &pay88::Token, whole: bool) -> String {
        let shown = |secret: &str| match whole {
            true => secret.to_owned(),
            false => mask(secret),
        };
        let (access_token, session_id) = (shown(token.access_token()), shown(token.session_id()));
        let (expires_in, valid_for) = (token.expires_in(), token.valid_for().as_secs_f64());
        if self.json {
            let token = json!({
                "access_token": access_token,
                "session_id": session_id,
                "expires_in": expires_in,
                "valid_for": valid_for,
            });
            format!("{token}\n")
        } else {
            format!(
                "access_token  {access_token}\nsession_id    {session_id}\n\
                 expires_in    {expires_in} s\nvalid_for     {valid_for:.1} s\n"
            )
        }
    }
}
