//! What the launcher needs to know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What to launch, and where it keeps things.
#[derive(Clone, Debug)]
pub struct LaunchSettings {
    /// Service name to its program.
    pub programs: BTreeMap<String, PathBuf>,
    /// Services that are installed and were not asked for.
    pub left_out: BTreeSet<String>,
    /// A folder for this run alone: sockets, and state that need not survive.
    pub run_dir: PathBuf,
    /// Each service's state goes to a folder of its name below; none: state is in memory.
    pub data_dir: Option<PathBuf>,
    /// The router, as services reach it.
    pub router_url: String,
    pub nats_url: Option<String>,
    /// The configuration file that was named; services read their own settings in it.
    pub config_file: Option<PathBuf>,
    /// Start every service at once.
    pub eager: bool,
}

/// The services whose programs lie in `folder`, as files named `fractus-<service>`.
pub fn installed(folder: &Path) -> BTreeMap<String, PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeMap::new() };
    let programs = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let service = name.strip_prefix("fractus-")?;
        // Build folders hold other things of that name: `fractus-sqs.d`.
        (!service.contains('.') && is_program(&entry.path())).then(|| (service.to_owned(), entry.path()))
    });
    programs.collect()
}

/// Whether there is a file that may be run.
pub fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// The program `name` in one of the folders of `path`, a list as PATH is.
pub fn find_in_path(name: &str, path: Option<std::ffi::OsString>) -> Option<PathBuf> {
    std::env::split_paths(&path?).map(|folder| folder.join(name)).find(|candidate| is_program(candidate))
}
