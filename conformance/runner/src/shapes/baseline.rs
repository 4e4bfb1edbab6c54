//! The counts that stand in the tree, by API and operation. They may only rise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::report::ApiReport;

/// Why the baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("the baseline {0} cannot be read or written")]
    Unreadable(PathBuf, #[source] std::io::Error),
    #[error("the baseline {0} is not of the form that --update-baseline writes")]
    Malformed(PathBuf, #[source] serde_json::Error),
}

/// By API, then operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Baseline(pub BTreeMap<String, BTreeMap<String, Counts>>);

impl Baseline {
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| BaselineError::Malformed(path.to_owned(), error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Baseline::default()),
            Err(error) => Err(BaselineError::Unreadable(path.to_owned(), error)),
        }
    }

    /// What has fallen in the APIs that were run: `sqs SendMessage: strict 40, was 41`.
    pub fn falls(&self, reports: &[ApiReport]) -> Vec<String> {
        let mut falls = Vec::new();
        for report in reports {
            let none = BTreeMap::new();
            let operations = self.0.get(&report.api).unwrap_or(&none);
            for (operation, was) in operations {
                let is = report.operations.get(operation).copied().unwrap_or_default();
                for ((level, was), (_, is)) in was.levels().into_iter().zip(is.levels()) {
                    if is < was {
                        falls.push(format!("{} {operation}: {level} {is}, was {was}", report.api));
                    }
                }
            }
        }
        falls
    }

    /// The operations of one API of which a count has fallen.
    pub fn fallen(&self, report: &ApiReport) -> Vec<String> {
        let has_fallen = |(operation, was): (&String, &Counts)| {
            let is = report.operations.get(operation).copied().unwrap_or_default();
            let has = was.levels().iter().zip(is.levels()).any(|((_, was), (_, is))| is < *was);
            has.then(|| operation.clone())
        };
        self.0.get(&report.api).into_iter().flatten().filter_map(has_fallen).collect()
    }

    /// Takes what has fallen in one run and not in a second from the second; the names of these operations.
    pub fn mend(&self, report: &mut ApiReport, second: &ApiReport) -> Vec<String> {
        let still = self.fallen(second);
        let mended: Vec<String> = self.fallen(report).into_iter().filter(|name| !still.contains(name)).collect();
        for name in &mended {
            let counts = second.operations.get(name).copied().unwrap_or_default();
            report.operations.insert(name.clone(), counts);
        }
        mended
    }

    /// Takes the counts of what was run; operations that nobody answered are left out.
    pub fn take(&mut self, reports: &[ApiReport]) {
        for report in reports {
            let answered = report.operations.iter().filter(|(_, counts)| counts.answered > 0);
            let operations: BTreeMap<_, _> = answered.map(|(name, counts)| (name.clone(), *counts)).collect();
            if operations.is_empty() {
                self.0.remove(&report.api);
            } else {
                self.0.insert(report.api.clone(), operations);
            }
        }
    }

    /// An operation a line, so that a change is a diff that a person can read.
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let mut text = String::from("{");
        for (index, (api, operations)) in self.0.iter().enumerate() {
            text.push_str(if index == 0 { "\n" } else { ",\n" });
            text.push_str(&format!("  \"{api}\": {{"));
            for (index, (operation, counts)) in operations.iter().enumerate() {
                text.push_str(if index == 0 { "\n" } else { ",\n" });
                let counts =
                    serde_json::to_string(counts).map_err(|error| BaselineError::Malformed(path.to_owned(), error))?;
                text.push_str(&format!("    \"{operation}\": {counts}"));
            }
            text.push_str("\n  }");
        }
        text.push_str("\n}\n");
        std::fs::write(path, text).map_err(|error| BaselineError::Unreadable(path.to_owned(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(strict: u32) -> ApiReport {
        let counts = Counts { variants: 9, positive: 5, answered: 9, succeeded: 5, shape_true: 8, strict };
        let mut report = ApiReport { api: "sqs".into(), ..ApiReport::default() };
        report.operations.insert("SendMessage".into(), counts);
        report
    }

    #[test]
    fn a_fall_is_told_and_a_rise_is_not() {
        let mut baseline = Baseline::default();
        baseline.take(&[report(7)]);
        assert_eq!(baseline.falls(&[report(8)]), Vec::<String>::new());
        assert_eq!(baseline.falls(&[report(6)]), ["sqs SendMessage: strict 6, was 7"]);
        // What was not run is not judged; what was run and no longer has the operation is.
        assert_eq!(baseline.falls(&[]), Vec::<String>::new());
        let gone = ApiReport { api: "sqs".into(), ..ApiReport::default() };
        assert_eq!(baseline.falls(&[gone]).len(), 4);
    }

    #[test]
    fn what_falls_once_and_not_twice_is_mended() {
        let mut baseline = Baseline::default();
        baseline.take(&[report(7)]);
        let mut first = report(6);
        assert_eq!(baseline.fallen(&first), ["SendMessage"]);
        assert_eq!(baseline.mend(&mut first, &report(5)), Vec::<String>::new());
        assert_eq!(baseline.mend(&mut first, &report(8)), ["SendMessage"]);
        assert_eq!(baseline.falls(&[first]), Vec::<String>::new());
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let path = std::env::temp_dir().join(format!("fractus-baseline-{}.json", std::process::id()));
        let mut baseline = Baseline::default();
        baseline.take(&[report(7)]);
        baseline.write(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), Baseline::default());
    }
}
