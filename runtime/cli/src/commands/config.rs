//! `servo config …`: about the operator's file.

use servo_config::ConfigFile;

use crate::args::ConfigCommand;
use crate::exit::{Failed, Outcome};
use crate::output;

pub(crate) fn run(command: &ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Schema => {
            let schema = serde_json::to_string_pretty(&ConfigFile::schema());
            output::line(schema.map_err(Failed::ran)?)
        }
        ConfigCommand::Reference => {
            let reference = servo_config::reference::markdown(&servo_artifact::manifest::schema());
            output::line(reference.trim_end())
        }
    }
}
