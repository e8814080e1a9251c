// SPDX-License-Identifier: GPL-2.0-or-later
// Clearing another bit of sip loses no IPI that comes meanwhile.
#include "lib/guest.h"

#define ROUNDS 20000
#define PATIENCE 5000000 // turns
#define SIP_SSIP 2
#define SIP_STIP 0x20 // read-only

static volatile uint64_t sent, received;

static void send_all(void)
{
	for (uint64_t i = 1; i <= ROUNDS && received < ROUNDS; i++) {
		sent = i;
		sbi_send_ipi(hart_mask(0), 0);
		while (received < i)
			;
	}
}

static bool await_ipi(void)
{
	for (unsigned turn = 0; turn < PATIENCE; turn++) {
		if (csr_read("sip") & SIP_SSIP)
			return true;
		csr_clear("sip", SIP_STIP);
		csr_clear("sip", SIP_STIP);
	}
	return false;
}

static void receive_all(void)
{
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		if (!await_ipi()) {
			put("an IPI was lost\n");
			break;
		}
		csr_clear("sip", SIP_SSIP);
		received = i;
	}
	received = ROUNDS;
	put("done\n");
}

static void work(unsigned index)
{
	if (index == 1)
		send_all();
	else
		receive_all();
}

int main(void)
{
	run_harts(2, work);
	return 0;
}
