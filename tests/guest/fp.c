// SPDX-License-Identifier: GPL-2.0-or-later
// F and D: every instruction in every rounding mode, static and dynamic, on edge
// operands, with its flags.
#include "lib/guest.h"
#include "lib/edges.h"
#include "lib/fp-edges.h"

__asm__(".option arch, +d");

struct result {
	uint64_t f, x, flags;
};

typedef void run_fn(const uint64_t in[3], struct result *out);

// @text works on ft0, ft1, ft2 and a5 (the first operand as an integer) and leaves
// its result in ft3 or a6.
#define FP(id, text)                                                          \
	static void id(const uint64_t in[3], struct result *out)              \
	{                                                                     \
		__asm__ volatile("fld ft0, 0(%0)\nfld ft1, 8(%0)\nfld ft2, 16(%0)\n" \
				 "ld a5, 0(%0)\nfmv.d.x ft3, x0\nli a6, 0\nfsflags x0\n" \
				 text "\nfrflags a7\nfsd ft3, 0(%1)\nsd a6, 8(%1)\n" \
				 "sd a7, 16(%1)"                              \
				 :: "r"(in), "r"(out) : "a5", "a6", "a7", "memory"); \
	}
// One function for each static mode and one for the dynamic mode.
#define FP_MODES(id, text)                                                    \
	FP(id##_rne, text ", rne") FP(id##_rtz, text ", rtz")                 \
	FP(id##_rdn, text ", rdn") FP(id##_rup, text ", rup")                 \
	FP(id##_rmm, text ", rmm") FP(id##_dyn, text ", dyn")                 \
	static run_fn *const id[] = { id##_rne, id##_rtz, id##_rdn, id##_rup, id##_rmm, id##_dyn };

FP_MODES(add_s, "fadd.s ft3, ft0, ft1")
FP_MODES(add_d, "fadd.d ft3, ft0, ft1")
FP_MODES(sub_s, "fsub.s ft3, ft0, ft1")
FP_MODES(sub_d, "fsub.d ft3, ft0, ft1")
FP_MODES(mul_s, "fmul.s ft3, ft0, ft1")
FP_MODES(mul_d, "fmul.d ft3, ft0, ft1")
FP_MODES(div_s, "fdiv.s ft3, ft0, ft1")
FP_MODES(div_d, "fdiv.d ft3, ft0, ft1")
FP_MODES(sqrt_s, "fsqrt.s ft3, ft0")
FP_MODES(sqrt_d, "fsqrt.d ft3, ft0")
FP_MODES(madd_s, "fmadd.s ft3, ft0, ft1, ft2")
FP_MODES(madd_d, "fmadd.d ft3, ft0, ft1, ft2")
FP_MODES(msub_s, "fmsub.s ft3, ft0, ft1, ft2")
FP_MODES(msub_d, "fmsub.d ft3, ft0, ft1, ft2")
FP_MODES(nmadd_s, "fnmadd.s ft3, ft0, ft1, ft2")
FP_MODES(nmadd_d, "fnmadd.d ft3, ft0, ft1, ft2")
FP_MODES(nmsub_s, "fnmsub.s ft3, ft0, ft1, ft2")
FP_MODES(nmsub_d, "fnmsub.d ft3, ft0, ft1, ft2")
FP_MODES(w_s, "fcvt.w.s a6, ft0")
FP_MODES(w_d, "fcvt.w.d a6, ft0")
FP_MODES(wu_s, "fcvt.wu.s a6, ft0")
FP_MODES(wu_d, "fcvt.wu.d a6, ft0")
FP_MODES(l_s, "fcvt.l.s a6, ft0")
FP_MODES(l_d, "fcvt.l.d a6, ft0")
FP_MODES(lu_s, "fcvt.lu.s a6, ft0")
FP_MODES(lu_d, "fcvt.lu.d a6, ft0")
FP_MODES(s_w, "fcvt.s.w ft3, a5")
FP_MODES(s_wu, "fcvt.s.wu ft3, a5")
FP_MODES(s_l, "fcvt.s.l ft3, a5")
FP_MODES(d_l, "fcvt.d.l ft3, a5")
FP_MODES(s_lu, "fcvt.s.lu ft3, a5")
FP_MODES(d_lu, "fcvt.d.lu ft3, a5")
FP_MODES(s_d, "fcvt.s.d ft3, ft0")
FP(d_w, "fcvt.d.w ft3, a5")
FP(d_wu, "fcvt.d.wu ft3, a5")
FP(d_s, "fcvt.d.s ft3, ft0")
FP(min_s, "fmin.s ft3, ft0, ft1")
FP(min_d, "fmin.d ft3, ft0, ft1")
FP(max_s, "fmax.s ft3, ft0, ft1")
FP(max_d, "fmax.d ft3, ft0, ft1")
FP(eq_s, "feq.s a6, ft0, ft1")
FP(eq_d, "feq.d a6, ft0, ft1")
FP(lt_s, "flt.s a6, ft0, ft1")
FP(lt_d, "flt.d a6, ft0, ft1")
FP(le_s, "fle.s a6, ft0, ft1")
FP(le_d, "fle.d a6, ft0, ft1")
FP(sgnj_s, "fsgnj.s ft3, ft0, ft1")
FP(sgnj_d, "fsgnj.d ft3, ft0, ft1")
FP(sgnjn_s, "fsgnjn.s ft3, ft0, ft1")
FP(sgnjn_d, "fsgnjn.d ft3, ft0, ft1")
FP(sgnjx_s, "fsgnjx.s ft3, ft0, ft1")
FP(sgnjx_d, "fsgnjx.d ft3, ft0, ft1")
FP(class_s, "fclass.s a6, ft0")
FP(class_d, "fclass.d a6, ft0")
FP(mv_x_w, "fmv.x.w a6, ft0")
FP(mv_x_d, "fmv.x.d a6, ft0")
FP(mv_w_x, "fmv.w.x ft3, a5")
FP(mv_d_x, "fmv.d.x ft3, a5")
FP(flw, "flw ft3, 4(%0)")
FP(fld, "fld ft3, 8(%0)")
FP(fsw, "fsw ft0, 12(%0)\nld a6, 8(%0)")
FP(fsd, "fsd ft0, 8(%0)\nld a6, 8(%0)")

enum operands { SINGLES, DOUBLES, INTEGERS };

struct op {
	const char *name;
	enum operands operands;
	unsigned arity;
	run_fn *const *modes; // or
	run_fn *run;
};

#define MODES_OF(id, operands, arity) { #id, operands, arity, id, NULL }
#define BOTH_MODES(id, arity) MODES_OF(id##_s, SINGLES, arity), MODES_OF(id##_d, DOUBLES, arity)
#define PLAIN(id, operands, arity) { #id, operands, arity, NULL, id }
#define BOTH_PLAIN(id, arity) PLAIN(id##_s, SINGLES, arity), PLAIN(id##_d, DOUBLES, arity)

static const struct op ops[] = {
	BOTH_MODES(add, 2), BOTH_MODES(sub, 2), BOTH_MODES(mul, 2), BOTH_MODES(div, 2),
	BOTH_MODES(sqrt, 1), BOTH_MODES(madd, 3), BOTH_MODES(msub, 3), BOTH_MODES(nmadd, 3),
	BOTH_MODES(nmsub, 3), BOTH_MODES(w, 1), BOTH_MODES(wu, 1), BOTH_MODES(l, 1),
	BOTH_MODES(lu, 1), MODES_OF(s_w, INTEGERS, 1), MODES_OF(s_wu, INTEGERS, 1),
	MODES_OF(s_l, INTEGERS, 1), MODES_OF(d_l, INTEGERS, 1), MODES_OF(s_lu, INTEGERS, 1),
	MODES_OF(d_lu, INTEGERS, 1), MODES_OF(s_d, DOUBLES, 1), PLAIN(d_w, INTEGERS, 1),
	PLAIN(d_wu, INTEGERS, 1), PLAIN(d_s, SINGLES, 1), BOTH_PLAIN(min, 2),
	BOTH_PLAIN(max, 2), BOTH_PLAIN(eq, 2), BOTH_PLAIN(lt, 2), BOTH_PLAIN(le, 2),
	BOTH_PLAIN(sgnj, 2), BOTH_PLAIN(sgnjn, 2), BOTH_PLAIN(sgnjx, 2), BOTH_PLAIN(class, 1),
	PLAIN(mv_x_w, DOUBLES, 1), PLAIN(mv_x_d, DOUBLES, 1), PLAIN(mv_w_x, INTEGERS, 1),
	PLAIN(mv_d_x, INTEGERS, 1), PLAIN(flw, DOUBLES, 1), PLAIN(fld, DOUBLES, 2),
	PLAIN(fsw, SINGLES, 2), PLAIN(fsd, DOUBLES, 2),
};

static const uint64_t *operand_table(enum operands operands, unsigned *count)
{
	switch (operands) {
	case SINGLES:
		*count = ARRAY_SIZE(edges_s);
		return edges_s;
	case DOUBLES:
		*count = ARRAY_SIZE(edges_d);
		return edges_d;
	default:
		*count = ARRAY_SIZE(edges);
		return edges;
	}
}

static void run_once(run_fn *run, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t in[] = { a, b, c };
	struct result out;

	run(in, &out);
	record(out.f, a, b, c);
	record(out.x, a, b, c);
	record(out.flags, a, b, c);
}

static void run_all(const struct op *op, run_fn *run)
{
	unsigned count;
	const uint64_t *table = operand_table(op->operands, &count);
	unsigned n = op->arity == 3 ? FEW : count;

	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < (op->arity >= 2 ? n : 1); j++) {
			for (unsigned k = 0; k < (op->arity == 3 ? n : 1); k++)
				run_once(run, table[i], table[j], table[k]);
		}
	}
}

int main(void)
{
	for (const struct op *op = ops; op < ops + ARRAY_SIZE(ops); op++) {
		group(op->name);
		if (op->run) {
			run_all(op, op->run);
		} else {
			for (unsigned rm = 0; rm < 5; rm++) {
				csr_write("frm", rm);
				run_all(op, op->modes[rm]);
				csr_write("frm", (rm + 1) % 5);
				run_all(op, op->modes[rm]);
			}
			for (unsigned frm = 0; frm < 5; frm++) {
				csr_write("frm", frm);
				run_all(op, op->modes[5]);
			}
			csr_write("frm", 0);
		}
		group_end();
	}
	return 0;
}
