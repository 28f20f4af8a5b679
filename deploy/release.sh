#!/usr/bin/env bash
# Builds what is released: a compressed archive with the program, its licence, deploy/ with unit, chart and documents and
# what those link to, and the checksums beside it.
#
#   deploy/release.sh [--out DIR] [--target TRIPLE] [--binary FILE]
#
#   --out DIR        where to put it (default: dist)
#   --target TRIPLE  for another machine than this one; needs its linker and C compiler
#   --binary FILE    pack this program instead of building one, to see what is packed: not for others
#
# Before it builds it asks for advisories on what is locked (cargo install --locked cargo-deny), and whether security.md
# names somebody to report to.
#
# The same commit, toolchain and machine give the same bytes: no time, no path and no order of files of the builder gets
# in. Check what was downloaded by: sha256sum --check SHA256SUMS
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'deploy/release.sh: %s\n' "$1" >&2
    exit 1
}

out=dist
target=
binary=
while [ $# -gt 0 ]; do
    case $1 in
        --out | --target | --binary)
            [ $# -ge 2 ] || fail "$1 wants a value"
            case $1 in --out) out=$2 ;; --target) target=$2 ;; *) binary=$2 ;; esac
            shift 2
            ;;
        *) fail "$1: no such option: --out DIR, --target TRIPLE, --binary FILE" ;;
    esac
done

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
[ -n "$version" ] || fail "Cargo.toml names no version"
host=$(rustc -vV | sed -n 's/^host: //p')
name=ringfence-$version-${target:-$host}
# The instant of the commit, for the times in the archive.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

if [ -z "$binary" ]; then
    grep -Eq '^Contact: [^ (]*(@|://)' deploy/security.md ||
        fail "deploy/security.md names nobody to report vulnerabilities to: fill in its line \`Contact:\`"
    cargo deny --version >/dev/null 2>&1 ||
        fail "no cargo-deny: cargo install --locked cargo-deny; nothing is released before advisories were asked for"
    cargo deny check --config deploy/deny.toml ||
        fail "cargo deny check --config deploy/deny.toml: see above; nothing is released with that"
    if [ -n "$(git status --porcelain 2>/dev/null)" ]; then
        fail "the tree differs from its commit: nobody could build this again; commit first"
    fi
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=/src --remap-path-prefix=$cargo_home=/cargo"
    export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=/src -ffile-prefix-map=$cargo_home=/cargo"
    export SOURCE_DATE_EPOCH=$epoch
    folder=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    cargo build --locked --release --bin ringfence ${target:+--target "$target"}
    binary=$folder/${target:+$target/}release/ringfence
fi
[ -x "$binary" ] || fail "$binary: no such program"

mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name
install -D -m 0755 "$binary" "$root/ringfence"
# What git knows: keys and data of somebody who tried things out may lie beside it.
packed=(LICENSE NOTICE README.md deploy proto tests/access/*.txt src/law/packs/OVERVIEW.md src/law/packs/NOT_RULES.md)
{ if [ -e .git ]; then git ls-files -- "${packed[@]}"; else find "${packed[@]}" ! -type d; fi; } | while IFS= read -r file; do
    mode=0644
    [ ! -x "$file" ] || mode=0755
    # Links become what they lead to.
    install -D -m "$mode" "$file" "$root/$file"
done
chmod -R u=rwX,go=rX "$root"

tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" --format=ustar -C "$work" "$name" |
    gzip --no-name -9 >"$out/$name.tar.gz"
(cd "$out" && sha256sum -- *.tar.gz >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
printf '%s\n' "$out/$name.tar.gz"
cat "$out/SHA256SUMS"
