//! The command line.

use crate::job::Failure;

const ROUNDS: usize = 15;
const FEWEST_ROUNDS: usize = 9;

const MINUTES: u64 = 5;

/// What is measured, and how often.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// For how long processes are watched that ask for tokens.
    pub(crate) minutes: u64,
    /// The directory to write the results to.
    pub(crate) results: Option<String>,
    /// A part of the titles of those groups that are measured.
    pub(crate) only: String,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Options, Failure> {
        let mut options = Options {
            rounds: ROUNDS,
            minutes: MINUTES,
            results: None,
            only: String::new(),
        };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} needs a value", pair[0]).into());
            };
            match name.as_str() {
                "--rounds" => options.rounds = value.parse()?,
                "--minutes" => options.minutes = value.parse()?,
                "--results" => options.results = Some(value.clone()),
                "--only" => options.only = value.clone(),
                _ => return Err(format!("there is no option {name}").into()),
            }
        }
        if options.rounds < FEWEST_ROUNDS {
            return Err(format!("at least {FEWEST_ROUNDS} rounds are needed").into());
        }
        Ok(options)
    }
}
