#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the guest programs, runs each on kvik and on QEMU, and compares; TAP.
#
# usage: tests/guest/run.sh [NAME...]
#
# Each program runs on kvik three times: as is, with a TLB of one entry, and with a
# code cache of 64 KiB. QEMU's answers are kept in build/guest by the program's hash.
# KVIK names the kvik to test, GUEST_BUILD the directory to build in, GUEST_VARIANTS
# the subset of "plain tlb cache" to run. KVIK_RUNNER is a command that runs kvik, such
# as qemu-riscv64; then the programs get four times their time.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
kvik=${KVIK:-$top/kvik}
build=${GUEST_BUILD:-$top/build/guest}
variants=${GUEST_VARIANTS:-plain tlb cache}
read -ra runner <<<"${KVIK_RUNNER:-}"
patience=$((${#runner[@]} ? 4 : 1))
cross=riscv64-linux-gnu-
qemu="qemu-system-riscv64"

# The extensions that kvik has and this QEMU knows; none that kvik lacks.
qemu_cpu=rv64,zba=true,zbb=true,zbs=true,zbc=false,svinval=true,svnapot=true
qemu_cpu+=,svpbmt=true,sstc=true,h=false,v=false

cflags=(-std=gnu11 -O2 -g -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany
	-ffreestanding -fno-pic -fno-stack-protector -fno-tree-loop-distribute-patterns
	-Wall -Wextra -Werror -Wno-unused-parameter)
ldflags=(-nostdlib -static -no-pie -Xlinker --no-relax -Xlinker --build-id=none
	-Xlinker --no-warn-rwx-segments -T "$here/lib/guest.ld")

declare -A variant_options=(
	[plain]=""
	[tlb]="--soft-tlb 1"
	[cache]="--soft-code-cache 64K"
)

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

missing() {
	! command -v "$1" >/dev/null
}

# One line a program of the list: name harts seconds reference build options.
programs() {
	local wanted=" $* "

	while read -r name rest; do
		[[ -z $name || $name == \#* ]] && continue
		[[ $# == 0 || $wanted == *" $name "* ]] && echo "$name $rest"
	done <"$here/list"
}

# compile NAME OUTPUT OPTION...; the source is NAME.c up to a dash ("random-3").
compile() {
	local name=$1 output=$2

	shift 2
	${cross}gcc "${cflags[@]}" "$@" "${ldflags[@]}" -I "$here" -o "$output.tmp" \
		"$here/lib/start.S" "$here"/lib/*.c "$here/${name%%-*}.c" &&
		mv "$output.tmp" "$output"
}

# Whether program NAME's ELF $2 is newer than all that goes into it.
is_current() {
	[ -e "$2" ] && [ -z "$(find "$here/lib" "$here/${1%%-*}.c" "$here/list" "$here/run.sh" \
		-newer "$2" -print -quit)" ]
}

# What a program printed, without what firmware printed before, and in between: OpenSBI
# 1.6 remarks on system instructions that it hands on as illegal.
transcript() {
	tr -d '\r' | sed 's/system_opcode_insn: Invalid opcode for CSR read\/write instruction//g' |
		sed -n '/^=== begin/,/^=== end/p'
}

# run_qemu ELF HARTS SECONDS
run_qemu() {
	timeout "$3" $qemu -M virt -cpu $qemu_cpu -smp "$2" -m 128M -bios default -nographic \
		-monitor none -kernel "$1" </dev/null 2>/dev/null | transcript
}

# run_kvik ELF HARTS SECONDS LOG OPTION...; the log gets what kvik says itself.
run_kvik() {
	local elf=$1 harts=$2 seconds=$3 log=$4

	shift 4
	timeout $((seconds * patience)) "${runner[@]}" "$kvik" run --accel soft -n none -k "$elf" \
		-c "$harts" -m 128M "$@" </dev/null 2>"$log" | transcript
}

# reference ELF HARTS SECONDS OUTPUT; keeps what QEMU printed under the ELF's hash.
reference() {
	local key kept

	key=$( (cat "$1"; echo "$2 $qemu_cpu $qemu_version") | sha256sum)
	kept=$build/reference/${key%% *}
	if [ ! -s "$kept" ]; then
		mkdir -p "$build/reference"
		run_qemu "$1" "$2" $((3 * $3)) >"$kept.$$"
		grep -q '^=== end' "$kept.$$" || return 1
		mv "$kept.$$" "$kept"
	fi
	cp "$kept" "$4"
}

# look DIR OPTION...: runs a build that looks into a group on both.
look() {
	local dir=$1
	shift
	compile "$name" "$dir/verbose.elf" "${build_options[@]}" "$@" || return
	run_qemu "$dir/verbose.elf" "$harts" $((10 * seconds)) >"$dir/verbose.ref"
	run_kvik "$dir/verbose.elf" "$harts" $((10 * seconds)) "$dir/verbose.log" \
		"${options[@]}" >"$dir/verbose.out"
}

# A group's line holds only a hash of many results: finds the first that differ.
explain_group() {
	local group=$1 count=$2 dir=$3 step=$(($2 / 200 + 1)) last

	look "$dir" "-DVERBOSE=\"$group\"" -DSTEP=$step -DFIRST=1 -DLAST=0
	last=$(diff "$dir/verbose.ref" "$dir/verbose.out" |
		sed -n "s/^< $group \([0-9]*\): .*/\1/p" | head -n 1)
	last=${last:-$count}
	look "$dir" "-DVERBOSE=\"$group\"" -DSTEP=-1UL -DFIRST=$((last - step)) -DLAST="$last"
	diff "$dir/verbose.ref" "$dir/verbose.out" | grep '^[<>]' | head -n 6 | sed 's/^/#     /'
}

# Prints as comments how a run differs from what is expected.
explain() {
	local name=$1 harts=$2 seconds=$3 expected=$4 out=$5 log=$6 group count
	shift 6
	local options=("$@")

	echo "# $name: < expected, > kvik"
	diff "$expected" "$out" | grep '^[<>]' | head -n 12 | sed 's/^/#   /'
	head -n 5 "$log" | sed 's/^/# kvik: /'
	read -r group count < <(diff "$expected" "$out" |
		sed -n 's/^< \([^ :]*\) \([0-9]*\) [0-9a-f]*$/\1 \2/p')
	[ -z "$group" ] || ! grep -q "^$group $count " "$out" ||
		explain_group "$group" "$count" "$(dirname "$out")"
}

# check NAME HARTS SECONDS EXPECTED VARIANT
check() {
	local name=$1 harts=$2 seconds=$3 expected=$4 variant=$5 dir=$build/$1 options

	read -ra options <<<"${variant_options[$variant]} ${kvik_options[*]}"
	run_kvik "$dir/$name.elf" "$harts" "$seconds" "$dir/$variant.log" "${options[@]}" \
		>"$dir/$variant.out"
	number=$((number + 1))
	if cmp -s "$expected" "$dir/$variant.out"; then
		echo "ok $number - $name $variant"
	else
		echo "not ok $number - $name $variant"
		explain "$name" "$harts" "$seconds" "$expected" "$dir/$variant.out" \
			"$dir/$variant.log" "${options[@]}"
		failed=1
	fi
}

# give_up NAME WORD WHY: one result for each variant.
give_up() {
	local variant

	for variant in $variants; do
		number=$((number + 1))
		case $2 in
		skip) echo "ok $number - $1 $variant # SKIP $3" ;;
		fail) echo "not ok $number - $1 $variant: $3"; failed=1 ;;
		esac
	done
}

run_program() {
	local name=$1 harts=$2 seconds=$3 reference=$4 dir=$build/$1 expected variant

	build_options=() kvik_options=()
	[ "$5" = - ] || IFS=, read -ra build_options <<<"$5"
	[ "$6" = - ] || IFS=, read -ra kvik_options <<<"$6"
	mkdir -p "$dir"
	if ! is_current "$name" "$dir/$name.elf" &&
		! compile "$name" "$dir/$name.elf" "${build_options[@]}"; then
		give_up "$name" fail "does not compile"
		return
	fi
	expected=$dir/expected
	if [ "$reference" = file ]; then
		grep -v "^#" "$here/$name.expect" >"$expected"
	elif missing $qemu; then
		give_up "$name" skip "no $qemu (apt install qemu-system-misc)"
		return
	elif ! reference "$dir/$name.elf" "$harts" "$seconds" "$expected"; then
		give_up "$name" fail "QEMU did not finish it"
		return
	fi
	for variant in $variants; do
		check "$name" "$harts" "$seconds" "$expected" "$variant"
	done
}

missing ${cross}gcc && skip_all "no ${cross}gcc (apt install gcc-riscv64-linux-gnu)"
[ -x "$kvik" ] || { echo "Bail out! no $kvik; run make"; exit 1; }
qemu_version=$($qemu --version 2>/dev/null | head -n 1)
# Zfa is on by itself from QEMU 8.1 on, and unknown before.
[[ $qemu_version =~ version\ ([0-7]\.|8\.0) ]] || qemu_cpu+=,zfa=false
mapfile -t lines < <(programs "$@")
read -ra each <<<"$variants"
echo "1..$((${#lines[@]} * ${#each[@]}))"
number=0 failed=0
for line in "${lines[@]}"; do
	read -ra fields <<<"$line"
	run_program "${fields[@]}"
done
exit $failed
