# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced: fetches Debian packages of any architecture into a cache, without root.
# shellcheck shell=bash
#
# Everything comes through apt, which checks the signatures and checksums, with a
# state of its own: the machine's packages and lists are not touched. The mirror is
# the one that this machine's apt uses; KVIK_SUITE, KVIK_MIRROR and KVIK_KEYRING say
# otherwise. The cache is KVIK_CACHE, or $XDG_CACHE_HOME/kvik, or ~/.cache/kvik.

# shellcheck source=step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

keyring=${KVIK_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
cache_root=${KVIK_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/kvik}

# debian_use ARCH [SUITE]: what all that follows is about; sets arch, suite, cache, apt.
debian_use() {
	arch=$1
	suite=${2:-${KVIK_SUITE:-$(default_suite "$arch")}}
	cache=$cache_root/$suite-$arch
	apt=$cache/apt
}

# The machine's own suite, or trixie where that one lacks the architecture.
default_suite() {
	local codename
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-trixie}")
	case $1-$codename in
	riscv64-buster | riscv64-bullseye | riscv64-bookworm) echo trixie ;;
	*) echo "$codename" ;;
	esac
}

need() {
	command -v "$1" >/dev/null || die "$1 is missing; install the package $2"
}

# One process at a time fills a cache.
lock_cache() {
	mkdir -p "$cache"
	exec 8>"$cache/lock"
	flock 8
}

# Prints the address that apt knows for the machine's own Debian suite.
mirror() {
	local codename uri
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	uri=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' | awk -v c="$codename" '$1 == c { print $2; exit }')
	# Before the first "apt-get update" apt knows what was asked for, not what came.
	[ -n "$uri" ] || uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' \
		'Created-By: Packages' | awk -v c="$codename" '$1 == c { print $2; exit }')
	[ -n "$uri" ] ||
		die "apt on this machine knows no Debian mirror; name one in KVIK_MIRROR"
	echo "$uri"
}

# Writes a configuration that leads apt to $apt and to nothing of the machine but its
# proxy and authentication settings.
configure_apt() {
	local uri
	uri=${KVIK_MIRROR:-$(mirror)}
	[ -r "$keyring" ] ||
		die "no keyring $keyring: install debian-archive-keyring, or name one in KVIK_KEYRING"
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	: >"$apt/status"
	printf '%s\n' 'Types: deb' "URIs: $uri" "Suites: $suite" 'Components: main' \
		"Architectures: $arch" "Signed-By: $keyring" >"$apt/debian.sources"
	cat >"$apt/apt.conf" <<-CONF
		#clear APT::Architectures;
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		// As root, apt would become a user who cannot enter the cache.
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		Acquire::Languages "none";
		Acquire::Retries "3";
		Dir::State "$apt";
		Dir::State::lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt";
		Dir::Cache::archives "$apt/archives";
		Dir::Etc::SourceList "$apt/debian.sources";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
	CONF
}

update_lists() {
	apt-get -c "$apt/apt.conf" -o APT::Status-Fd=3 update
}

fetch_lists() {
	need apt-get apt
	configure_apt
	step "Package lists of Debian $suite for $arch" update_lists
}

# download PACKAGE: its .deb is $apt/archives/PACKAGE.deb then.
download() {
	rm -f "$apt/archives/$1"_*.deb
	(cd "$apt/archives" && apt-get -c "$apt/apt.conf" -o APT::Status-Fd=3 download "$1")
	mv "$apt/archives/$1"_*.deb "$apt/archives/$1.deb"
}

# fetch_tree NAME PACKAGE...: unpacks them, without what they depend on, into one tree
# that is complete once it is there, and prints its path.
fetch_tree() {
	local tree=$cache/$1 package
	shift

	lock_cache
	if [ ! -d "$tree" ]; then
		fetch_lists
		rm -rf "$tree.new"
		for package in "$@"; do
			step "Package $package ($arch)" download "$package"
			dpkg-deb -x "$apt/archives/$package.deb" "$tree.new"
			rm "$apt/archives/$package.deb"
		done
		mv "$tree.new" "$tree"
	fi
	echo "$tree"
}
