# SPDX-License-Identifier: GPL-2.0-or-later
# Tiny riscv64 guests, assembled by the shell: no cross compiler is needed. Sourced.
#
# Each mnemonic is a function that appends one or two instruction words to $code;
# branch targets are labels, resolved when the image is written.
# shellcheck shell=bash

# Registers by their ABI names.
readonly zero=0 s0=8 t0=5 t1=6 t2=7 t3=28 a0=10 a1=11 a2=12 a6=16 a7=17

# SBI extensions and functions (SBI 2.0 chapters 5, 10 and 12).
readonly SBI_GETCHAR=2 SBI_DBCN=0x4442434E SBI_SRST=0x53525354
readonly DBCN_WRITE=0 DBCN_WRITE_BYTE=2

begin() {
	code=()
	declare -gA labels=()
	text=
	# The header's first word (Image header: code0) jumps over the header.
	code+=("jump start")
	for _ in {1..15}; do code+=(0); done
	label start
}

label() { labels[$1]=$((${#code[@]} * 4)); }
lui() { code+=($((($2 & 0xfffff) << 12 | $1 << 7 | 0x37))); }
addi() { code+=($((($3 & 0xfff) << 20 | $2 << 15 | $1 << 7 | 0x13))); }
addiw() { code+=($((($3 & 0xfff) << 20 | $2 << 15 | $1 << 7 | 0x1b))); }
slli() { code+=($(($3 << 20 | $2 << 15 | 1 << 12 | $1 << 7 | 0x13))); }
lw() { code+=($((($3 & 0xfff) << 20 | $2 << 15 | 2 << 12 | $1 << 7 | 0x03))); }
sw() { code+=($((($3 >> 5 & 0x7f) << 25 | $1 << 20 | $2 << 15 | 2 << 12 |
	($3 & 0x1f) << 7 | 0x23))); }
sd() { code+=($((($3 >> 5 & 0x7f) << 25 | $1 << 20 | $2 << 15 | 3 << 12 |
	($3 & 0x1f) << 7 | 0x23))); }
sub() { code+=($((0x40000033 | $3 << 20 | $2 << 15 | $1 << 7))); }
rdtime() { code+=($((0xc0102073 | $1 << 7))); }
ecall() { code+=($((0x00000073))); }
wfi() { code+=($((0x10500073))); }
illegal() { code+=(0); }

# A 32-bit constant, zero-extended.
li() {
	local value=$(($2))

	lui "$1" $(((value + 0x800) >> 12))
	addiw "$1" "$1" $((value & 0xfff))
	slli "$1" "$1" 32
	code+=($((32 << 20 | $1 << 15 | 5 << 12 | $1 << 7 | 0x13))) # srli
}

j() { code+=("jump $1"); }
beq() { code+=("branch 0 $1 $2 $3"); }
bne() { code+=("branch 1 $1 $2 $3"); }
blt() { code+=("branch 4 $1 $2 $3"); }
# The address of byte $2 of the text, which lies behind the code.
la() { code+=("auipc $1 $2" "pc_addi $1 $2"); }

# Prints a text by DBCN; it is laid behind the code.
say() {
	la "$a1" ${#text}
	li "$a0" ${#1}
	addi "$a2" "$zero" 0
	li "$a7" $SBI_DBCN
	li "$a6" $DBCN_WRITE
	ecall
	text+=$1
}

# Waits for a byte of input, which is in a0 then.
get_key() {
	local again=key${#code[@]}

	label "$again"
	li "$a7" $SBI_GETCHAR
	ecall
	blt "$a0" "$zero" "$again"
}

# SRST with type $1 (0 shutdown, 1 cold reboot) and reason $2 (0 none, 1 failure).
system_reset() {
	li "$a0" "$1"
	li "$a1" "${2:-0}"
	li "$a7" $SBI_SRST
	addi "$a6" "$zero" 0
	ecall
}

poweroff() { system_reset 0; }
reboot() { system_reset 1; }

hang() {
	label "hang${#code[@]}"
	wfi
	j "hang$((${#code[@]} - 1))"
}

# The encoders leave their result in $word.
encode_jump() { # OFFSET
	word=$((($1 >> 20 & 1) << 31 | ($1 >> 1 & 0x3ff) << 21 | ($1 >> 11 & 1) << 20 |
		($1 >> 12 & 0xff) << 12 | 0x6f))
}

encode_branch() { # KIND RS1 RS2 OFFSET
	word=$((($4 >> 12 & 1) << 31 | ($4 >> 5 & 0x3f) << 25 | $3 << 20 | $2 << 15 | $1 << 12 |
		($4 >> 1 & 0xf) << 8 | ($4 >> 11 & 1) << 7 | 0x63))
}

# Entry $1 of the code, which may name a label or an offset into the text.
encode() {
	local pc=$(($1 * 4)) text_at=$((${#code[@]} * 4)) kind a b c d

	read -r kind a b c d <<<"${code[$1]}"
	case $kind in
	jump) encode_jump $((labels[$a] - pc)) ;;
	branch) encode_branch "$a" "$b" "$c" $((labels[$d] - pc)) ;;
	auipc) word=$((((text_at + b - pc + 0x800) & 0xfffff000) | a << 7 | 0x17)) ;;
	pc_addi) word=$((((text_at + b - pc + 4) & 0xfff) << 20 | a << 15 | a << 7 | 0x13)) ;;
	*) word=$kind ;;
	esac
}

# Appends $1 to $image as $2 bytes, little-endian.
le() {
	local i byte

	for ((i = 0; i < $2; i++)); do
		printf -v byte '\\x%02x' $(($1 >> 8 * i & 0xff))
		image+=$byte
	done
}

# Writes a riscv64 Image (boot-image-header.rst) of what was assembled to file $1.
finish_image() {
	local i word image=''

	encode 0
	le "$word" 4
	le 0 4
	le 0x200000 8 # text_offset
	le 0x100000 8 # image_size
	le 0 8        # flags: little-endian
	le 2 4        # version 0.2
	le 0 12
	image+='RISCV\0\0\0RSC\005'
	le 0 4
	for ((i = 16; i < ${#code[@]}; i++)); do
		encode $i
		le "$word" 4
	done
	printf '%b%s' "$image" "$text" >"$1"
}

# -- the guests --

guest_poweroff() {
	begin
	say $'hello\n'
	poweroff
	hang
	finish_image "$1"
}

# Prints "ready" and sleeps for ever.
guest_sleep() {
	begin
	say $'ready\n'
	hang
	finish_image "$1"
}

# Prints a line and resets, three times; then powers off. The count lies at the
# start of RAM, below the kernel, where a reset leaves it.
guest_reboot() {
	begin
	li $t0 0x80000000
	lw $t1 $t0 0
	addi $t1 $t1 1
	sw $t1 $t0 0
	say $'boot\n'
	li $t0 0x80000000
	lw $t1 $t0 0
	addi $t0 $zero 3
	blt $t1 $t0 again
	poweroff
	label again
	reboot
	hang
	finish_image "$1"
}

# Prints lines and a panic, as Linux does, and ends by system_reset "${@:2}".
guest_panic() {
	local i

	begin
	for i in {1..30}; do say "line $i"$'\n'; done
	say $'Kernel panic - not syncing: test of a panic\n'
	system_reset "${@:2}"
	hang
	finish_image "$1"
}

# Echoes its input, byte by byte; "q" powers off.
guest_echo() {
	begin
	say $'ready\n'
	label next
	get_key
	addi $t1 $a0 0
	li $a7 $SBI_DBCN
	li $a6 $DBCN_WRITE_BYTE
	ecall
	addi $t0 $zero 0x71
	bne $t1 $t0 next
	poweroff
	hang
	finish_image "$1"
}

# Restarts for each "r" that it reads; powers off at a "q".
guest_restart() {
	begin
	say $'ready\n'
	label next
	get_key
	addi $t0 $zero 0x72
	beq $a0 $t0 restart
	poweroff
	label restart
	reboot
	hang
	finish_image "$1"
}

# Prints "ready", and "jump" whenever time went on by more than a second between one look
# and the next.
guest_clock() {
	begin
	say $'ready\n'
	li $t3 10000000
	rdtime $t0
	label look
	rdtime $t1
	sub $t2 $t1 $t0
	addi $t0 $t1 0
	blt $t2 $t3 look
	say $'jump\n'
	j look
	finish_image "$1"
}

# Prints "ready" and sleeps, with two frames on its stack (RISC-V ABIs, the frame record)
# whose return addresses are those of bytes $2 and $3 of the image.
guest_stack() {
	begin
	li $t0 0x80400000
	li $t1 $((0x80200000 + $2))
	sd $t1 $t0 -8
	li $t1 0x80400100
	sd $t1 $t0 -16
	addi $s0 $t0 0
	addi $t0 $t1 0
	sd $zero $t0 -16
	li $t1 $((0x80200000 + $3))
	sd $t1 $t0 -8
	say $'ready\n'
	hang
	finish_image "$1"
}

# Prints 64-byte lines without end.
guest_chatter() {
	begin
	label next
	say "$(printf '%063d' 7)"$'\n'
	j next
	finish_image "$1"
}
