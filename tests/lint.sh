#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Static checks and style; TAP, one result for each tool.
#
# Tools that are not installed are skipped. LINT_FLAGS are the compiler's; LINT_FILES
# narrows the C files to look at.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
read -ra flags <<<"${LINT_FLAGS--std=gnu11 -D_GNU_SOURCE -iquote include}"

# The files of the project; also where it is not a checkout.
tracked() {
	git ls-files 2>/dev/null ||
		find . -name .git -prune -o -path ./build -prune -o -path './kvik*' -prune -o -type f -printf '%P\n' | sort
}

# What runs in a guest is built by other rules.
host_files() {
	tracked | grep "$1" | grep -v -e ^guest/ -e ^tests/guest/ -e ^tests/bench/
}

read -ra sources <<<"${LINT_FILES:-$(host_files '\.c$' | tr '\n' ' ')}"
mapfile -t headers < <(host_files '\.h$')
mapfile -t scripts < <(tracked | while read -r file; do
	head -n 1 "$file" | grep -aqE '^#!/bin/(ba)?sh|^#!/bin/busybox sh' && echo "$file"
done)
count=0 failed=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# check NAME TOOL COMMAND...: one TAP result; skipped when TOOL is missing.
check() {
	local name=$1 tool=$2
	shift 2

	count=$((count + 1))
	if ! type "$tool" &>/dev/null; then
		echo "ok $count - $name # SKIP no $tool"
	elif "$@" >"$log" 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		failed=$((failed + 1))
		sed 's/^/# /' "$log"
	fi
}

# Each file on its own, as many at a time as there are CPUs.
each() { # each FILE... -- COMMAND...
	local -a files=()
	while [ "$1" != -- ]; do
		files+=("$1")
		shift
	done
	shift
	printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" "$@"
}

# The half of a machine that is for KVM on it needs its headers of the kernel. Without its
# cross compiler it is not looked at.
triple() {
	case $1 in
	arm/kvm*) echo aarch64-linux-gnu ;;
	riscv/kvm*) echo riscv64-linux-gnu ;;
	x86/kvm*) echo x86_64-linux-gnu ;;
	esac
}
export -f triple

# A header that needs another includes it itself.
self_contained() {
	each "${headers[@]}" -- bash -c '
		file=${!#} triple=$(triple "${!#}") cc=${CC:-cc}
		[ -z "$triple" ] || cc=$triple-gcc
		type "$cc" >/dev/null 2>&1 || [ -z "$triple" ] || exit 0
		printf "#include \"%s\"\n" "$file" |
			$cc "${@:1:$#-1}" -iquote . -iquote "$(dirname "$file")" \
			-fsyntax-only -x c -' check "${flags[@]}"
}

tidy() {
	each "${sources[@]}" -- bash -c '
		file=${!#} triple=$(triple "${!#}")
		type "${triple:-gcc}-gcc" >/dev/null 2>&1 || [ -z "$triple" ] || exit 0
		clang-tidy --quiet "$file" -- "${@:1:$#-1}" \
			$([ -n "$triple" ] && echo "--target=$triple -I/usr/$triple/include" ||
				echo -frounding-math) 2>/dev/null' check "${flags[@]}"
}

# System headers are not shown to it; what it gets wrong stands in cppcheck.suppress.
cpp_check() {
	cppcheck --quiet --std=c11 --enable=warning --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=unmatchedSuppression \
		--suppressions-list=tests/cppcheck.suppress \
		--suppress=normalCheckLevelMaxBranches -D__linux__ -Iinclude -j "$(nproc)" "${sources[@]}"
}

# The versions do not agree on every detail: 14 (Debian 12) is the one that counts.
formatted() {
	case $(clang-format --version) in
	*version\ 14.*) clang-format --dry-run --Werror "${sources[@]}" "${headers[@]}" ;;
	*) echo "not version 14: not checked" ;;
	esac
}

# Line 1 of a file, or line 2 after "#!", says its licence.
licensed() {
	local file bad=0
	while read -r file; do
		case $file in
		COPYING | HACKING | *.md | *.1 | *.svg | *.suppress | .[a-z]* | */.[a-z]*) ;;
		tests/fuzz/corpus/* | *.expect | *.list | tests/guest/*list) ;;
		*)
			head -n 3 "$file" | grep -aq SPDX-License-Identifier && continue
			echo "$file: no SPDX-License-Identifier"
			bad=1
			;;
		esac
	done < <(tracked)
	return "$bad"
}

check "headers include what they need" "${CC:-cc}" self_contained
check "the floors of the tree" bash tests/check-layers.sh
check "licence lines" grep licensed
check "clang-format" clang-format formatted
check "shellcheck" shellcheck shellcheck "${scripts[@]}"
check "cppcheck" cppcheck cpp_check
check "clang-tidy" clang-tidy tidy
echo "1..$count"
exit $((failed > 0))
