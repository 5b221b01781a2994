//! Runs every tests/*.vtc through varnishtest, with the VMOD and the VCL that a gateway runs; those that begin with
//! `both` twice: with direct passes, and with passes by Varnish's fetch.
//!
//! The VMOD is built as for a release, since debug builds need more stack than a worker has, with the feature that
//! lets a test panic inside it, and into a folder of its own, so that it is never taken for the release.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

const CONCURRENT: usize = 4;
/// VCL that is run a few times need not be optimised: a quarter of the work. varnishtest gives it to a shell as it is.
const COMPILE: &str = "'cc_command=exec cc -O0 -w -fPIC -shared -o %o %s'";

#[test]
fn every_vtc_passes() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = crate_folder.parent().expect("the crate stands in a workspace");
    build(workspace);
    let tests = vtcs(&crate_folder.join("tests"));
    assert!(!tests.is_empty(), "there is no .vtc");
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..CONCURRENT {
            scope.spawn(|| {
                while let Some((test, is_direct)) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let output = varnishtest(workspace, test, *is_direct);
                    if !output.status.success() {
                        let text = String::from_utf8_lossy(&output.stdout).into_owned();
                        let what = format!("{}, direct: {is_direct}\n{}", test.display(), interesting(&text));
                        failures.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} failed\n{}", failures.len(), tests.len(), failures.join("\n"));
}

fn build(workspace: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace).args(["build", "--quiet", "--locked", "--package", "vmod_ghost"]);
    cargo.args(["--profile", "vtc", "--features", "test-panic", "--target-dir"]).arg(target(workspace));
    assert!(cargo.status().expect("cargo runs").success(), "the VMOD does not build");
}

fn target(workspace: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}

/// All of them, or those whose names hold what VTC says, and whether passes are direct where that is not theirs to say.
fn vtcs(folder: &Path) -> Vec<(PathBuf, bool)> {
    let wanted = env::var("VTC").unwrap_or_default();
    let is_wanted =
        |path: &PathBuf| path.extension() == Some(OsStr::new("vtc")) && path.to_string_lossy().contains(&wanted);
    let files = fs::read_dir(folder).expect("the folder of this file");
    let mut found: Vec<_> = files.map(|file| file.expect("a readable folder").path()).filter(is_wanted).collect();
    found.sort();
    let is_for_both = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("both"));
    let ways = |path| if is_for_both(&path) { vec![(path.clone(), true), (path, false)] } else { vec![(path, false)] };
    found.into_iter().flat_map(ways).collect()
}

fn varnishtest(workspace: &Path, test: &Path, is_direct: bool) -> Output {
    let vcl = workspace.join("../operator/src/varnish_gateway_operator/translate/vcl");
    let is_there = vcl.join("preamble.vcl").exists();
    assert!(is_there, "the VCL of a gateway is not at {}", vcl.display());
    let vmods = format!("vmod_path={}:{}", target(workspace).join("vtc").display(), varnish_vmods());
    let direct = if is_direct { format!("include \"{}/direct.vcl\";", vcl.display()) } else { String::new() };
    let mut command = Command::new("varnishtest");
    // Room for what varnishd logs of some hundred requests.
    command.args(["-b", "8m", "-t", "30", "-p", COMPILE, "-D", &vmods, "-D", &format!("vcl={}", vcl.display())]);
    command.args(["-D", &format!("direct={direct}")]).arg(test);
    command.output().expect("varnishtest is in PATH")
}

/// The folder of Varnish's own VMODs.
fn varnish_vmods() -> String {
    let found = Command::new("pkg-config").args(["--variable=vmoddir", "varnishapi"]).output();
    String::from_utf8_lossy(&found.expect("pkg-config runs").stdout).trim().to_owned()
}

/// The log without what varnishd logged of each request.
fn interesting(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.contains("vsl|")).collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
