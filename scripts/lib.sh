# Shared by the scripts beside it; sourced, never run. Sets $root (the repository) and changes into it.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck disable=SC2034 # for the scripts that source this
target=${CARGO_TARGET_DIR:-$root/target}
# Rust and its tools lie here when rustup put them there, whether or not the shell's profile was read.
export PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH"

say() { printf '\033[1m==\033[0m %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The header of the calling script, from its second line to the first empty one, as help.
help_and_exit() {
  sed -n '2,/^$/{s/^# \{0,1\}//p}' "$0"
  exit 0
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
  else
    die "this needs root, and there is no sudo. As root, run: $*"
  fi
}

# The packages among the arguments that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s\n' "$package"
  done
}

# Installs those packages of Debian or Ubuntu that are missing.
need_apt() {
  local missing fresh=no
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  have apt-get || die "please install ${missing[*]}: this script knows only Debian 12 and Ubuntu 24.04"
  say "installing ${missing[*]}"
  # Lists of the last day are fresh enough to try; on a new machine there are none.
  if [ -n "$(find /var/lib/apt/lists/partial -maxdepth 0 -mtime -1 2>/dev/null)" ] &&
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
    fresh=yes
  fi
  if [ $fresh = yes ] && apt_install "${missing[@]}"; then return 0; fi
  as_root apt-get update -q >&2
  apt_install "${missing[@]}" || die "apt-get could not install ${missing[*]}"
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" </dev/null >&2
}

# need_program PROGRAM PACKAGE…: installs the packages unless the program is there, from wherever.
need_program() {
  local program=$1
  shift
  have "$program" || need_apt "$@"
}

# version_at_least HAVE WANTED
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

wanted_rust() { sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml; }

rust_is_enough() {
  local version
  version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) && version_at_least "${version:-0}" "$(wanted_rust)"
}

# A C compiler to link with, and Rust as new as Cargo.toml asks for.
need_rust() {
  have cc || need_apt gcc libc6-dev
  rust_is_enough && return 0
  say "Rust $(wanted_rust) or newer is needed; what is there: $(cargo --version 2>/dev/null || echo none)"
  if ! have rustup && [ -n "$(apt-cache policy rustup 2>/dev/null | grep 'Candidate: [0-9]' || true)" ]; then
    need_apt rustup # Ubuntu 24.04 has it, Debian 12 has not.
  fi
  if have rustup; then
    rustup toolchain install stable --profile minimal --component clippy --component rustfmt >&2
    # A pinned older default stays what it is for other projects.
    rust_is_enough || export RUSTUP_TOOLCHAIN=stable
  else
    need_program curl curl ca-certificates
    local installer
    installer=$(mktemp)
    curl --proto '=https' --tlsv1.2 -sSfL https://sh.rustup.rs -o "$installer" ||
      die "cannot get Rust's installer; install Rust $(wanted_rust) or newer (https://rustup.rs) and run this again"
    sh "$installer" -y --no-modify-path --profile minimal --component clippy --component rustfmt >&2
    rm -f "$installer"
  fi
  hash -r
  rust_is_enough || die "$(cargo --version 2>/dev/null || echo 'no cargo') is not enough: Rust $(wanted_rust) is needed"
}

# npm, for the front-end files that the build picks. Not needed once they lie there.
need_node() {
  cmp -s static/package-lock.json static/node_modules/.jadwalstream-lock && return 0
  if have node && ! version_at_least "$(node --version | tr -d v)" 18; then
    die "node $(node --version) is too old: version 18 or newer is needed"
  fi
  have node || need_apt nodejs
  have npm || need_apt npm
}

# Python with the packages of other spreadsheet and calendar programs, in a folder of its own.
need_test_python() {
  local wanted=$root/tests/it/other_programs/requirements.txt place=$target/test-python
  [ -z "${JADWAL_TEST_PYTHON:-}" ] || return 0
  cmp -s "$wanted" "$place/.jadwalstream-requirements" && return 0
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || need_apt python3 python3-venv
  say "installing what the tests compare spreadsheets and calendars with"
  rm -rf "$place"
  python3 -m venv "$place"
  "$place/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" >&2
  cp "$wanted" "$place/.jadwalstream-requirements"
}

# The OAuth server of the tests, in a folder of its own.
need_test_oauth() {
  local wanted=$root/tests/it/other_programs/oauth place=$target/test-oauth
  cmp -s "$wanted/package-lock.json" "$place/.jadwalstream-lock" && return 0
  have node || need_apt nodejs
  have npm || need_apt npm
  version_at_least "$(node --version | tr -d v)" 18.12 ||
    die "node $(node --version) is too old for the OAuth server of the tests: version 18.12 or newer is needed"
  say "installing the OAuth server of the tests"
  rm -rf "$place"
  mkdir -p "$place"
  cp "$wanted/package.json" "$wanted/package-lock.json" "$place"
  (cd "$place" && npm ci --no-audit --no-fund >&2)
  cp "$wanted/package-lock.json" "$place/.jadwalstream-lock"
}

# nginx with its RTMP module. The package starts a server on port 80; nobody asked for that one.
need_nginx() {
  local fresh=no
  have nginx || fresh=yes
  need_apt nginx libnginx-mod-rtmp
  if [ $fresh = yes ] && [ -d /run/systemd/system ]; then
    as_root systemctl disable --now nginx >/dev/null 2>&1 || true
  fi
}

# Builds target/release/jadwalstream.
build_release() {
  need_rust
  need_node
  if [ -x "$target/release/jadwalstream" ]; then say "building (quick where little changed)"; else say "building (the first time takes some minutes)"; fi
  cargo build --release --locked
}
