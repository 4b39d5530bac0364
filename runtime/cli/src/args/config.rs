//! `servo config …`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the JSON Schema of servo.yaml.
    #[command(after_help = "Example: servo config schema > servo.schema.json\n\n\
                      Editors use it with this first line of servo.yaml:\n\
                      \x20 # yaml-language-server: $schema=servo.schema.json")]
    Schema,
    /// Print the reference for operators: rules, credentials, every key of the files.
    #[command(after_help = "Example: servo config reference > reference.md")]
    Reference,
}
