//! The options of the library's table, as options of the commands that need a manager.
//!
//! A secret is read from a file or from its environment variable: other users of the machine can see a command line,
//! and it stays in the shell's history.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use pay88::{Config, Error, OPTIONS, OptionKind, OptionSpec, Result};
use zeroize::Zeroizing;

/// The options that were given on the command line.
#[derive(Clone)]
pub(crate) struct Options(Vec<Given>);

#[derive(Clone)]
struct Given {
    name: &'static str,
    argument: Argument,
}

#[derive(Clone)]
enum Argument {
    Value(String),
    /// The value is in this file.
    File(PathBuf),
}

/// The text of an option, unchanged, and where it came from.
pub(crate) struct Raw {
    pub(crate) text: Zeroizing<String>,
    /// A command-line option or an environment variable.
    pub(crate) source: String,
}

impl Options {
    /// The configuration for a manager: these options, otherwise the environment, otherwise the defaults.
    ///
    /// # Errors
    /// `config_invalid` if a file cannot be read.
    pub(crate) fn config(&self) -> Result<Config> {
        let mut config = Config::new();
        for given in &self.0 {
            config.set(given.name, &given.text()?)?;
        }
        Ok(config)
    }

    /// The text of one option, if it is set anywhere.
    ///
    /// # Errors
    /// `config_invalid` if its file cannot be read, or if its variable is not UTF-8.
    pub(crate) fn raw(&self, option: &OptionSpec) -> Result<Option<Raw>> {
        if let Some(given) = self.0.iter().find(|given| given.name == option.name) {
            return Ok(Some(Raw {
                text: given.text()?,
                source: format!("--{}", long(option)),
            }));
        }
        let found = Config::new().environment_text(option.name)?;
        Ok(found.map(|text| Raw {
            text,
            source: option.environment_variable(),
        }))
    }
}

impl Given {
    fn text(&self) -> Result<Zeroizing<String>> {
        match &self.argument {
            Argument::Value(text) => Ok(Zeroizing::new(text.clone())),
            Argument::File(path) => read(self.name, path),
        }
    }
}

fn read(name: &str, path: &Path) -> Result<Zeroizing<String>> {
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| {
            Error::invalid(
                format!(
                    "The file {} with the {name} cannot be read: {error}.",
                    path.display()
                ),
                "Check its name, and that you may read it.",
            )
        })
}

/// The option's name on the command line, without the dashes before it.
fn long(option: &OptionSpec) -> String {
    let name = option.name.replace('_', "-");
    match option.kind {
        OptionKind::Secret => format!("{name}-file"),
        _ => name,
    }
}

fn argument(option: &OptionSpec) -> Arg {
    let value_name = match option.kind {
        OptionKind::Text => "TEXT",
        OptionKind::Seconds => "SECONDS",
        OptionKind::Count => "N",
        OptionKind::Bytes => "BYTES",
        OptionKind::Secret | OptionKind::Path => "FILE",
    };
    let is_secret = option.kind == OptionKind::Secret;
    let help = format!(
        "{}{} [environment: {}, default: {}]",
        if is_secret {
            "Reads this from a file: "
        } else {
            ""
        },
        option.summary,
        option.environment_variable(),
        option.default
    );
    let argument = Arg::new(option.name)
        .long(long(option))
        .value_name(value_name)
        .help(help)
        .help_heading("Options of the library");
    if is_secret {
        argument.value_parser(value_parser!(PathBuf))
    } else {
        argument.value_parser(value_parser!(String))
    }
}

impl Args for Options {
    fn augment_args(command: Command) -> Command {
        command.args(OPTIONS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = OPTIONS.iter().filter_map(|option| {
            let argument = if option.kind == OptionKind::Secret {
                Argument::File(matches.get_one::<PathBuf>(option.name)?.clone())
            } else {
                Argument::Value(matches.get_one::<String>(option.name)?.clone())
            };
            Some(Given {
                name: option.name,
                argument,
            })
        });
        Ok(Options(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
