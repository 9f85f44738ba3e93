//! `cargo x dist`: what a release consists of, as one tarball with its checksum.

mod packages;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands;
use packages::Packages;

/// Builds the release of this commit: the binary without symbols, manual pages, completions, the
/// unit, examples, all licences, and a bill of materials. The result lies in `target/dist-out`, or
/// the folder `out`.
///
/// # Errors
///
/// What could not be built or written.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let binary = match &options.bin {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    let packages = Packages::read()?;
    let name = format!("infermux-{}-{}", packages.version(), host()?);
    let out = match &options.out {
        Some(out) => out.clone(),
        None => commands::target_dir()?.join("dist-out"),
    };
    let folder = out.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| told(&folder, &e))?;
    }
    let parts = Parts {
        root: &root,
        folder: &folder,
        binary: &binary,
    };
    parts.lay_out(&packages)?;
    let archive = pack(&root, &out, &name)?;
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
    println!("{}", archive.display());
    println!(
        "binary {:.1} MB, tarball {:.1} MB, {} packages in the bill of materials",
        megabytes(bytes(&folder.join("bin/infermux"))),
        megabytes(bytes(&archive)),
        packages.others().len(),
    );
    Ok(())
}

/// The flags of `cargo x dist`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Takes this binary instead of building one
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// Where the result goes [default: target/dist-out]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Builds the binary, and says where it is.
fn build() -> Result<PathBuf, String> {
    commands::cargo("build --profile dist --locked --package infermux --bin infermux")?;
    Ok(commands::target_dir()?.join("dist/infermux"))
}

/// The parts of a release on their way to its folder.
struct Parts<'a> {
    root: &'a Path,
    folder: &'a Path,
    binary: &'a Path,
}

impl Parts<'_> {
    fn lay_out(&self, packages: &Packages) -> Result<(), String> {
        let binary = fs::read(self.binary).map_err(|e| told(self.binary, &e))?;
        self.write("bin/infermux", &binary)?;
        self.make_executable("bin/infermux")?;
        for name in FILES {
            self.copy(name, name)?;
        }
        for name in FOLDERS {
            self.copy_folder(name)?;
        }
        self.copy(UNIT.0, UNIT.1)?;
        self.write_pages()?;
        for (shell, file) in SHELLS {
            self.write(file, &self.ask(&["completions", shell])?)?;
        }
        self.write(
            "share/infermux/infermux.schema.json",
            &self.ask(&["schema"])?,
        )?;
        let licences = packages.licences()?;
        self.write("THIRD-PARTY-LICENSES.txt", licences.as_bytes())?;
        let bill = sbom::write(packages, &binary);
        self.write("infermux.cdx.json", bill.as_bytes())
    }

    /// Writes the manual page of infermux, and one for each of its commands.
    fn write_pages(&self) -> Result<(), String> {
        self.write("share/man/man1/infermux.1", &self.ask(&["man"])?)?;
        let help = String::from_utf8_lossy(&self.ask(&["--help"])?).into_owned();
        for command in commands_in(&help) {
            let page = self.ask(&["man", command])?;
            self.write(&format!("share/man/man1/infermux-{command}.1"), &page)?;
        }
        Ok(())
    }

    /// What the binary prints.
    fn ask(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let output = Command::new(self.binary).args(arguments).output();
        let output = output.map_err(|e| told(self.binary, &e))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(format!(
                "infermux {}: {}",
                arguments.join(" "),
                output.status
            )),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| told(folder, &e))?;
        }
        fs::write(&path, bytes).map_err(|e| told(&path, &e))
    }

    fn make_executable(&self, name: &str) -> Result<(), String> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join(name);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, mode).map_err(|e| told(&path, &e))
    }

    fn copy(&self, from: &str, to: &str) -> Result<(), String> {
        let from = self.root.join(from);
        self.write(to, &fs::read(&from).map_err(|e| told(&from, &e))?)
    }

    /// Copies a folder's files, and those of the folders in it.
    fn copy_folder(&self, name: &str) -> Result<(), String> {
        let folder = self.root.join(name);
        for entry in fs::read_dir(&folder).map_err(|e| told(&folder, &e))? {
            let entry = entry.map_err(|e| told(&folder, &e))?;
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.copy_folder(&name)?;
            } else {
                self.copy(&name, &name)?;
            }
        }
        Ok(())
    }
}

/// The commands that a help lists, without the one that prints helps.
fn commands_in(help: &str) -> impl Iterator<Item = &str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help")
}

/// Packs the folder `name` in `out`: the same files always give the same bytes.
fn pack(root: &Path, out: &Path, name: &str) -> Result<PathBuf, String> {
    let archive = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .arg(format!("--mtime=@{}", commit_time(root)))
        .arg("--mode=u+rw,go+r,go-w")
        .args(["--use-compress-program", "gzip --no-name --best"])
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(out)
        .arg(name);
    commands::finish(tar)?;
    let sum = Command::new("sha256sum")
        .arg(format!("{name}.tar.gz"))
        .current_dir(out)
        .output()
        .map_err(|e| format!("sha256sum: {e}"))?;
    let sums = out.join(format!("{name}.tar.gz.sha256"));
    fs::write(&sums, sum.stdout).map_err(|e| told(&sums, &e))?;
    Ok(archive)
}

/// The seconds of the commit's time; 0 outside of a clone.
fn commit_time(root: &Path) -> u64 {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(root);
    let output = git.output().ok().filter(|output| output.status.success());
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The system that the compiler builds for.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.map_err(|e| format!("rustc: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not say what it builds for".to_owned())
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[expect(clippy::cast_precision_loss, reason = "a size for people to read")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Files that lie in a release where they lie in the house: links between pages lead somewhere.
const FILES: [&str; 8] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "tests/page/1280.png",
    "tests/page/400.png",
];
/// Folders of which the same is true.
const FOLDERS: [&str; 2] = ["docs", "tools/deploy"];
/// The unit, and where systemd looks for it below `/usr/local`.
const UNIT: (&str, &str) = (
    "tools/deploy/infermux.service",
    "lib/systemd/system/infermux.service",
);
/// Shells, and where they look for completions.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/infermux"),
    ("fish", "share/fish/vendor_completions.d/infermux.fish"),
    ("zsh", "share/zsh/site-functions/_infermux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_a_help() {
        let help = "A router.\n\nCommands:\n  serve  Run it\n         for long\n  man    A page\n  \
            help   This\n\nOptions:\n  -h  Print\n";
        assert_eq!(commands_in(help).collect::<Vec<_>>(), ["serve", "man"]);
    }
}
