//! `pay88 request`: makes one authenticated call, and writes the answer's body unchanged to standard output.

use std::fs;
use std::io::{self, Read};
use std::process::ExitCode;

use clap::Args;
use pay88::{Error, Response, TokenManager};

use crate::options::Options;
use crate::output::{self, Result};

/// The exit status that curl has for such an answer.
const STATUS_400_OR_ABOVE: u8 = 22;

/// Make an authenticated call and print the answer's body.
///
/// A call is sent again only if the first one cannot have been carried out (a 401, a 429, nothing was sent), or if it
/// only reads: GET, HEAD, OPTIONS, POST /api/balance, and calls marked with --safe-to-repeat.
#[derive(Args)]
#[command(after_help = "\
Exit status: 0 an answer below 400, 22 an answer of 400 or above (its body is printed as well, unless --fail is given), \
1 no answer, 2 the command line is wrong, 3 an answer that cannot be written to standard output, which then goes to standard \
error. Errors go to standard error with code, message, hint and outcome: `not_sent` (safe to repeat), `unknown` (look the \
transaction up first) or `answered`.

Examples:
  pay88 request POST /api/transactions/charges -d @charge.json
  pay88 request POST /api/balance -p id=MCH-COL-29ZTP4 -i")]
pub(crate) struct Request {
    /// GET, POST, PUT, PATCH, DELETE or HEAD.
    method: String,

    /// The path below the base URL, such as /api/transactions/charges.
    endpoint: String,

    /// The body: a text, `@FILE`, or `@-` for standard input. It is sent as application/json unless -H says
    /// otherwise.
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,

    /// A header, `Name: value`; may be repeated. The headers of the credential and of the connection are refused.
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,

    /// A parameter of the query, `name=value`; may be repeated. It is percent-encoded.
    #[arg(short, long = "param", value_name = "PARAM", value_parser = param)]
    params: Vec<(String, String)>,

    /// Says that sending the call twice does no harm, so that it is repeated after a fault. Never for a charge.
    #[arg(long)]
    safe_to_repeat: bool,

    /// Prints the status and the headers before the body.
    #[arg(short, long)]
    include: bool,

    /// Treats an answer of 400 or above as an error: prints its message and a hint instead of its body.
    #[arg(short, long, conflicts_with = "include")]
    fail: bool,

    /// Prints errors as one line of JSON on standard error.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    options: Options,
}

impl Request {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let manager = TokenManager::new(self.options.config()?)?;
        let answer = manager.make_request(self.request()?)?;
        let status = answer.status();
        if self.fail
            && let Err(error) = answer.clone().error_for_status()
        {
            output::report(&error, self.json);
        } else {
            let shown = self.shown(&answer);
            output::print(&shown).map_err(|failure| failure.keeping(&shown, Some(status)))?;
        }
        Ok(match status {
            ..400 => ExitCode::SUCCESS,
            400.. => ExitCode::from(STATUS_400_OR_ABOVE),
        })
    }

    fn request(&self) -> Result<pay88::Request> {
        let mut request =
            pay88::Request::new(&self.method, &self.endpoint).safe_to_repeat(self.safe_to_repeat);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in &self.params {
            request = request.param(name, value);
        }
        if let Some(data) = &self.data {
            request = request.body(body(data)?);
        }
        Ok(request)
    }

    /// The body, after the status and headers if these were asked for.
    fn shown(&self, answer: &Response) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.include {
            bytes.extend(format!("HTTP {}\n", answer.status()).into_bytes());
            for (name, value) in answer.headers() {
                bytes.extend([name.as_bytes(), b": ", value, b"\n"].concat());
            }
            bytes.push(b'\n');
        }
        bytes.extend(answer.body());
        bytes
    }
}

/// The bytes that `-d` stands for.
fn body(data: &str) -> Result<Vec<u8>> {
    let Some(file) = data.strip_prefix('@') else {
        return Ok(data.as_bytes().to_vec());
    };
    let read = if file == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    Ok(read.map_err(|error| {
        Error::invalid(
            format!("The body in {file} cannot be read: {error}."),
            "Check the name after the @, and that you may read the file.",
        )
    })?)
}

fn header(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("it is not `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn param(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is not `name=value`")?;
    Ok((name.to_owned(), value.to_owned()))
}
