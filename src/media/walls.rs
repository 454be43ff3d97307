//! What a process that works on a stranger's bytes may still see of the disk and of the network: Landlock, as far as the
//! kernel goes.

use std::ffi::OsStr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

use super::cage::find;

/// What a program needs of the system: code, libraries, fonts and data, none of it anyone's.
const SYSTEM: [&str; 17] = [
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/share",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/share",
    "/etc/ld.so.cache",
    "/etc/fonts",
    "/var/cache/fontconfig",
];
/// What a program needs to find and trust another host.
const NETWORK: [&str; 9] = [
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl",
    "/run/systemd/resolve",
];
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// The newest rules we know; on older kernels what they lack is left out.
const RULES: ABI = ABI::V9;

/// Takes from this process, for good, the network and all of the disk but what it may `read` and `write` and, for a
/// program, the system's parts.
///
/// # Errors
/// What the kernel complains about.
pub(super) fn close(program: Option<&Path>, read: &[PathBuf], write: &[PathBuf]) -> Result<(), RulesetError> {
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let change = look | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(RULES))?
        .handle_access(AccessNet::from_all(RULES))?
        .scope(Scope::from_all(RULES))?
        .create()?
        .add_rules(path_beneath_rules(read, look))?
        .add_rules(path_beneath_rules(write, change))?;
    if let Some(program) = program {
        rules = rules
            .add_rules(path_beneath_rules(SYSTEM, look | AccessFs::Execute))?
            .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
            .add_rules(path_beneath_rules(own_parts(program), look | AccessFs::Execute))?;
    }
    rules.restrict_self()?;
    Ok(())
}

/// Takes from this process, for good, all of the disk but the system's parts, the program and these `paths`, of
/// which it may write into pipes alone; the network stays. For a program that decodes a stranger's bytes and sends what comes of it. As far as the kernel goes.
///
/// # Errors
/// What the kernel complains about.
pub(crate) fn keep_off_the_disk(program: &OsStr, paths: &[PathBuf]) -> Result<(), RulesetError> {
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let program = find(program).unwrap_or_else(|| program.into());
    let is_pipe = |path: &&PathBuf| path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
    Ruleset::default()
        .handle_access(AccessFs::from_all(RULES))?
        .scope(Scope::from_all(RULES))?
        .create()?
        .add_rules(path_beneath_rules(paths, look))?
        .add_rules(path_beneath_rules(paths.iter().filter(is_pipe), AccessFs::WriteFile | AccessFs::Truncate))?
        .add_rules(path_beneath_rules(NETWORK, look))?
        .add_rules(path_beneath_rules(SYSTEM, look | AccessFs::Execute))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(own_parts(&program), look | AccessFs::Execute))?
        .restrict_self()?;
    Ok(())
}

/// The program itself and, if it was installed under a prefix of its own (`/opt/ffmpeg/bin/ffmpeg`), its libraries.
fn own_parts(program: &Path) -> Vec<PathBuf> {
    let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let prefix = program.parent().filter(|folder| folder.ends_with("bin")).and_then(Path::parent);
    let libraries = prefix.map(|prefix| prefix.join("lib"));
    [Some(program), libraries].into_iter().flatten().collect()
}
