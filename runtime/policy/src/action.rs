//! Programs of the operator that a driver may have run, instead of exec.
//!
//! A driver names an action and fills its holes; it never writes a command
//! line. A hole fills one whole element of the argument list, so that nothing
//! it holds can become a second argument, and it never begins with `-`, so that
//! it cannot become an option. No shell ever sees any of it. This module decides
//! what would be run; running it is somebody else's work.

mod hole;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::folder::absolute;
use crate::{Access, Advice, Budget, Denial, FolderGrant, HttpRules, PolicyError, Span, network};

use self::hole::Hole;
pub use self::hole::HoleSpec;

/// Time of an action that names none.
const WALL: Duration = Duration::from_secs(60);

/// An action as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// The program, by its absolute path, and its arguments. `{name}` as a whole
    /// argument is a hole that the driver fills.
    #[schemars(extend("examples" = [["/usr/bin/ab", "-n", "{requests}"]]))]
    pub run: Vec<String>,
    /// What may stand in each hole: `1..100` (whole numbers), a list, `/pattern/`
    /// (of the whole value), or `http-rule` (a URL that the driver may GET).
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub holes: BTreeMap<String, HoleSpec>,
    /// The longest it may take; a minute, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Span>,
}

/// An action in which nothing is left to interpret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// The longest it may take.
    pub wall: Duration,
    run: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Hole { name: String, takes: Hole },
}

/// Why an action is not run as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionRefusal {
    /// It has no such hole.
    #[error("the action `{action}` has no hole of that name; it has {known}")]
    Unknown {
        /// The action.
        action: String,
        /// Its holes.
        known: String,
    },
    /// A hole is not filled.
    #[error("the action `{action}` needs a value for `{hole}`")]
    Missing {
        /// The action.
        action: String,
        /// The hole.
        hole: String,
    },
    /// A hole is filled twice.
    #[error("`{hole}` of the action `{action}` is given twice")]
    Twice {
        /// The action.
        action: String,
        /// The hole.
        hole: String,
    },
    /// A value that may not stand there.
    #[error("`{hole}` of the action `{action}` takes {takes}, and not what was given")]
    Value {
        /// The action.
        action: String,
        /// The hole.
        hole: String,
        /// What it takes.
        takes: String,
    },
    /// A URL that the driver's rules do not allow.
    #[error("`{hole}` of the action `{action}`: {denial}")]
    Url {
        /// The action.
        action: String,
        /// The hole.
        hole: String,
        /// Why.
        denial: Denial,
    },
}

impl Action {
    /// The program, by its absolute path.
    pub fn program(&self) -> &Path {
        match self.run.first() {
            Some(Part::Literal(program)) => Path::new(program),
            _ => Path::new(""),
        }
    }

    /// The whole argument list, the program first, with these values in its
    /// holes. `rules` are those of the driver that asks.
    ///
    /// # Errors
    /// Values that are missing, doubled, unknown, or may not stand there.
    pub fn fill(
        &self,
        values: &[(&str, &str)],
        rules: &HttpRules,
    ) -> Result<Vec<String>, ActionRefusal> {
        let action = || self.name.clone();
        for (index, (name, _)) in values.iter().enumerate() {
            if !self.holes().any(|(hole, _)| hole == *name) {
                let known: Vec<&str> = self.holes().map(|(hole, _)| hole).collect();
                return Err(ActionRefusal::Unknown {
                    action: action(),
                    known: if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    },
                });
            }
            if values
                .iter()
                .take(index)
                .any(|(earlier, _)| earlier == name)
            {
                return Err(ActionRefusal::Twice {
                    action: action(),
                    hole: (*name).to_owned(),
                });
            }
        }
        let one = |part: &Part| match part {
            Part::Literal(text) => Ok(text.clone()),
            Part::Hole { name, takes } => {
                let value = values.iter().find(|(given, _)| given == name);
                let (_, value) = value.ok_or_else(|| ActionRefusal::Missing {
                    action: action(),
                    hole: name.clone(),
                })?;
                let filled = takes
                    .fill(value, rules)
                    .map_err(|denial| ActionRefusal::Url {
                        action: action(),
                        hole: name.clone(),
                        denial,
                    })?;
                filled.ok_or_else(|| ActionRefusal::Value {
                    action: action(),
                    hole: name.clone(),
                    takes: takes.to_string(),
                })
            }
        };
        self.run.iter().map(one).collect()
    }

    /// The holes, in the order of the arguments.
    fn holes(&self) -> impl Iterator<Item = (&str, &Hole)> {
        self.run.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Hole { name, takes } => Some((name.as_str(), takes)),
        })
    }

    /// What the action lets a driver do, in plain words, after "may".
    pub fn explain(&self) -> String {
        let run: Vec<String> = self
            .run
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Hole { name, .. } => format!("{{{name}}}"),
            })
            .collect();
        let mut holes: Vec<String> = self
            .holes()
            .map(|(name, takes)| format!("{name}: {takes}"))
            .collect();
        holes.dedup();
        holes.push(format!("at most {}", Span(self.wall)));
        format!("have `{}` run ({})", run.join(" "), holes.join("; "))
    }
}

