#!/bin/sh
# Installs agent for this user, without root: into ~/.local/bin, or --dir DIR.
# It takes the archive for this system from the release, compares its SHA-256 with
# the release's SHA256SUMS, and puts the program in place in one step. Whatever goes
# wrong before that leaves an installed one as it is.
#
#   sh install.sh [--url URL|FOLDER] [--dir DIR] [--sha256 SUM]
#
# --url     the folder of a release: https, or a folder on this machine
# --dir     where the program goes
# --sha256  what the SHA-256 of SHA256SUMS must be, where you have it from elsewhere
set -eu
umask 022

url_of_release=''

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# fetch NAME FILE: a file of the release. A redirect is followed by curl alone, which
# holds it to https: wget would go on by http, its --https-only is about links in pages.
fetch() {
  case $url in
    https://*) protocols='=https' hops=10 ;;
    http://127.0.0.1[:/]* | http://localhost[:/]* | http://'[::1]'[:/]*) protocols='=http' hops=0 ;;
    *://*) fail "$url is neither https nor on this machine: nobody could say who answers there" ;;
    *)
      cp -- "$url/$1" "$2" || fail "$1 is not in $url"
      return
      ;;
  esac
  if has curl; then
    curl --proto "$protocols" --tlsv1.2 --fail --silent --show-error --location --max-redirs "$hops" --retry 3 --output "$2" -- "$url/$1" ||
      fail "$url/$1 could not be fetched"
  elif has wget; then
    wget --help 2>&1 | grep -q -- --max-redirect ||
      fail 'this wget follows redirects to where anybody may answer: curl or GNU wget is needed'
    wget --max-redirect=0 --quiet --output-document="$2" -- "$url/$1" ||
      fail "$url/$1 could not be fetched: if it is elsewhere (a redirect), curl is needed"
  else
    fail 'neither curl nor wget is here: fetch the files of the release yourself, and name their folder with --url'
  fi
}

# sum FILE: its SHA-256.
sum() {
  if has sha256sum; then
    sha256sum <"$1"
  elif has shasum; then
    shasum -a 256 <"$1"
  elif has openssl; then
    openssl dgst -sha256 -r <"$1"
  else
    fail 'none of sha256sum, shasum and openssl is here: nothing is installed unchecked'
  fi | cut -c 1-64
}

# check FILE SUM NAME
check() {
  is=$(sum "$1")
  [ "$is" = "$2" ] || fail "$3 has SHA-256 $is, and should have $2: nothing was installed"
}

# target: this system, as archives are named by it.
target() {
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "there is no archive for $(uname -s) here: on Windows take the .zip, or Scoop" ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "there is no archive for $(uname -m): build it with Go, by 'make install'" ;;
  esac
  if [ "$os" = darwin ] && [ "$arch" = amd64 ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || :)" = 1 ]; then
    arch=arm64 # a shell for the other processor
  fi
  printf '%s_%s' "$os" "$arch"
}

# main is called by the last line: a script that was cut short on its way does nothing.
main() {
  url=${AGENT_INSTALL_URL:-$url_of_release}
  dir=
  listed=
  while [ $# -gt 0 ]; do
    case $1 in
      --url | --dir | --sha256) [ $# -gt 1 ] || fail "$1 needs a value" ;;
    esac
    case $1 in
      --url) url=$2 ;;
      --dir) dir=$2 ;;
      --sha256) listed=$2 ;;
      *) fail "unknown argument $1: see the head of the script" ;;
    esac
    shift 2
  done
  [ -n "$url" ] || fail 'say where the release is: --url URL'
  [ -n "$dir" ] || dir=${HOME:?is not set: say where to with --dir}/.local/bin
  url=${url%/}
  [ ! -d "$dir/agent" ] || fail "$dir/agent is a folder"

  system=$(target)
  work=$(mktemp -d)
  new=
  trap 'rm -rf "$work" ${new:+"$new"}' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM

  fetch SHA256SUMS "$work/SHA256SUMS"
  [ -z "$listed" ] || check "$work/SHA256SUMS" "$listed" SHA256SUMS
  line=$(grep -E "^[0-9a-f]{64}  agent_[0-9A-Za-z.-]+_$system\.tar\.gz\$" "$work/SHA256SUMS") ||
    fail "$url/SHA256SUMS names no archive for $system"
  [ "$(printf '%s\n' "$line" | wc -l)" -eq 1 ] || fail "$url/SHA256SUMS names several archives for $system"
  want=${line%% *}
  name=${line##* }

  fetch "$name" "$work/$name"
  check "$work/$name" "$want" "$name"
  tar -xzf "$work/$name" -C "$work" "${name%.tar.gz}/agent" || fail "there is no program in $name"

  # Tried where it is to stay: programs do not always run in /tmp.
  mkdir -p "$dir"
  new=$dir/.agent.$$
  cp -- "$work/${name%.tar.gz}/agent" "$new"
  chmod 755 "$new"
  version=$("$new" --version) || fail 'the program does not run on this machine: nothing was installed'
  mv -f -- "$new" "$dir/agent"
  new=

  printf 'installed %s: %s/agent\n' "$version" "$dir"
  case :$PATH: in
    *:"$dir":*) ;;
    *)
      # shellcheck disable=SC2016 # the shell that reads it has a PATH of its own
      printf '%s is not on your PATH; this puts it there:\n  export PATH="%s:$PATH"\n' "$dir" "$dir"
      ;;
  esac
}

main "$@"
