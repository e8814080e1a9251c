#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# What ../riscv64-kvm.t is about.
said() {
	grep -q "$1" /tmp/err
}

died() { # died: status 255, with registers
	# shellcheck disable=SC2154
	[ "$status" = 255 ] && said 'the registers of vCPU 0:' && said '| pc  '
}

# --- guests that misbehave ---

run_kvik --cpus 2 --mem 64 /bad/jump
ok "a jump to nowhere ends with its registers" died
ok "a jump to nowhere: the reason" said 'KVM_RUN: .*it runs where there is no RAM'
run_kvik --cpus 2 --mem 64 /bad/amo
ok "an AMO on a device ends with its registers" died
ok "an AMO on a device: the bytes" said 'bytes at pc: 2f a3 72 00'
run_kvik --cpus 2 --mem 64 /bad/srst
ok "a reset for a system failure is a crash" died
ok "a reset for a system failure: the reason" said 'the guest died: it reported a crash'

# --- options: the guest's device tree tells ---

# tree OPTION...: leaves the tree as text without NULs in /tmp/tree.
tree() {
	run_kvik --mem 64 --dump-dtb /tmp/dtb "$@" /bad/srst
	tr '\0' ' ' </tmp/dtb >/tmp/tree
}

in_tree() {
	grep -aq "$1" /tmp/tree
}

not_in_tree() {
	! in_tree "$1"
}

tree
ok "the host has Zbb and Sstc" in_tree ' zbb .* sstc '
ok "the host's own address mode" in_tree 'riscv,sv57'
tree --disable-zbb --disable-sstc --satp-mode sv39
ok "--disable-zbb" not_in_tree ' zbb '
ok "--disable-sstc" not_in_tree ' sstc '
ok "--satp-mode" in_tree 'riscv,sv39'
run_kvik --mem 64 --disable-frob /bad/srst
ok "--disable-frob is refused" said '^kvik run: --disable-frob: kvik knows no such'
run_kvik --mem 64 --disable-m /bad/srst
ok "--disable-m is refused" said '^kvik run: --disable-m: .*cannot take it away'
run_kvik --mem 64 --irqchip aia /bad/srst
ok "--irqchip aia is refused without one" said 'use --irqchip plic'

# --- huge pages ---

echo 100 >/proc/sys/vm/nr_hugepages
mkdir -p /huge
mount -t hugetlbfs none /huge
guest trixie/kernel '' --cpus 1 --mem 160 --hugetlbfs /huge
ok "a stock kernel in huge pages" test "$status" = 0
run_kvik --mem 1G --hugetlbfs /huge /bad/srst
ok "too few huge pages" said 'it takes 512 free huge pages of 2 MiB'
done_testing
