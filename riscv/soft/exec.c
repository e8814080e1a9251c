// SPDX-License-Identifier: GPL-2.0-or-later
// Running handlers.
#include "exec.h"

static const slot_t first_slot; // any: exec_enter looks only at h->pc

enum vcpu_exit exec_run(struct hart *h)
{
	const slot_t *s = exec_enter(h, &first_slot, 0);

#ifdef EXEC_LOOP
	while (s) {
		slot_t w = slot_load(s);

		s = h->handlers[slot_op(w)](h, s, w);
	}
#else
	(void)s;
#endif
	return h->exit;
}