/// The actions that are as they should be; what is wrong with the others goes to
/// `wrong`. `budget` is none where that is itself in doubt.
pub(crate) fn resolve(
    specs: &BTreeMap<String, ActionSpec>,
    folders: &[FolderGrant],
    budget: Option<&Budget>,
    wrong: &mut Vec<PolicyError>,
) -> Vec<Action> {
    specs
        .iter()
        .filter_map(|(name, spec)| {
            let before = wrong.len();
            let action = spec.resolve(name, folders, budget, wrong);
            Some(action).filter(|_| wrong.len() == before)
        })
        .collect()
}

impl ActionSpec {
    fn resolve(
        &self,
        name: &str,
        folders: &[FolderGrant],
        budget: Option<&Budget>,
        wrong: &mut Vec<PolicyError>,
    ) -> Action {
        let key = format!("grants.actions.{name}");
        let mut refuse = |at: &str, advice: Advice| {
            wrong.push(PolicyError::Grant {
                key: format!("{key}{at}"),
                advice,
            });
        };
        if !network::is_name(name) {
            let advice = Advice::new(
                format!("{name:?} is not a name of an action"),
                "use lower-case letters, digits and hyphens, starting with a letter, at most 63",
            );
            refuse("", advice);
        }
        let program = self.run.first().map(PathBuf::from).unwrap_or_default();
        if absolute(&program).is_none_or(|straight| straight != program) {
            let advice = Advice::new(
                "the program must be named by its absolute path",
                "there is no search path",
            );
            refuse(".run", advice);
        }
        let mut run = Vec::with_capacity(self.run.len());
        let mut used: Vec<&str> = Vec::new();
        for (index, element) in self.run.iter().enumerate() {
            let at = format!(".run[{index}]");
            if element.contains('\0') {
                refuse(
                    &at,
                    Advice::new("an argument holds a zero byte", "remove it"),
                );
            }
            if let Some(folder) = writable(element, folders) {
                let advice = Advice::new(
                    format!(
                        "{element:?} is in the folder {:?}, which the driver may change, so the driver would say what is run",
                        folder.name
                    ),
                    "name another place, or grant the folder for reading",
                );
                refuse(&at, advice);
            }
            match hole::name_in(element) {
                None => run.push(Part::Literal(element.clone())),
                Some(hole) if element.len() != hole.len() + 2 || index == 0 => {
                    let advice = Advice::new(
                        "a hole fills one whole argument after the program",
                        format!("write `{{{hole}}}` as an argument of its own"),
                    );
                    refuse(&at, advice);
                }
                Some(hole) => match self.holes.get(hole).map(HoleSpec::resolve) {
                    Some(Ok(takes)) => {
                        used.push(hole);
                        let name = hole.to_owned();
                        run.push(Part::Hole { name, takes });
                    }
                    // Said below, where it stands.
                    Some(Err(_)) => used.push(hole),
                    None => {
                        let advice = Advice::new(
                            format!("nothing says what may stand in `{{{hole}}}`"),
                            format!("add `{hole}:` to `where`"),
                        );
                        refuse(&at, advice);
                    }
                },
            }
        }
        for (hole, spec) in &self.holes {
            let at = format!(".where.{hole}");
            if !used.contains(&hole.as_str()) {
                let advice = Advice::new(
                    format!("no argument is `{{{hole}}}`"),
                    "use the hole, or remove the key",
                );
                refuse(&at, advice);
            }
            if let Err(advice) = spec.resolve() {
                refuse(&at, advice);
            }
            for item in spec.items() {
                if let Some(folder) = writable(item, folders) {
                    let advice = Advice::new(
                        format!(
                            "{item:?} is in the folder {:?}, which the driver may change",
                            folder.name
                        ),
                        "name another place, or grant the folder for reading",
                    );
                    refuse(&at, advice);
                }
            }
        }
        let most = budget.map_or(Duration::MAX, |budget| budget.wall);
        let wall = self.wall.map_or(WALL.min(most), |wall| wall.0);
        if wall.is_zero() || wall > most {
            let advice = Advice::new(
                format!("{} is no time that an action can take", Span(wall)),
                "use at least 1ms and at most the time of the call, `grants.limits.wall`",
            );
            refuse(".wall", advice);
        }
        Action {
            name: name.to_owned(),
            wall,
            run,
        }
    }
}

/// The folder that the driver may change and that an argument points into, at
/// whatever place in the argument the path begins.
fn writable<'a>(argument: &str, folders: &'a [FolderGrant]) -> Option<&'a FolderGrant> {
    let paths: Vec<PathBuf> = argument
        .match_indices('/')
        .filter_map(|(at, _)| absolute(Path::new(argument.get(at..)?)))
        .collect();
    folders
        .iter()
        .filter(|folder| folder.access == Access::Write)
        .find(|folder| paths.iter().any(|path| path.starts_with(&folder.path)))
}
