# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the other scripts: where things are, how to complain, one lock.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../kernel/base
. "$ROOT/kernel/base"

say() { printf 'revpin: %s\n' "$*" >&2; }
die() { printf 'revpin: error: %s\n' "$*" >&2; exit 1; }

# about SECONDS: in words.
about() {
	if [ "$1" -lt 50 ]; then
		echo "$((($1 + 9) / 10 * 10)) s"
	elif [ "$1" -lt 90 ]; then
		echo "a minute"
	else
		echo "$((($1 + 30) / 60)) minutes"
	fi
}

# follow PID MB FILE...: a line every 20 seconds about how much of so many MB is there, until
# the process has ended; gives its exit status back.
follow() {
	local pid=$1 total=$2 start=$SECONDS last=$SECONDS now status=0
	shift 2
	# In the background it does not hear Ctrl-C itself.
	# shellcheck disable=SC2064 # this pid
	trap "kill $pid 2>/dev/null; exit 130" INT TERM

	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		[ $((SECONDS - last)) -ge 20 ] || continue
		last=$SECONDS
		now=$(du -cm -- "$@" 2>/dev/null | tail -n1 | cut -f1)
		[ "$now" -gt 0 ] || continue
		say "  $now of $total MB, about $(about $(((SECONDS - start) * (total > now ? total - now : 0) / now))) left"
	done
	wait "$pid" || status=$?
	trap - INT TERM
	return $status
}

# space GB FOLDER WHAT: there is so much room, or one message that says what it is for.
space() {
	local free

	free=$(df --output=avail -BG -- "$2" | tail -n1 | tr -dc 0-9)
	[ "$free" -ge "$1" ] ||
		die "$3 takes about $1 GB in $2, and $free are free there; set REVPIN_CACHE to a folder with more room"
}

# A cache path with white space breaks the kernel's own Makefile.
cache_dir() {
	local c=${REVPIN_CACHE:-}

	if [ -z "$c" ]; then
		if [ -n "${XDG_CACHE_HOME:-}" ]; then
			c=$XDG_CACHE_HOME/revpin
		elif [ -n "${HOME:-}" ]; then
			c=$HOME/.cache/revpin
		else
			die "no place for the cache: set REVPIN_CACHE to a folder (absolute path)"
		fi
	fi
	case $c in
	/*) ;;
	*) die "REVPIN_CACHE='$c' is not an absolute path; try REVPIN_CACHE=$PWD/$c" ;;
	esac
	case $c in
	*[[:space:]:]*) die "the cache path '$c' has white space or a colon in it, which kernel builds do not survive; set REVPIN_CACHE to another folder" ;;
	esac
	mkdir -p "$c" 2>/dev/null && [ -w "$c" ] ||
		die "the cache folder '$c' cannot be written; set REVPIN_CACHE to one that can"
	printf '%s\n' "$c"
}

check_jobs() {
	JOBS=${JOBS:-$(nproc)}
	case $JOBS in
	'' | *[!0-9]* | 0*) die "JOBS='$JOBS' is not a number of parallel jobs; try JOBS=$(nproc)" ;;
	esac
}

# What a guest can be; the host is always the first.
check_arch() {
	ARCH=${ARCH:-x86_64}
	case $ARCH in
	x86_64 | arm64) ;;
	*) die "ARCH='$ARCH' is not known; it can be x86_64 or arm64" ;;
	esac
}

# need COMMAND...: every tool, or one message that names what is missing.
need() {
	local t missing=

	for t; do
		command -v "$t" >/dev/null 2>&1 || missing="$missing $t"
	done
	[ -z "$missing" ] || die "not installed:$missing; 'make deps' installs what revpin uses"
}

# Kernel sources and builds have one user at a time; the holder is named.
take_lock() {
	local c=$1

	exec 9>>"$c/lock"
	if ! flock -n 9; then
		say "waiting: another revpin (pid $(cat "$c/lock.owner" 2>/dev/null || echo unknown)) uses $c"
		flock 9
	fi
	echo $$ >"$c/lock.owner"
}
